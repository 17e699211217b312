"""Keep rules: which file of several is the best, in words that can be combined.

A rule is one or more of `RULES` by commas, the first counting most: `path:*/originals/*,best`. Whatever the rule, a
file goes before a link, and that before a member of a tar; what is still equal goes by the older, then by the path.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simsearch.errors import InputError, shown
from simsearch.library.duplicates.encoding import Encoding
from simsearch.library.duplicates.report import Picture

RULES = ("best", "largest", "oldest", "newest", "quality", "path:PATTERN", "format:NAME+NAME")
_KINDS = ("file", "link", "member", "none")
_FEWEST = 1  # of the characters of a pattern

Encodings = Callable[[Sequence[Picture]], Sequence[Encoding]]
"""Returns how each of some files is encoded."""
_Key = Callable[[Picture, Encoding], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class KeepRule:
    """A parsed keep rule.

    Attributes:
        text: As it was given.
        keys: Of each part: lower is better.
        looks: Whether a part goes by how files are encoded.
    """

    text: str
    keys: tuple[_Key, ...]
    looks: bool

    def ranked(self, pictures: Sequence[Picture], encodings: Encodings) -> list[Picture]:
        """Return the files, the best first."""
        if len(pictures) < 2:
            return list(pictures)
        seen = encodings(pictures) if self.looks else [Encoding.unknown()] * len(pictures)
        order = sorted(range(len(pictures)), key=lambda i: self._order(pictures[i], seen[i]))
        return [pictures[i] for i in order]

    def _order(self, picture: Picture, encoding: Encoding) -> tuple[object, ...]:
        own = tuple(key(picture, encoding) for key in self.keys)
        return _KINDS.index(picture.kind), *own, picture.mtime_ns, picture.raw


def keep_rule(text: str) -> KeepRule:
    """Return a keep rule from its words.

    Raises:
        InputError: A word is none; those there are are named.
    """
    parts = [part.strip() for part in text.split(",")] if isinstance(text, str) else []
    keys = [_key(part) for part in parts]
    if not keys or None in keys:
        raise InputError(f"keep {shown(text)} is not known; give one or more, by commas, of {', '.join(RULES)}")
    looks = any(part == "best" or part.startswith("format:") for part in parts)
    return KeepRule(text, tuple(key for key in keys if key is not None), looks)


def _key(part: str) -> _Key | None:
    name, colon, value = part.partition(":")
    if name == "path" and colon and len(value) >= _FEWEST:
        pattern = os.fsencode(value)
        return lambda picture, _: (not fnmatch.fnmatchcase(picture.raw, pattern),)
    if name == "format" and colon and value:
        wanted = [one.strip().upper().replace("JPG", "JPEG") for one in value.split("+")]
        return lambda _, seen: (wanted.index(seen.format) if seen.format in wanted else len(wanted),)
    simple: dict[str, _Key] = {
        "best": lambda picture, seen: (-picture.pixels, seen.step, seen.derived),
        "largest": lambda picture, _: (-picture.size,),
        "oldest": lambda picture, _: (picture.mtime_ns,),
        "newest": lambda picture, _: (-picture.mtime_ns,),
        "quality": lambda picture, _: (-picture.quality, -picture.pixels),
    }
    return None if colon else simple.get(part)
