"""Pictures of shapes and texture, the same for the same seed."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def picture(seed: int, size: tuple[int, int] = (480, 360)) -> Image.Image:
    """Coloured polygons of all sizes on shaded ground, a little soft."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(60, 196, (3, 4, 3), dtype=np.uint8)
    image = Image.fromarray(ground).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(90):
        middle, reach = rng.uniform(0, 1, 2) * size, rng.uniform(0.02, 0.14) * min(size)
        turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
        corners = middle + reach * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        draw.polygon([tuple(corner) for corner in corners], fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(0.6))
