"""The tensor forms of edits, by the name of the family in `simsearch.images`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from simsearch.training.augment import geometry as shape
from simsearch.training.augment import jpeg, pixels
from simsearch.training.augment.image_batch import Squares

Form = Callable[[Squares, Tensor, torch.Generator], Squares]

FORMS: Mapping[str, Form] = {
    "gaussian_noise": pixels.gaussian_noise,
    "s&p_noise": pixels.salt_and_pepper_noise,
    "speckle_noise": pixels.speckle_noise,
    "gaussian_filter": pixels.gaussian_filter,
    "jpg_compression": jpeg.jpg_compression,
    "scaling": shape.scaling,
    "cropping": shape.cropping,
    "crop_anywhere": shape.crop_anywhere,
    "rotation": shape.rotation,
    "shearing": shape.shearing,
    "contrast_enhancement": pixels.contrast_enhancement,
    "color_enhancement": pixels.color_enhancement,
    "brightness_enhancement": pixels.brightness_enhancement,
    "sharpness_enhancement": pixels.sharpness_enhancement,
    "perspective": shape.perspective,
    "flip_horizontal": shape.flip_horizontal,
    "flip_vertical": shape.flip_vertical,
    "turn": shape.turn,
    "blur": pixels.blur,
    "gamma": pixels.gamma,
    "vignette": pixels.vignette,
    "posterisation": pixels.posterisation,
}
OF_COLOURS = frozenset(
    {
        *("gaussian_noise", "s&p_noise", "speckle_noise", "contrast_enhancement", "brightness_enhancement", "gamma"),
        "posterisation",
    }
)
"""Edits whose luminance is not that of an edit of luminance: they act on, and cut off, each colour alone."""
