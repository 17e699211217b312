"""A watermark of one's own, as an edit that `simsearch finetune` and `simsearch benchmark` take by name.

From the checkout it is called `configs.watermark:agency`; options follow in parentheses, as `(opacity=0.4)`.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont


def agency(image: Image.Image, rng: np.random.Generator, *, opacity: float = 0.5) -> Image.Image:
    """The image under a grid of white lines and rings with the agency's name, somewhere, as previews carry it.

    Args:
        image: RGB; a copy, which may be changed.
        rng: Decides where the grid begins.
        opacity: Of the mark, in [0, 1].
    """
    width, height = image.size
    cell = max(8, round(min(width, height) / 3))
    mark = Image.new("L", image.size)
    draw = ImageDraw.Draw(mark)
    left, top = (int(rng.integers(-cell, 1)) for _ in range(2))
    font = ImageFont.load_default(cell / 4)
    line = max(1, cell // 24)
    for x in range(left, width + cell, cell):
        draw.line((x, 0, x + height, height), fill=255, width=line)
        draw.line((x, 0, x - height, height), fill=255, width=line)
        for y in range(top, height + cell, cell):
            draw.ellipse((x - cell // 6, y - cell // 6, x + cell // 6, y + cell // 6), outline=255, width=2 * line)
            draw.text((x + cell // 2, y + cell // 2), "AGENCY", fill=255, font=font, anchor="mm")
    white = Image.new("RGB", image.size, "white")
    return Image.composite(white, image, mark.point([round(opacity * level) for level in range(256)]))
