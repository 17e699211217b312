"""What a perturbation is, and the families that make perturbations at any strength."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simsearch import naming
from simsearch.errors import InputError

Edit = Callable[..., Image.Image]
CATEGORIES = ("noise", "filter", "compression", "geometry", "colour", "text", "overlay", "layout", "chain", "own")


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One edit at one strength.

    Attributes:
        name: What the paper calls it, as `jpg_compression_10`; options that are not at their default follow in
            parentheses.
        family: The kind of edit, as `jpg_compression`.
        parameters: The keyword arguments of the edit.
        edit: The function (image, rng, **parameters) -> image.
        category: One of `CATEGORIES`; `own` is a user's.
    """

    name: str
    family: str
    parameters: Mapping[str, Any] = field(hash=False)
    edit: Edit = field(repr=False)
    category: str = "own"

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return a new edited image of the same mode, the same for the same state of `rng`.

        Args:
            image: RGB or greyscale (L); it is not changed.
            rng: The source of noise, letters and places; edits without chance do not draw from it.

        Raises:
            InputError: The image has another mode or no pixels, or the edit cannot be made of it.

        Example:
            >>> import numpy as np
            >>> from PIL import Image
            >>> from simsearch.images.perturb import by_name
            >>> by_name("scaling_0.5").apply(Image.new("RGB", (40, 20)), np.random.default_rng(0)).size
            (20, 10)
        """
        if image.mode not in {"RGB", "L"}:
            raise InputError(f"an image of mode {image.mode} cannot be perturbed; convert it to RGB first")
        if 0 in image.size:
            raise InputError(f"an image of {image.width}x{image.height} has no pixels to perturb; leave it out")
        return self.edit(image, rng, **self.parameters)


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`: any, whole ones, odd ones, or whole multiples of a number."""

    low: float
    high: float
    whole: bool = False
    odd: bool = False
    multiple: int = 1

    def read(self, name: str, text: str) -> float:
        """Return the number that the text stands for.

        Raises:
            InputError: It is no number or outside the range; the message begins with `name`.
        """
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:
            raise InputError(f"{name}: {text!r} is no {'whole ' if self.whole else ''}number") from None
        if not self.low <= value <= self.high or (self.odd and value % 2 == 0) or value % self.multiple * self.whole:
            raise InputError(f"{name}: {text} must be {self}")
        return value

    def __str__(self) -> str:
        kind = "an odd number " if self.odd else f"a multiple of {self.multiple} " if self.multiple > 1 else ""
        return f"{kind}from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, name: str, text: str) -> str:
        """Return the word itself.

        Raises:
            InputError: It is none of the words; the message begins with `name`.
        """
        if text not in self.words:
            raise InputError(f"{name}: {text!r} must be {self}")
        return text

    def __str__(self) -> str:
        return f"one of {', '.join(self.words)}"


@dataclass(frozen=True, slots=True)
class Free:
    """Any text, as words to write or a path."""

    what: str

    def read(self, name: str, text: str) -> str:
        """Return the text itself.

        Raises:
            InputError: It is empty; the message begins with `name`.
        """
        if not text:
            raise InputError(f"{name}: it is empty; it must be {self}")
        return text

    def __str__(self) -> str:
        return self.what


Option = Range | Choice | Free


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of edit with one strength, and the strengths that are tried by default.

    Attributes:
        template: The name of a perturbation, with {} where the strength stands; without {} there is only one.
        title: What it does, for people, with {} as in the template.
        edit: The function that does it.
        parameter: The keyword of `edit` that takes the strength; empty without one.
        strengths: Those of the paper or, for other families, usual ones, as written in the names.
        allowed: The strengths that are possible.
        category: One of `CATEGORIES`.
        options: What else may be set in parentheses, by keyword; defaults are those of `edit`.
        writes: Whether it writes letters, so that `edit` takes a `font`.
        heading: What people call all its strengths together; empty where that is its name with spaces.
    """

    template: str
    title: str
    edit: Edit
    parameter: str
    strengths: tuple[str, ...]
    allowed: Range
    category: str
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)
    writes: bool = False
    heading: str = ""

    @property
    def name(self) -> str:
        """The template without the strength, as `rotation` or `gaussian_filter`."""
        return self.template.split("_{}")[0]

    @property
    def summary(self) -> str:
        """What the edit gives, in one line."""
        return (inspect.getdoc(self.edit) or "").split("\n", maxsplit=1)[0]

    def strength_in(self, name: str) -> str | None:
        """Return the strength as written in that name; None for a name of another family.

        Example:
            >>> from simsearch.images.perturb import FAMILIES
            >>> [f.strength_in("cropping_15_and_rescaling") for f in FAMILIES if f.name == "cropping"]
            ['15']
        """
        head, *rest = map(re.escape, self.template.split("{}"))
        pattern = head + ("(?P<strength>.+?)" + "(?P=strength)".join(rest) if rest else "")
        match = re.fullmatch(pattern, name)
        return None if match is None else match.groupdict().get("strength", "")

    def at(
        self, strength: str = "", options: Mapping[str, str] | None = None, *, font: str | Path | None = None
    ) -> Perturbation:
        """Return the perturbation of that strength.

        Args:
            strength: As written in a name; empty for a family without strength.
            options: Options as written in parentheses; those at their default do not show in the name.
            font: A TrueType file for families that write; by default the font inside Pillow.

        Raises:
            InputError: The strength or an option is not possible.
        """
        name = self.template.replace("{}", strength)
        parameters: dict[str, Any] = {self.parameter: self.allowed.read(name, strength)} if self.parameter else {}
        chosen: dict[str, Any] = {}
        for key, text in (options or {}).items():
            if key not in self.options:
                raise InputError(f"{name}: no option {key!r}; it takes {', '.join(self.options) or 'none'}")
            value = self.options[key].read(f"{name}, {key}", text)
            if value != inspect.signature(self.edit).parameters[key].default:
                chosen[key] = value
        written = {"font": font} if self.writes else {}
        return Perturbation(
            naming.written(name, chosen), self.name, parameters | chosen | written, self.edit, self.category
        )

    def defaults(self, font: str | Path | None = None) -> tuple[Perturbation, ...]:
        """Return the perturbations of all its default strengths."""
        return tuple(self.at(strength, font=font) for strength in self.strengths)


def find(name: str, families: Iterable[Family], *, font: str | Path | None = None) -> Perturbation:
    """Return the perturbation of that name among those families.

    Raises:
        InputError: No family has such a name, or the strength or an option is not possible.
    """
    families = tuple(families)
    head, options = naming.parse(name)
    for family in families:
        strength = family.strength_in(head)
        if strength is not None:
            return family.at(strength, options, font=font)
    raise InputError(f"no perturbation {name!r}; the names are {', '.join(f.template for f in families)}")
