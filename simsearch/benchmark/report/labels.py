"""The names of edits and their families in tables and plots."""

from __future__ import annotations

from simsearch.images.perturb import FAMILIES


def edit_title(name: str) -> str:
    """Return an edit in words; the name of no family is returned as it is.

    Example:
        >>> edit_title("cropping_60_and_rescaling"), edit_title("my.edits:fade")
        ('60 % of each side cropped', 'my.edits:fade')
    """
    head, bracket, options = name.partition("(")
    for family in FAMILIES:
        if (strength := family.strength_in(head)) is not None:
            title = family.title.replace("{}", strength)
            return f"{title} ({options}" if bracket else title
    return name


def strength_title(name: str, family: str) -> str:
    """Return the strength alone, for a heading that already names the family.

    Example:
        >>> strength_title("rotation_60_and_rescaling", "rotation"), strength_title("flip_vertical", "flip_vertical")
        ('60', '')
    """
    return name.removeprefix(family).removesuffix("_and_rescaling").strip("_") if name.startswith(family) else name


def family_title(family: str) -> str:
    """Return a family of edits in words.

    Example:
        >>> family_title("contrast_enhancement"), family_title("jpg_compression")
        ('contrast', 'JPEG')
    """
    headings = {one.name: one.heading for one in FAMILIES}
    return headings.get(family) or family.replace("_", " ")
