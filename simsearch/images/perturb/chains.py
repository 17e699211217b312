"""Chains of mild edits, as an image collects them on its way from hand to hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from simsearch.images.perturb import paper, platform
from simsearch.images.perturb.family import Family, Perturbation, Range, find

_SINGLE = (*paper.FAMILIES, *platform.FAMILIES)
MILD = (
    *("jpg_compression_60", "webp_compression_60", "scaling_0.7", "cropping_10_and_rescaling"),
    *("rotation_3_and_rescaling", "perspective_4", "padding_4", "brightness_enhancement_1.2"),
    *("contrast_enhancement_0.8", "color_enhancement_0.7", "gamma_1.25", "blur_1"),
    *("gaussian_noise_0.002", "sharpness_enhancement_2", "emoji_20", "watermark_tiled_text_20"),
)


def chain(image: Image.Image, rng: np.random.Generator, *, edits: int, font: str | Path | None = None) -> Image.Image:
    """Return the image after that many different mild edits in a row, drawn with their order by chance."""
    out = image
    for perturbation in drawn(rng, edits, font=font):
        out = perturbation.apply(out, rng)
    return out.copy() if out is image else out


def drawn(rng: np.random.Generator, edits: int, *, font: str | Path | None = None) -> tuple[Perturbation, ...]:
    """Return that many different ones of `MILD`: every selection and every order is equally likely."""
    chosen = rng.permutation(len(MILD))[:edits]
    return tuple(find(MILD[i], _SINGLE, font=font) for i in chosen)


def chains(k: int, seed: int) -> tuple[Perturbation, ...]:
    """Return the mild edits, in order, that `chain_{k}` makes of an image under `np.random.default_rng(seed)`.

    Example:
        >>> [edit.name for edit in chains(2, seed=0)] == [edit.name for edit in chains(3, seed=0)][:2]
        True
    """
    return drawn(np.random.default_rng(seed), k)


FAMILIES = (
    Family(
        "chain_{}", "{} mild edits in a row", chain, "edits", ("1", "2", "3", "4", "5", "6"),
        Range(0, len(MILD), whole=True), "chain", writes=True,
    ),
)  # fmt: skip
