"""The nearest database images of every edited copy, from which all protocols compute.

A float row of zeros, as some methods give for a flat picture, has no distance: it is infinitely far from every image,
like an image without keypoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.data.array_cache import digest
from simsearch.benchmark.data.edit_set import ORIGINAL
from simsearch.benchmark.data.methods import MethodSpec
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.data.row_cache import RowCache
from simsearch.benchmark.data.splits import Split
from simsearch.distance import METRICS, by_name
from simsearch.search.exact import knn
from simsearch.search.multi_vector.distances import image_distances

_DISTANCES = "distances"

Values = NDArray[np.float64]
Positions = NDArray[np.int64]
Parts = list[NDArray[Any]]
Found = tuple[Values, Positions, Values, Values]

_AT_ONCE = 16  # pictures whose copies are compared together


@dataclass(frozen=True, slots=True)
class Nearest:
    """For each query (pictures, copies): the nearest image of a database, and its own original.

    Attributes:
        distance: To the nearest, any image.
        position: Of the nearest in the database; -1 where no distance is finite.
        own: To the query's own original; NaN for a stranger.
        other: To the nearest image that is not its own.
    """

    distance: Values
    position: Positions
    own: Values
    other: Values

    def some(self, pictures: slice) -> Nearest:
        """Return the values of some pictures."""
        return Nearest(self.distance[pictures], self.position[pictures], self.own[pictures], self.other[pictures])


@dataclass(frozen=True, slots=True)
class Distances:
    """One method, metric and split: copies of database pictures, and copies of strangers.

    Attributes:
        copies: (attacked, edits).
        strangers: (attacked, edits).
    """

    copies: Nearest
    strangers: Nearest


@dataclass(frozen=True, slots=True)
class Sides:
    """The two sides of a comparison.

    Attributes:
        database: Pictures whose originals can be found.
        queries: Pictures whose copies are searched.
        own: Position of each query picture's own image in the database, -1 for a stranger.
    """

    database: tuple[Picture, ...]
    queries: tuple[Picture, ...]
    own: tuple[int, ...]

    @classmethod
    def of(cls, database: tuple[Picture, ...], queries: tuple[Picture, ...]) -> Sides:
        """Return the sides of these pictures, each query its own image."""
        place = {picture.sha256: i for i, picture in enumerate(database)}
        return cls(database, queries, tuple(place.get(picture.sha256, -1) for picture in queries))


def measure_split(row_cache: RowCache, spec: MethodSpec, metric: str, split: Split, copies: Sequence[str]) -> Distances:
    """Return the distances of one split, from stored rows.

    Raises:
        RowError: A row is not finite or all zeros.
        MetricError: The metric is not defined on these rows.
    """
    n = split.attacked
    found = nearest(row_cache, spec, metric, Sides.of(split.database, split.queries), copies)
    return Distances(found.some(slice(n)), found.some(slice(n, None)))


def nearest(row_cache: RowCache, spec: MethodSpec, metric: str, sides: Sides, copies: Sequence[str]) -> Nearest:
    """Return the distances of all copies of some pictures to the originals of a database, cached.

    Args:
        row_cache: The stored rows.
        spec: The method.
        metric: The distance.
        sides: The database and the queries.
        copies: By id.
    """
    key = digest(
        spec.key,
        metric,
        spec.method.cutoff,
        [picture.sha256 for picture in sides.database],
        [[picture.sha256, i] for picture, i in zip(sides.queries, sides.own, strict=True)],
        [row_cache.edits.seed, row_cache.edits.stamp, *copies],
        *([spec.method.bits] if (spec.method.bits or 0) % 8 else ()),  # whole bytes imply their length
    )
    if (stored := row_cache.store.read(_DISTANCES, key)) is not None:
        return Nearest(**stored)
    found = _measured(row_cache, spec, metric, sides, copies)
    row_cache.store.write(_DISTANCES, key, {field.name: getattr(found, field.name) for field in fields(found)})
    return found


def _measured(row_cache: RowCache, spec: MethodSpec, metric: str, sides: Sides, copies: Sequence[str]) -> Nearest:
    originals = [row_cache.rows(spec.key, picture, [ORIGINAL])[0] for picture in sides.database]
    compare = _several if spec.method.several else _single
    found: list[Found] = []
    for start in range(0, len(sides.queries), _AT_ONCE):
        group = slice(start, start + _AT_ONCE)
        rows = [row for picture in sides.queries[group] for row in row_cache.rows(spec.key, picture, copies)]
        own = np.repeat(np.array(sides.own[group], np.int64), len(copies))
        found.append(compare(rows, originals, own, metric, spec))
    shape = len(sides.queries), len(copies)
    return Nearest(*(np.concatenate(column).reshape(shape) for column in zip(*found, strict=True)))


def _several(rows: Parts, originals: Parts, own: Positions, metric: str, spec: MethodSpec) -> Found:
    """Return of images of several rows."""
    if not METRICS[metric].of_codes:
        rows, originals = ([image[_seen(image)] for image in images] for images in (rows, originals))
    cutoff, bits = spec.method.cutoff, spec.method.bits
    return _of_matrix(image_distances(rows, originals, metric=metric, cutoff=cutoff, bits=bits, threads=1), own)


def _single(rows: Parts, originals: Parts, own: Positions, metric: str, spec: MethodSpec) -> Found:
    """Return of images of one row."""
    queries, database = np.concatenate(rows), np.concatenate(originals)
    if METRICS[metric].of_codes:
        bits = spec.method.bits or 8 * database.shape[1]
        scale = 8 * database.shape[1] / bits  # bytes may end in unused bits
        return _of_matrix((by_name("hamming")(queries, database) * scale).astype(np.float32), own)
    seen = _seen(queries)
    k = min(2, len(database))
    found = knn(queries[seen], [database], k=k, metric=metric, live=[_seen(database)], device=spec.device)
    distance, position = np.full((len(queries), 2), np.inf), np.full(len(queries), -1)
    distance[seen, :k], position[seen] = found.distances, found.positions[:, 0]
    other = np.where(position == own, distance[:, 1], distance[:, 0])
    return distance[:, 0], position, _to_own(queries, database, own, metric), other


def _to_own(queries: NDArray[Any], database: NDArray[Any], own: Positions, metric: str) -> Values:
    """Return the distance of each query to its own original, rounded as by `knn`."""
    out = np.where(own < 0, np.nan, np.inf)
    for position in np.unique(own[own >= 0]):
        here = (own == position) & _seen(queries)
        if database[position].any():
            out[here] = by_name(metric)(queries[here], database[position][None])[:, 0].astype(np.float32)
    return out


def _seen(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which float rows (n, d) are not all zeros."""
    seen: NDArray[np.bool_] = np.any(rows, axis=1)
    return seen


def _of_matrix(matrix: NDArray[np.float32], own: Positions) -> Found:
    """Return nearest, own and nearest other from all distances (queries, database), ties to the earlier image."""
    distances = matrix.astype(np.float64)
    everyone = np.arange(len(distances))
    position = distances.argmin(axis=1)
    distance = distances[everyone, position]
    has_own = own >= 0
    to_own = np.where(has_own, distances[everyone, own], np.nan)
    distances[everyone[has_own], own[has_own]] = np.inf
    return distance, np.where(np.isinf(distance), -1, position), to_own, distances.min(axis=1)
