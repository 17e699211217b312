"""What the README says of pages of text: to `mini` two different ones are as near as a scan is to its page."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from simsearch.distance import js
from simsearch.extract.load import load_extractor

PAGES = 6


def page(seed: int) -> Image.Image:
    """A page of random words, 620 x 877."""
    rng, image = np.random.default_rng(seed), Image.new("RGB", (620, 877), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(11)
    for y in range(60, 825, 17):
        words = ("".join(chr(97 + c) for c in rng.integers(0, 26, rng.integers(2, 10))) for _ in range(14))
        draw.text((50, y), " ".join(words), fill="black", font=font)
    return image


def test_pages_of_text_resemble_each_other_as_much_as_a_scan_its_page() -> None:
    pages = [page(seed) for seed in range(PAGES)]
    scans = [one.rotate(0.8, fillcolor="white").filter(ImageFilter.GaussianBlur(0.6)) for one in pages]
    rows = load_extractor("mini", device="cpu").embed([*pages, *scans])
    between = js(rows[:PAGES], rows[:PAGES])[np.triu_indices(PAGES, 1)]
    own = js(rows[PAGES:], rows[:PAGES]).diagonal()
    assert np.median(between) < 0.35
    assert np.median(between) < 2 * np.median(own)
