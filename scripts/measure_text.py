"""Find scanned pages of text among the pages themselves, by several methods, and write a JSON record.

Pages are rendered from a seed: A4 at 100 dots an inch, one typeface, paragraphs of random words. A scan is turned by up
to two degrees, shifted, blurred, noisy, unevenly lit and a JPEG of quality 60.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from simsearch import distance
from simsearch.extract.load import load_extractor
from simsearch.images.perturb.edits.text import dejavu_sans_bold
from simsearch.images.quality import quality
from simsearch.runtime.provenance import write_record

METHODS = ("mini", "dhash", "phash", "pdq", "dhash(size=16)", "phash(size=16)", "phash(size=24)", "phash(size=32)")
SIZE, MARGIN, LINE, LETTERS = (827, 1169), 90, 19, 14
ENOUGH = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--output", type=Path, default=Path("results/text.json"))
    arguments = parser.parse_args()
    pages = [page(seed) for seed in range(arguments.pages)]
    scans = [scanned(one, seed) for seed, one in enumerate(pages)]
    found = {name: measured(name, pages, scans) for name in arguments.methods}
    best = max(found, key=lambda name: found[name]["right_page_first"])
    verdict = (
        f"Of {len(pages)} scanned pages of text mini finds {found['mini']['right_page_first']:.1%} first, "
        f"{best} {found[best]['right_page_first']:.1%}; the goal is {ENOUGH:.0%}."
    )
    seen = [quality(np.asarray(one)) for one in (*pages, *scans)]
    write_record(
        arguments.output,
        {"pages": len(pages), "methods": found, "quality": {"lowest": min(seen), "highest": max(seen)}},
        verdict=verdict,
    )
    print(verdict)


def page(seed: int) -> Image.Image:
    """A page of paragraphs."""
    rng, image = np.random.default_rng(seed), Image.new("RGB", SIZE, "white")
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(dejavu_sans_bold().with_name("DejaVuSerif.ttf"), LETTERS)
    y, left = MARGIN, 0
    while y < SIZE[1] - MARGIN:
        if not left:
            left, x = int(rng.integers(2, 13)), MARGIN + 2 * LINE
        end = SIZE[0] - MARGIN if left > 1 else MARGIN + int(rng.integers(80, SIZE[0] - 2 * MARGIN))
        while True:
            word = "".join(chr(97 + letter) for letter in rng.integers(0, 26, int(rng.integers(2, 11))))
            width = draw.textlength(word + " ", font=font)
            if x + width > end:
                break
            draw.text((x, y), word, fill="black", font=font)
            x += width
        x, y, left = MARGIN, y + LINE, left - 1
        y += 0 if left else LINE // 2
    return image


def scanned(image: Image.Image, seed: int) -> Image.Image:
    """The page as a scanner gives it."""
    rng = np.random.default_rng((seed, 1))
    shift = [float(value) for value in rng.uniform(-6, 6, 2)]
    turned = image.rotate(
        float(rng.uniform(-2, 2)), Image.Resampling.BICUBIC, translate=tuple(shift), fillcolor=(245, 243, 238)
    )
    soft = np.asarray(turned.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 1.1)))), np.float64)
    light = 1 - rng.uniform(0, 0.15) * np.linspace(0, 1, SIZE[0])[None, :, None]
    noisy = (0.85 * soft * light + 20 + rng.normal(0, 4, soft.shape)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=60)
    return Image.open(file).convert("RGB")


def measured(name: str, pages: list[Image.Image], scans: list[Image.Image]) -> dict[str, Any]:
    """How often a scan's own page is nearest, how often it is nearer than any two pages are, and typical distances."""
    extractor = load_extractor(name, device="cpu")
    of_pages, of_scans = (extractor.embed(images) for images in (pages, scans))
    near = distance.by_name(extractor.metric)
    between, own = near(of_pages, of_pages), near(of_scans, of_pages)
    others = between[np.triu_indices(len(pages), 1)]
    right = own.diagonal()
    wrong = np.where(np.eye(len(pages), dtype=bool), np.inf, own).min(axis=1)
    return {
        "metric": extractor.metric,
        "right_page_first": round(float((right < wrong).mean()), 4),
        "nearer_than_any_two_pages": round(float((right < others.min()).mean()), 4),
        "median_of_scan_and_page": round(float(np.median(right)), 4),
        "median_of_two_pages": round(float(np.median(others)), 4),
    }


if __name__ == "__main__":
    main()
