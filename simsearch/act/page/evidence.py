"""The page of one match: both pictures, what they have in common, how near they are, and what that is worth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsearch.act.page.inline import environment, inline, write_whole
from simsearch.act.page.measured import Measured, measured, together, worth
from simsearch.act.page.pair import PageSide
from simsearch.act.page.previews import QUALITY
from simsearch.images.paths import absolute, raw
from simsearch.images.quality import TEXT_PAGE, quality
from simsearch.images.source import Limits, as_text, read_range
from simsearch.library.read.thumbnails import small_jpeg
from simsearch.spatial.overlap import overlap
from simsearch.spatial.points import Points

if TYPE_CHECKING:
    from simsearch.decide.calibration import Expected
    from simsearch.extract.extractor import Extractor
    from simsearch.spatial.overlap import Overlap, Polygon
    from simsearch.spatial.second_look import SecondLook

SIDE = 960  # pixels of a preview: a page of two may show more than one of a thousand
LIBRARY_SIZE = 10_000
"""Photographs of the library in which a match is judged where nothing is said."""
_FOUND = 4  # places from which on an outline is drawn: strangers have 3 at most, save a few
_QUALITY_SIDE = 160  # pixels at which pictures are graded


@dataclass(frozen=True, slots=True)
class MatchEvidence:
    """What is known of two pictures.

    Attributes:
        a: One; of keypoints the query.
        b: The other.
        told: What each model says.
        seen: The second look by keypoints.
        common: What they have in common; None where keypoints do not say.
        library_size: Photographs of the library in which the match is judged.
    """

    a: PageSide
    b: PageSide
    told: tuple[Measured, ...]
    seen: SecondLook
    common: Overlap | None
    library_size: int = LIBRARY_SIZE

    @property
    def same(self) -> bool:
        """Whether the bytes are the same."""
        return self.a.sha256 == self.b.sha256

    @property
    def corners(self) -> tuple[list[list[float]], list[list[float]]] | None:
        """The outline of the common part in both pictures, in shares of their sides."""
        if self.common is None:
            return None
        return _shares(self.common.in_query, self.a), _shares(self.common.in_item, self.b)

    @property
    def facts(self) -> dict[str, Any]:
        """What the script of the page is told."""
        chart = None if self.common is None or self.seen.chart is None else self.seen.chart.tolist()
        return {"corners": self.corners, "chart": chart, "view": self.seen.view}

    @property
    def lines(self) -> list[tuple[str, str, str]]:
        """Each model's name, what it says, and what that is worth."""
        lines = []
        for one in self.told:
            value = f"{one.value:.0f} places agree" if one.seen is not None else f"{one.value:.4f} by {one.metric}"
            lines.append((one.model, value, self._worth(one.expected(self.library_size))))
        if (found := together(self.told, self.library_size)) is not None:
            names, expected = found
            lines.append((" and ".join(names), "together", self._worth(expected)))
        return lines

    def _worth(self, expected: Expected | None) -> str:
        if self.weak and not self.same:
            return "nothing: one of the two shows too little"
        return worth(expected, self.library_size) or "no rates of strangers are known of it"

    @property
    def common_words(self) -> str:
        """What they have in common, in words."""
        if self.common is None:
            return f"Keypoints do not say where they overlap: of {_FOUND} places, {self.seen.agreeing} agree."
        shares = f"{self.common.of_query:.0%} of the first and {self.common.of_item:.0%} of the second"
        edits = f"; {', '.join(self.common.edits)}" if self.common.edits else ""
        return f"{self.seen.agreeing} places agree on one map: they have {shares} in common{edits}."

    @property
    def weak(self) -> bool:
        """Whether one of them shows too little to accuse anybody: it is blank, or a page of text."""
        return any(0 <= side.quality <= TEXT_PAGE for side in (self.a, self.b))


def match_evidence(
    a: Path,
    b: Path,
    told: Sequence[Measured],
    *,
    library_size: int = LIBRARY_SIZE,
    points: Extractor | None = None,
    limits: Limits | None = None,
) -> MatchEvidence:
    """Return what is known of two image files.

    Args:
        a: One.
        b: Another.
        told: What models say of them, `measured`.
        library_size: Photographs of the library in which the match is judged.
        points: Makes keypoints; by default `Points()`. Not asked where `told` has a second look.
        limits: What one image may cost.

    Raises:
        ImageRejected: One cannot be read or decoded.
    """
    limits = limits or Limits()
    first, second = _side(a, limits), _side(b, limits)
    seen = next((one.seen for one in told if one.seen is not None), None)
    if seen is None:
        seen = measured(points or Points(), a, b, limits=limits).seen
        assert seen is not None  # keypoints give one
    sizes = (first.width, first.height), (second.width, second.height)
    common = overlap(seen, *sizes) if seen.agreeing >= _FOUND else None
    return MatchEvidence(first, second, tuple(told), seen, common, library_size)


def write_evidence(evidence: MatchEvidence, path: Path) -> int:
    """Write the page of a match, and return its size in bytes.

    Raises:
        InputError: The path is no place for a page.
        StorageFull: The disk is full; what stood there is unchanged.
    """
    page = environment().get_template("evidence.html")
    pieces = page.generate(
        evidence=evidence, facts=json.dumps(evidence.facts), inline=inline("page.css", "viewer.js", "evidence.js")
    )
    return write_whole(path, pieces)


def _side(path: Path, limits: Limits) -> PageSide:
    data = read_range(raw(path), offset=0, size=0, limit=limits.max_bytes)
    jpeg, decoded = small_jpeg(data, side=SIDE, limits=limits, quality=QUALITY)
    small = decoded.image
    small.thumbnail((_QUALITY_SIDE, _QUALITY_SIDE))
    text, encoded = as_text(absolute(raw(path)))
    digest, modified = hashlib.sha256(data).hexdigest(), path.stat().st_mtime_ns
    size = decoded.width, decoded.height
    grade = quality(np.asarray(small))
    return PageSide(text, encoded, digest, *size, len(data), decoded.format, grade, modified, jpeg)


def _shares(polygon: Polygon, side: PageSide) -> list[list[float]]:
    return [[round(float(x) / side.width, 5), round(float(y) / side.height, 5)] for x, y in polygon]
