"""The extractor `points`: the witness of a picture as a row of bytes, so that a library keeps it beside other rows."""

from __future__ import annotations

import hashlib
import importlib
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.extract.extractor import Extractor
from simsearch.extract.hashes.base import between, identify
from simsearch.runtime.threads import pool, thread_count
from simsearch.spatial.second_look import SecondLook, look
from simsearch.spatial.witness import (
    ASKED,
    DEFAULT_BYTES,
    PLACES,
    POINT,
    SEEN,
    VIEWS,
    Witness,
    luma_of,
    packed,
    points_of,
    witness_of,
    witnesses_of,
)

if TYPE_CHECKING:
    from simsearch.images.source import Limits


class _Packed(Extractor):
    """An extractor of packed keypoints, one row of bytes an image."""

    kind = "keypoints"
    metric = PLACES
    non_negative = False
    gives_codes = True
    preprocessing = SEEN

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return one row for each image of (n, s, s, 3) uint8: (n, dimension) uint8."""
        rows = pool(thread_count(None)).map(self._row, pixels)
        return np.array(list(rows), np.uint8).reshape(len(pixels), self.dimension)

    @abstractmethod
    def _row(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]: ...


@dataclass(kw_only=True, eq=False, repr=False)
class Points(_Packed):
    """The keypoints of a picture for a second look (`simsearch.spatial.look`), packed by `packed`: (n, bytes) uint8.

    A picture without texture has none: a row of zeros. Rows have no distance of their own.

    Attributes:
        bytes: Room for keypoints of 22 bytes each.

    Example:
        >>> from PIL import Image
        >>> Points().embed([Image.new("RGB", (64, 64))]).shape, Points(bytes=8192).name
        ((1, 2046), 'points(bytes=8192)')
    """

    base = "points"
    label = "Points"
    recipe = (
        "simsearch points 1: Shi-Tomasi corners of the luminance at 320, 6 levels by sqrt 2, radii of suppression, "
        "128 chosen comparisons of 5 x 5 means, bytes {bytes}"
    )

    bytes: int = between(DEFAULT_BYTES, POINT.itemsize, 1 << 14)

    def __post_init__(self) -> None:
        """Raise InputError for a parameter out of range."""
        identify(self)
        self.dimension = self.bytes // POINT.itemsize * POINT.itemsize

    def runtime(self) -> dict[str, str]:
        """Return the version of Pillow, which resizes."""
        return {"pillow": str(importlib.import_module("PIL").__version__)}

    def compare(self, query: Any, item: Any, *, limits: Limits | None = None) -> SecondLook:
        """Return a second look at two images, in any form that `embed` takes.

        Raises:
            ImageRejected: An image cannot be decoded.
        """
        (asked,), (stored,) = self.of_queries.embed(query, limits=limits), self.embed(item, limits=limits)
        return look(views_of(asked, self.dimension), points_of(stored))

    @property
    def of_queries(self) -> PointViews:
        """The extractor of queries: each is asked in all views."""
        return PointViews(self)

    def _row(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return packed(witness_of(luma_of(pixels), most_bytes=self.bytes), self.bytes)


class PointViews(_Packed):
    """The witnesses of a query in every view, packed behind each other: (n, views x room) uint8."""

    def __init__(self, points: Points) -> None:
        self.name = f"{points.name}-views"
        self.fingerprint = hashlib.sha256(f"{points.fingerprint} views".encode()).hexdigest()
        self.dimension = len(VIEWS) * ASKED * points.dimension
        self._room = points.dimension

    def _row(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        views = witnesses_of(pixels, most_bytes=self._room)
        return np.concatenate([packed(views[name], ASKED * self._room) for name in VIEWS])


def views_of(row: NDArray[np.uint8], dimension: int) -> dict[str, Witness]:
    """Return the witnesses of a query's row by the name of the view; one that is as long as a stored row is plain.

    Args:
        row: (views x room,) or (dimension,) uint8.
        dimension: Bytes of a stored row.
    """
    parts = row.reshape(1 if len(row) == dimension else len(VIEWS), -1)
    return {name: points_of(part) for name, part in zip(VIEWS, parts, strict=False)}
