"""Perturbations: named, parameterised edits of an image, the same for benchmark and training.

`PAPER` holds the 58 of Vallez, Kucharavy and Dolamic, "Needle In A Haystack, Fast", 2022, in their order and under
their names, `PLATFORM` what today's platforms and their users do, `CHAINS` several of the `MILD` edits after each
other; `by_name` makes any of the same `FAMILIES`, sorted by `CATEGORIES`, at any strength, or loads a user's own.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from simsearch import naming
from simsearch.images.perturb.chains import FAMILIES as _CHAINS
from simsearch.images.perturb.chains import MILD, chains
from simsearch.images.perturb.edits.text import dejavu_sans_bold
from simsearch.images.perturb.family import CATEGORIES, Family, Perturbation, find
from simsearch.images.perturb.paper import FAMILIES as _PAPER
from simsearch.images.perturb.platform import FAMILIES as _PLATFORM
from simsearch.images.perturb.user import own

__all__ = [
    "CATEGORIES",
    "CHAINS",
    "FAMILIES",
    "MILD",
    "PAPER",
    "PLATFORM",
    "Family",
    "Perturbation",
    "by_name",
    "chains",
    "dejavu_sans_bold",
    "listing",
    "names",
    "paper",
    "platform",
]

FAMILIES = (*_PAPER, *_PLATFORM, *_CHAINS)


def paper(font: str | Path | None = None) -> tuple[Perturbation, ...]:
    """Return the 58 perturbations of the paper in its order, with text in that font (by default the one inside Pillow).

    Example:
        >>> len(paper())
        58
    """
    return _defaults(_PAPER, font)


def platform(font: str | Path | None = None) -> tuple[Perturbation, ...]:
    """Return today's edits at their usual strengths, with text in that font (by default the one inside Pillow).

    Example:
        >>> [edit.name for edit in platform() if edit.category == "text"][:2]
        ['caption_above_15', 'caption_above_30']
    """
    return _defaults(_PLATFORM, font)


def by_name(name: str, *, font: str | Path | None = None) -> Perturbation:
    """Return the perturbation of that name, at any strength: `jpg_compression_30`, `overlay_image_15(opacity=0.5)`.

    Args:
        name: A family's template with a number in place of {}, and options in parentheses; or a user's own function
            (image, rng, **options) -> image as `module:function` or `module:function(strength=0.3)`.
        font: A TrueType file for text; by default the font inside Pillow.

    Raises:
        InputError: No family has such a name, or the strength or an option is not allowed, or the function cannot be
            loaded.

    Example:
        >>> by_name("jpg_compression_30").parameters
        {'quality': 30}
        >>> by_name("overlay_image_15(place=centre, opacity=0.5)").name
        'overlay_image_15(opacity=0.5,place=centre)'
    """
    head, arguments = naming.parse(name)
    return own(head, arguments) if ":" in head else find(name, FAMILIES, font=font)


def names() -> tuple[str, ...]:
    """Return the names of all perturbations at their default strengths: the paper's, the platforms', the chains.

    Example:
        >>> names()[0], names()[-1]
        ('gaussian_noise_0.01', 'chain_6')
    """
    return tuple(edit.name for edit in (*PAPER, *PLATFORM, *CHAINS))


def listing() -> str:
    """Return all families as a help text: a heading a category, then template, strengths, summary, options."""
    order = sorted(FAMILIES, key=lambda family: CATEGORIES.index(family.category))
    lines: list[str] = []
    for category, families in groupby(order, key=lambda family: family.category):
        lines += [*([""] if lines else []), category]
        for family in families:
            usual = f": {family.allowed}, as {', '.join(family.strengths)}" if family.parameter else ""
            lines += [f"  {family.template}{usual}", f"      {family.summary}"]
            lines += [f"      {key}: {allowed}" for key, allowed in family.options.items()]
    return "\n".join(lines)


def _defaults(families: tuple[Family, ...], font: str | Path | None) -> tuple[Perturbation, ...]:
    return tuple(edit for family in families for edit in family.defaults(font))


PAPER = paper()
PLATFORM = platform()
CHAINS = _defaults(_CHAINS, None)
