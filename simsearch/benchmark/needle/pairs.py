"""The nearest pairs among many originals, and from copies to their own original: exactly, by any metric.

Every pair within a radius is found; it is chosen on a sample so that enough pairs lie within it. A float row of zeros
has no distance and is in no pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.data.methods import MethodSpec
from simsearch.decide.pair_rate import Strangers
from simsearch.distance import METRICS, by_name
from simsearch.search.multi_vector.distances import image_distances
from simsearch.search.range_search import within

Parts = list[NDArray[Any]]
Places = NDArray[np.int64]
Values = NDArray[np.float64]

_AT_ONCE = 256  # query images of a batch
_SAMPLE = 256  # images a side of the sample for the radius
_FARTHER = 1.2  # times the radius, where too few pairs lie within it


class ImagePairs(NamedTuple):
    """Pairs of images: the query, the match, and their distance (m,) each."""

    left: Places
    right: Places
    distances: Values


@dataclass(frozen=True, slots=True)
class Originals:
    """Originals that can be found.

    Attributes:
        spec: The method.
        metric: The distance.
        parts: The rows (p, d) of each image; one, unless the method has several.
    """

    spec: MethodSpec
    metric: str
    parts: Parts

    def near(self, asked: Parts, reach: float, *, behind: int = 0) -> ImagePairs:
        """Return every original from position `behind` on within the radius of each query image."""
        found = [
            _shifted(self._near(asked[start : start + _AT_ONCE], reach, behind), start, behind)
            for start in range(0, len(asked), _AT_ONCE)
        ]
        return _joined(found)

    def to_own(self, copies: Parts, place: int) -> Values:
        """Return the distance of each of these copies to the original at a position, rounded as by `near`."""
        original = self.parts[place]
        if self.spec.method.several:
            return self._matrix(copies, [original])[:, 0]
        rows = np.concatenate(copies)
        out = np.full(len(rows), np.inf)
        if METRICS[self.metric].of_codes:
            differing = np.rint(by_name("hamming")(rows, original)[:, 0] * 8 * rows.shape[1])
            out[:] = (differing / self._bits).astype(np.float32)
        elif original.any():
            seen = rows.any(axis=1)
            out[seen] = by_name(self.metric)(rows[seen], original)[:, 0].astype(np.float32)
        return out

    def some(self, places: Places) -> Originals:
        """Return these originals alone."""
        return Originals(self.spec, self.metric, [self.parts[place] for place in places])

    def _near(self, asked: Parts, reach: float, behind: int) -> ImagePairs:
        if self.spec.method.several:
            matrix = self._matrix(asked, self.parts[behind:])
            left, right = np.nonzero((matrix <= reach) & np.isfinite(matrix))
            return ImagePairs(left, right, matrix[left, right])
        queries, rows = np.concatenate(asked), np.concatenate(self.parts[behind:])
        bits = self._bits if METRICS[self.metric].of_codes else None
        asking = np.arange(len(queries)) if bits else np.flatnonzero(queries.any(axis=1))
        found = within(
            queries[asking],
            [rows],
            max_distance=reach,
            metric=self.metric,
            live=None if bits else [np.any(rows, axis=1)],
            device=self.spec.device,
            bits=bits,
        )
        left = np.repeat(asking, np.diff(found.starts))
        return ImagePairs(left, found.positions, found.distances.astype(np.float64))

    def _matrix(self, asked: Parts, there: Parts) -> Values:
        method = self.spec.method
        if not METRICS[self.metric].of_codes:
            asked, there = ([image[image.any(axis=1)] for image in images] for images in (asked, there))
        matrix = image_distances(asked, there, metric=self.metric, cutoff=method.cutoff, bits=method.bits)
        return matrix.astype(np.float64)

    @property
    def _bits(self) -> int:
        return self.spec.method.bits or 8 * self.parts[0].shape[1]


def stranger_pairs(library: Originals, strangers: Strangers, wanted: int, *, seed: int) -> tuple[ImagePairs, float]:
    """Return all pairs of originals within a radius, each once, and the radius.

    Args:
        library: The originals.
        strangers: Of the pairs that count; others are returned too.
        wanted: The approximate number of stranger pairs within the radius; at least a quarter of it, or all that have a
            distance.
        seed: Of the sample.
    """
    n, total = len(library.parts), float(strangers.pairs()[0])
    reach = _first_reach(library, strangers, min(1.0, wanted / max(total, 1)), seed)
    while True:
        found = _joined(
            [
                _after(library.near(library.parts[start : start + _AT_ONCE], reach, behind=start), start)
                for start in range(0, n, _AT_ONCE)
            ]
        )
        counted = int(strangers.counts(found.left, found.right).sum())
        if 4 * counted >= min(wanted, total) or np.isinf(reach):
            return found, reach
        reach = _FARTHER * reach if reach < METRICS[library.metric].largest else np.inf


def _first_reach(library: Originals, strangers: Strangers, share: float, seed: int) -> float:
    """Return the radius of that share of a sample's stranger pairs; infinite where all may be taken."""
    n = len(library.parts)
    if n <= _SAMPLE or share >= 0.5:
        return np.inf
    drawn = np.random.default_rng(seed).permutation(n)
    here, there = drawn[: min(_SAMPLE, n // 2)], drawn[-min(_SAMPLE, n // 2) :]
    sample = library.some(there).near(library.some(here).parts, np.inf)
    counted = strangers.counts(here[sample.left], there[sample.right])
    if not counted.any():
        return np.inf
    return max(float(np.quantile(sample.distances[counted], share)), float(np.finfo(np.float32).eps))


def _after(pairs: ImagePairs, start: int) -> ImagePairs:
    """Return the pairs whose second image is behind the first, as positions in all images."""
    left = pairs.left + start
    once = pairs.right > left
    return ImagePairs(left[once], pairs.right[once], pairs.distances[once])


def _shifted(pairs: ImagePairs, start: int, behind: int) -> ImagePairs:
    return ImagePairs(pairs.left + start, pairs.right + behind, pairs.distances)


def _joined(parts: Sequence[ImagePairs]) -> ImagePairs:
    empty = ImagePairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return ImagePairs(*(np.concatenate(column) for column in zip(empty, *parts, strict=True)))
