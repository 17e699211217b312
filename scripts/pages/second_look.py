"""Paint docs/second-look.png: pairs of pictures, what `mini` and keypoints say of them, and where they overlap.

The pictures are painted here: a street of houses from a seed for its composition and one for its content.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from simsearch import load_extractor
from simsearch.distance import js
from simsearch.images.perturb import by_name
from simsearch.spatial import SecondLook, look, query_witnesses, witness
from simsearch.spatial.overlap import overlap

OUTPUT = Path(__file__).parents[2] / "docs" / "second-look.png"
SIZE, CELL, MARGIN = (480, 320), (300, 240), 10
_FOUND = 4  # places from which on an outline is drawn


def street(composition: int, content: int, *, aside: float = 0.0) -> Image.Image:
    """Houses along a street, seen from a step aside where that is not 0; content decides windows, doors and colours."""
    plan, rng = np.random.default_rng(composition), np.random.default_rng((composition, content))
    wide, high = SIZE
    image = Image.new("RGB", SIZE, (150, 185, 220))
    draw = ImageDraw.Draw(image)
    ground = int(0.72 * high)
    draw.rectangle((0, ground, wide, high), fill=(110, 108, 104))
    left = -30.0
    while left < wide:
        width, top, depth = plan.uniform(60, 120), plan.uniform(0.12, 0.4) * high, plan.uniform(0.4, 1.0)
        width, top = width * rng.uniform(0.88, 1.12), top * rng.uniform(0.85, 1.15)
        x = left + 60 * aside * depth
        draw.rectangle((x, top, x + width - 4, ground), fill=tuple(rng.integers(90, 220, 3).tolist()))
        for row in range(int(rng.integers(3, 6))):
            for column in range(int(rng.integers(2, 5))):
                at = x + 8 + column * width / 4.5, top + 10 + row * 34
                fill = tuple(rng.integers(20, 120, 3).tolist())
                reach = rng.uniform(6, 13), rng.uniform(10, 20)
                draw.rectangle((*at, at[0] + reach[0], max(at[1], min(ground - 4, at[1] + reach[1]))), fill=fill)
        draw.polygon([(x - 4, top), (x + width / 2, top - rng.uniform(8, 34)), (x + width, top)], fill=(120, 70, 60))
        left += width
    for _ in range(int(rng.integers(2, 5))):
        x, length = rng.uniform(0, wide), rng.uniform(40, 80)
        draw.rounded_rectangle(
            (x, ground + 12, x + length, ground + 36), 8, fill=tuple(rng.integers(0, 255, 3).tolist())
        )
    return image.filter(ImageFilter.GaussianBlur(0.7))


def edited(name: str) -> Callable[[Image.Image], Image.Image]:
    """Return an edit by its name."""
    return lambda image: by_name(name).apply(image, np.random.default_rng(3))


def pairs() -> list[tuple[str, Image.Image, Image.Image]]:
    """Return what each pair is, the query and the item."""
    item = street(1, 1)
    return [
        ("laid on another picture", edited("laid_on_image_40")(item), item),
        (
            "mirrored, cropped, grey",
            ImageOps.mirror(edited("crop_anywhere_30")(item)).convert("L").convert("RGB"),
            item,
        ),
        ("equal composition, other content", street(1, 2), item),
        ("one street, a step aside", street(1, 1, aside=0.7), item),
    ]


def main() -> None:
    extractor, told = load_extractor("mini", device="cpu"), pairs()
    sheet = Image.new("RGB", (2 * CELL[0] + 3 * MARGIN, len(told) * (CELL[1] + MARGIN)), "white")
    draw = ImageDraw.Draw(sheet)
    for line, (what, query, item) in enumerate(told):
        rows = extractor.embed([query, item])
        seen = look(query_witnesses(query), witness(item))
        top = line * (CELL[1] + MARGIN)
        text = f"{what}: mini {js(rows[:1], rows[1:])[0, 0]:.2f}, {seen.agreeing} places"
        draw.text((MARGIN, top + 4), text, fill="black", font_size=15)
        for column, picture in enumerate(outlined(seen, query, item)):
            sheet.paste(
                ImageOps.contain(picture, (CELL[0], CELL[1] - 30)), (MARGIN + column * (CELL[0] + MARGIN), top + 26)
            )
        print(text)
    sheet.save(OUTPUT, optimize=True)


def outlined(seen: SecondLook, query: Image.Image, item: Image.Image) -> list[Image.Image]:
    """Return both pictures with what they have in common drawn, where enough places agree."""
    common = overlap(seen, query.size, item.size) if seen.agreeing >= _FOUND else None
    pictures = [query.copy(), item.copy()]
    if common is not None:
        for picture, polygon in zip(pictures, (common.in_query, common.in_item), strict=True):
            ImageDraw.Draw(picture).polygon([tuple(corner) for corner in polygon.tolist()], outline="red", width=4)
    return pictures


if __name__ == "__main__":
    main()
