"""A bank of rendered strings, to be laid over training images."""

from __future__ import annotations

import string

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

ALPHABET = string.ascii_letters + string.digits + " "
CANVAS = (480, 336)


def text_bank(size: int, *, count: int, seed: int) -> Tensor:
    """Return (count, 2, size, size) uint8: coverage and brightness of text as the squashed image would show it.

    Strings have 5 to 60 characters in lines of 10 to 24, white with a black stroke or black with a white one, at a
    random place and size.
    """
    rng = np.random.default_rng(seed)
    fonts = [ImageFont.load_default(float(points)) for points in range(16, 52, 4)]
    bank = np.empty((count, 2, size, size), np.uint8)
    for i in range(count):
        coverage, luma = _render(rng, fonts[rng.integers(len(fonts))])
        bank[i, 0] = np.asarray(coverage.resize((size, size), Image.Resampling.BILINEAR))
        bank[i, 1] = np.asarray(luma.resize((size, size), Image.Resampling.BILINEAR))
    return torch.from_numpy(bank)


def _render(
    rng: np.random.Generator, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> tuple[Image.Image, Image.Image]:
    """Return two "L" images: coverage, and brightness (premultiplied by coverage, so that both may be resized)."""
    length, line = int(rng.integers(5, 61)), int(rng.integers(10, 25))
    letters = "".join(rng.choice(list(ALPHABET), length))
    text = "\n".join(letters[at : at + line] for at in range(0, length, line))
    fill, edge = (255, 0) if rng.random() < 0.8 else (0, 255)
    coverage, luma = Image.new("L", CANVAS), Image.new("L", CANVAS)
    draw = ImageDraw.Draw(coverage)
    _, _, width, height = draw.multiline_textbbox((0, 0), text, font=font, stroke_width=2)
    x = int(rng.integers(0, max(1, CANVAS[0] - int(width)) + 1))
    y = int(rng.integers(0, max(1, CANVAS[1] - int(height)) + 1))
    draw.multiline_text((x, y), text, fill=255, font=font, stroke_width=2, stroke_fill=255, align="center")
    ImageDraw.Draw(luma).multiline_text(
        (x, y), text, fill=fill, font=font, stroke_width=2, stroke_fill=edge, align="center"
    )
    return coverage, luma
