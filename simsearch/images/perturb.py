"""Perturbations: named, parameterised edits of an image, the same for benchmark and training.

`PAPER` holds the 58 of Vallez, Kucharavy and Dolamic, "Needle In A Haystack, Fast", 2022, in their order and under
their names; `by_name` makes any of the same families at any strength.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simsearch.errors import InputError
from simsearch.images import perturb_pixels as pixels
from simsearch.images import perturb_shape as shape
from simsearch.images.perturb_text import dejavu_sans_bold, text

__all__ = ["FAMILIES", "PAPER", "Family", "Perturbation", "by_name", "dejavu_sans_bold", "paper"]

Edit = Callable[..., Image.Image]


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One edit at one strength.

    Attributes:
        name: What the paper calls it, as `jpg_compression_10`.
        family: The kind of edit, as `jpg_compression`.
        parameters: The keyword arguments of the edit.
        edit: The function (image, rng, **parameters) -> image.
    """

    name: str
    family: str
    parameters: Mapping[str, Any] = field(hash=False)
    edit: Edit = field(repr=False)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """A new edited image, the same for the same state of `rng`.

        Args:
            image: RGB or greyscale (L); it is not changed.
            rng: The source of noise, letters and places; edits without chance do not draw from it.

        Raises:
            InputError: The image has another mode, or the text does not fit on it.

        Example:
            >>> import numpy as np
            >>> from PIL import Image
            >>> by_name("scaling_0.5").apply(Image.new("RGB", (40, 20)), np.random.default_rng(0)).size
            (20, 10)
        """
        if image.mode not in {"RGB", "L"}:
            raise InputError(f"an image of mode {image.mode} cannot be perturbed; convert it to RGB first")
        return self.edit(image, rng, **self.parameters)


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of edit with one strength, and the strengths that the paper uses.

    Attributes:
        template: The name of a perturbation, with {} where the strength stands.
        edit: The function that does it.
        parameter: The keyword of `edit` that takes the strength.
        strengths: The paper's, weakest name first, as written in the names.
        low: The smallest strength allowed.
        high: The largest strength allowed.
        whole: Whether the strength is an integer.
        odd: Whether it must be an odd one, as the side of a filter.
    """

    template: str
    edit: Edit
    parameter: str
    strengths: tuple[str, ...]
    low: float
    high: float
    whole: bool = False
    odd: bool = False

    @property
    def name(self) -> str:
        """The template without the strength, as `rotation` or `gaussian_filter`."""
        return self.template.split("_{}")[0]

    def at(self, strength: str, **more: Any) -> Perturbation:
        """The perturbation of that strength.

        Raises:
            InputError: The strength is no number or outside [low, high].
        """
        name = self.template.replace("{}", strength)
        try:
            value = int(strength) if self.whole else float(strength)
        except ValueError:
            raise InputError(f"{name}: {strength!r} is no {'whole ' if self.whole else ''}number") from None
        if not self.low <= value <= self.high or (self.odd and value % 2 == 0):
            odd = "an odd number " if self.odd else ""
            raise InputError(f"{name}: {strength} must be {odd}from {self.low} to {self.high}")
        return Perturbation(name, self.name, {self.parameter: value, **more}, self.edit)


_FACTORS = ("0.5", "0.66", "1.5", "2")
_SIDES = ("3", "5", "7")
_ANGLES = ("5", "10", "20", "40", "60")
FAMILIES = (
    Family("gaussian_noise_{}", pixels.gaussian_noise, "variance", ("0.01", "0.02", "0.05"), 0, 100),
    Family("s&p_noise_{}", pixels.salt_and_pepper_noise, "amount", ("0.05", "0.1", "0.15"), 0, 1),
    Family("speckle_noise_{}", pixels.speckle_noise, "variance", ("0.01", "0.02", "0.05"), 0, 100),
    Family("gaussian_filter_{}x{}", pixels.gaussian_filter, "size", _SIDES, 1, 99, whole=True, odd=True),
    Family("median_filter_{}x{}", pixels.median_filter, "size", _SIDES, 1, 99, whole=True, odd=True),
    Family("jpg_compression_{}", pixels.jpg_compression, "quality", ("10", "50", "90"), 1, 100, whole=True),
    Family("scaling_{}", shape.scaling, "ratio", ("0.4", "0.8", "1.2", "1.6"), 0.01, 10),
    Family("cropping_{}_and_rescaling", shape.cropping_and_rescaling, "percent", ("5", "10", "20", "40", "60"), 0, 99),
    Family("rotation_{}_and_rescaling", shape.rotation_and_rescaling, "degrees", _ANGLES, -360, 360),
    Family("shearing_{}", shape.shearing, "degrees", ("1", "2", "5", "10", "20"), -80, 80),
    Family("contrast_enhancement_{}", pixels.contrast_enhancement, "factor", _FACTORS, 0, 100),
    Family("color_enhancement_{}", pixels.color_enhancement, "factor", _FACTORS, 0, 100),
    Family("brightness_enhancement_{}", pixels.brightness_enhancement, "factor", _FACTORS, 0, 100),
    Family("sharpness_enhancement_{}", pixels.sharpness_enhancement, "factor", _FACTORS, 0, 100),
    Family("text_length_{}", text, "length", ("10", "20", "30", "40", "50"), 1, 1000, whole=True),
)


def paper(font: str | Path | None = None) -> tuple[Perturbation, ...]:
    """The 58 perturbations of the paper in its order, with text in that font (by default the one inside Pillow).

    Example:
        >>> len(paper())
        58
    """
    return tuple(family.at(strength, **_extra(family, font)) for family in FAMILIES for strength in family.strengths)


def by_name(name: str, *, font: str | Path | None = None) -> Perturbation:
    """The perturbation of that name, at any strength: `jpg_compression_30`, `cropping_15_and_rescaling`.

    Args:
        name: A family's template with a number in place of {}.
        font: A TrueType file for text; by default the font inside Pillow.

    Raises:
        InputError: No family has such a name, or the strength is not allowed.

    Example:
        >>> by_name("jpg_compression_30").parameters
        {'quality': 30}
    """
    for family in FAMILIES:
        head, _, tail = family.template.partition("{}")
        if name.startswith(head):
            strength = name[len(head) :].removesuffix(tail) if tail != "x{}" else name[len(head) :].partition("x")[0]
            if family.template.replace("{}", strength) == name:
                return family.at(strength, **_extra(family, font))
    raise InputError(f"no perturbation {name!r}; the names are {', '.join(f.template for f in FAMILIES)}")


def _extra(family: Family, font: str | Path | None) -> dict[str, Any]:
    return {"font": font} if family.edit is text else {}


PAPER = paper()
