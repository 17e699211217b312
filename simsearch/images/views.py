"""The views of a picture that a query may be asked in: mirrored, turned, without its bars, and its parts.

Its parts are the halves, the quarters, the corners at 70 % of the sides and the centre at 50 %. Tried with model mini
on 30 photographs of 160 pixels, edited: a view, one of these or the inner part, came within a js distance of 0.5,
where one photograph in twenty has a stranger among 400, for all in collages of 2 x 2 and beside another photograph (as
they are, for none), for .43 and .80 of those laid on another at 30 and 50 % of its area (0 and .27), for .87 and .90
on a desktop's screen of 20 and 40 % (.70 and 0), for 1 and .77 on a phone's of 25 and 50 % (1 and .30). Collages of 3
x 3 and three side by side are not found: thirds would bring the latter, at three more views.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Transpose

from simsearch.errors import InputError, shown
from simsearch.images.bars import Box, inner_box
from simsearch.images.preprocess import Preprocessing

PLAIN = "plain"
_INNER = "inner part"
_ISOMETRIES = {
    "mirrored": Transpose.FLIP_LEFT_RIGHT,
    "turned 90": Transpose.ROTATE_90,
    "turned 180": Transpose.ROTATE_180,
    "turned 270": Transpose.ROTATE_270,
    "mirrored, turned 90": Transpose.TRANSPOSE,
    "mirrored, turned 180": Transpose.FLIP_TOP_BOTTOM,
    "mirrored, turned 270": Transpose.TRANSVERSE,
}
_PARTS = {  # shares of width and height: left, top, right, bottom
    "left half": (0, 0, 0.5, 1),
    "right half": (0.5, 0, 1, 1),
    "upper half": (0, 0, 1, 0.5),
    "lower half": (0, 0.5, 1, 1),
    "upper left quarter": (0, 0, 0.5, 0.5),
    "upper right quarter": (0.5, 0, 1, 0.5),
    "lower left quarter": (0, 0.5, 0.5, 1),
    "lower right quarter": (0.5, 0.5, 1, 1),
    "upper left": (0, 0, 0.7, 0.7),
    "upper right": (0.3, 0, 1, 0.7),
    "lower left": (0, 0.3, 0.7, 1),
    "lower right": (0.3, 0.3, 1, 1),
    "centre": (0.25, 0.25, 0.75, 0.75),
}
KINDS = {
    "flips": ("mirrored",),
    "turns": ("turned 90", "turned 180", "turned 270"),
    "crops": tuple(_PARTS),
    "letterbox": (_INNER,),
}
_LEAST = 16  # pixels of a part's sides
_ENLARGED = 2  # times the pixels that a whole picture needs are decoded for its parts


def views_of_kinds(kinds: Any) -> tuple[str, ...]:
    """Return the names of the views of some kinds, the whole picture's first; none for no kinds.

    Args:
        kinds: Names in `KINDS`, in any order, or one text with commas. Flips and turns together are all isometries.

    Raises:
        InputError: There is no such kind; those there are are named.

    Example:
        >>> views_of_kinds("flips,letterbox")
        ('plain', 'mirrored', 'inner part')
    """
    named = kinds.split(",") if isinstance(kinds, str) else kinds
    if not isinstance(named, (list, tuple)) or not all(kind in [*KINDS] for kind in named):
        raise InputError(f"views = {shown(kinds)} is not known; give some of {', '.join(KINDS)}")
    views = [view for kind in KINDS if kind in named for view in KINDS[kind]]
    if "flips" in named and "turns" in named:
        views += [view for view in _ISOMETRIES if view not in views]
    return (PLAIN, *views) if views else ()


def view_of(image: Image, view: str) -> Image | None:
    """Return a view of an RGB picture, or None where it has no such view: no bars, or too few pixels for parts."""
    if view == PLAIN:
        return image
    if view in _ISOMETRIES:
        return image.transpose(_ISOMETRIES[view])
    box = inner_box(image) if view == _INNER else _part(image.size, _PARTS[view])
    return None if box is None or min(box[2] - box[0], box[3] - box[1]) < _LEAST else image.crop(box)


def _part(size: tuple[int, int], shares: tuple[float, float, float, float]) -> Box:
    left, top, right, bottom = (round(side * share) for side, share in zip(size * 2, shares, strict=True))
    return left, top, right, bottom


@dataclass(frozen=True, slots=True)
class ViewPreprocessing(Preprocessing):
    """The preprocessing of one view of a picture; of the whole picture where it has no such view."""

    view: str = PLAIN

    @classmethod
    def of(cls, how: Preprocessing, view: str) -> ViewPreprocessing:
        """Return a preprocessing for a view."""
        return cls(**asdict(how), view=view)

    @property
    def at_least(self) -> int:
        """The shorter side that decoding must deliver: more where only a part is seen."""
        whole = super(ViewPreprocessing, self).at_least  # by name: slots make another class of it
        return whole * (1 if self.view == PLAIN or self.view in _ISOMETRIES else _ENLARGED)

    def apply(self, image: Image) -> NDArray[np.uint8]:
        """Return the view's pixels, uint8 (size, size, 3), from the whole RGB picture."""
        seen = view_of(image, self.view)
        return Preprocessing.apply(self, image if seen is None else seen)
