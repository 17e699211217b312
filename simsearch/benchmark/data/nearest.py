"""From every edited copy to its nearest images of the database: what all protocols count.

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
from simsearch.benchmark.data.edits import ORIGINAL
from simsearch.benchmark.data.methods import Maker
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.data.row_cache import Shelf
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
    """Of each query (pictures, copies): the nearest image of a database, and the own one.

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
        """Those of some pictures."""
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
    """What is compared.

    Attributes:
        database: Whose originals can be found.
        queries: Whose copies are looked for.
        own: Position of each query picture's own image in the database, -1 for a stranger.
    """

    database: tuple[Picture, ...]
    queries: tuple[Picture, ...]
    own: tuple[int, ...]

    @classmethod
    def of(cls, database: tuple[Picture, ...], queries: tuple[Picture, ...]) -> Sides:
        """Both, each picture its own image."""
        place = {picture.sha256: i for i, picture in enumerate(database)}
        return cls(database, queries, tuple(place.get(picture.sha256, -1) for picture in queries))


def measure_split(shelf: Shelf, maker: Maker, metric: str, split: Split, copies: Sequence[str]) -> Distances:
    """The distances of one split, from stored rows.

    Raises:
        RowError: A row is not finite or all zeros.
        MetricError: The metric is not defined on these rows.
    """
    n = split.attacked
    found = nearest(shelf, maker, metric, Sides.of(split.database, split.queries), copies)
    return Distances(found.some(slice(n)), found.some(slice(n, None)))


def nearest(shelf: Shelf, maker: Maker, metric: str, sides: Sides, copies: Sequence[str]) -> Nearest:
    """The distances of all copies of some pictures to the originals of a database; kept once they are known.

    Args:
        shelf: The stored rows.
        maker: The method.
        metric: The distance.
        sides: The database and the queries.
        copies: By id.
    """
    key = digest(
        maker.key,
        metric,
        maker.method.cutoff,
        [picture.sha256 for picture in sides.database],
        [[picture.sha256, i] for picture, i in zip(sides.queries, sides.own, strict=True)],
        [shelf.edits.seed, shelf.edits.stamp, *copies],
        *([maker.method.bits] if (maker.method.bits or 0) % 8 else ()),  # whole bytes tell their length
    )
    if (stored := shelf.store.read(_DISTANCES, key)) is not None:
        return Nearest(**stored)
    found = _measured(shelf, maker, metric, sides, copies)
    shelf.store.write(_DISTANCES, key, {field.name: getattr(found, field.name) for field in fields(found)})
    return found


def _measured(shelf: Shelf, maker: Maker, metric: str, sides: Sides, copies: Sequence[str]) -> Nearest:
    originals = [shelf.rows(maker.key, picture, [ORIGINAL])[0] for picture in sides.database]
    compare = _several if maker.method.several else _single
    found: list[Found] = []
    for start in range(0, len(sides.queries), _AT_ONCE):
        group = slice(start, start + _AT_ONCE)
        rows = [row for picture in sides.queries[group] for row in shelf.rows(maker.key, picture, copies)]
        own = np.repeat(np.array(sides.own[group], np.int64), len(copies))
        found.append(compare(rows, originals, own, metric, maker))
    shape = len(sides.queries), len(copies)
    return Nearest(*(np.concatenate(column).reshape(shape) for column in zip(*found, strict=True)))


def _several(rows: Parts, originals: Parts, own: Positions, metric: str, maker: Maker) -> Found:
    """Of images of several rows."""
    if not METRICS[metric].of_codes:
        rows, originals = ([image[_seen(image)] for image in images] for images in (rows, originals))
    cutoff, bits = maker.method.cutoff, maker.method.bits
    return _of_matrix(image_distances(rows, originals, metric=metric, cutoff=cutoff, bits=bits, threads=1), own)


def _single(rows: Parts, originals: Parts, own: Positions, metric: str, maker: Maker) -> Found:
    """Of images of one row."""
    queries, database = np.concatenate(rows), np.concatenate(originals)
    if METRICS[metric].of_codes:
        bits = maker.method.bits or 8 * database.shape[1]
        scale = 8 * database.shape[1] / bits  # bytes may end in bits that no hash fills
        return _of_matrix((by_name("hamming")(queries, database) * scale).astype(np.float32), own)
    seen = _seen(queries)
    k = min(2, len(database))
    found = knn(queries[seen], [database], k=k, metric=metric, live=[_seen(database)], device=maker.device)
    distance, position = np.full((len(queries), 2), np.inf), np.full(len(queries), -1)
    distance[seen, :k], position[seen] = found.distances, found.positions[:, 0]
    other = np.where(position == own, distance[:, 1], distance[:, 0])
    return distance[:, 0], position, _to_own(queries, database, own, metric), other


def _to_own(queries: NDArray[Any], database: NDArray[Any], own: Positions, metric: str) -> Values:
    """Distance of each query to its own original, rounded as `knn` rounds."""
    out = np.where(own < 0, np.nan, np.inf)
    for position in np.unique(own[own >= 0]):
        here = (own == position) & _seen(queries)
        if database[position].any():
            out[here] = by_name(metric)(queries[here], database[position][None])[:, 0].astype(np.float32)
    return out


def _seen(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Which float rows (n, d) are more than zeros."""
    seen: NDArray[np.bool_] = np.any(rows, axis=1)
    return seen


def _of_matrix(matrix: NDArray[np.float32], own: Positions) -> Found:
    """Nearest, own and nearest other from all distances (queries, database), ties to the earlier image."""
    distances = matrix.astype(np.float64)
    everyone = np.arange(len(distances))
    position = distances.argmin(axis=1)
    distance = distances[everyone, position]
    has_own = own >= 0
    to_own = np.where(has_own, distances[everyone, own], np.nan)
    distances[everyone[has_own], own[has_own]] = np.inf
    return distance, np.where(np.isinf(distance), -1, position), to_own, distances.min(axis=1)
