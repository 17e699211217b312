"""Distances between images that have several rows each, such as keypoints or the hashes of their segments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import METRICS, Rows, by_name, check_rows
from simsearch.errors import InputError, RowError
from simsearch.runtime.threads import pool, thread_count
from simsearch.search.packing import as_words

_QUERY_ROWS = 1024  # rows of query images compared at once with
_DATABASE_ROWS = 4096  # rows of the database: 16 MiB of float32 scores, which stay in a processor's cache
_UNIT = 2.0**-24  # relative rounding of float32
_SMALLEST = 2.0**-140  # more than what float32 loses of a product near zero

Squares = NDArray[np.float64]
Starts = NDArray[np.int64]
Shared = Callable[[Callable[[slice], None], int], None]


def image_distances(
    queries: Sequence[Rows],
    database: Sequence[Rows],
    *,
    metric: str,
    cutoff: int = 1,
    bits: int | None = None,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Return the distance from each query image to each image of the database, from all of their rows.

    Each row of the query takes its nearest row in the other image; the cutoff-th smallest of these distances is that
    of the images. There is no cross-check and no ratio test, and the order matters: two images may be nearer one way
    than the other. Memory beyond the arguments and the result stays bounded, but for images of many thousand rows.

    Args:
        queries: The rows of each query image: arrays (p_i, d) float, or (p_i, b) uint8 for hamming; p_i may be 0.
        database: The rows of each image of the database (r_j, d).
        metric: A name of `simsearch.distance.METRICS`.
        cutoff: Which of the sorted distances counts, from 1.
        bits: Length of a hamming code that does not fill its last byte, as in `simsearch.distance.hamming`.
        threads: Threads for what is no matrix product; None is one a core.

    Returns:
        (q, n) float32; infinity where the query has fewer than `cutoff` rows or the other image has none. Images that
        share `cutoff` rows are at distance exactly 0.

    Raises:
        RowError: A row is not finite, is all zeros or has another dimension, and its image is named; or the codes
            cannot be `bits` long.
        MetricError: The metric does not exist or is not defined on these rows.
        InputError: Cutoff or threads is less than 1.

    Example:
        >>> a, b = np.array([[0.0, 1.0], [5.0, 5.0]]), np.array([[5.0, 9.0], [0.0, 1.0]])
        >>> image_distances([a], [b, b[:0]], metric="l2")
        array([[ 0., inf]], dtype=float32)
        >>> image_distances([a], [b], metric="l2", cutoff=2)
        array([[4.]], dtype=float32)
    """
    by_name(metric)
    if bits is not None and metric != "hamming":
        raise InputError(f"bits is {bits} and only hamming counts bits, not {metric}")
    if cutoff < 1:
        raise InputError(f"cutoff is {cutoff} and must be at least 1")
    count = thread_count(threads)
    images = [*queries, *database]
    _check(queries, database, metric)
    out = np.full((len(queries), len(database)), np.inf, np.float32)
    nearest = _nearest_for(metric, images, bits, cutoff, _share(count))
    for there in _groups(database, _DATABASE_ROWS):
        prepared = nearest.prepare(_stacked(database[there]))
        for here in _groups(queries, _QUERY_ROWS):
            with np.errstate(over="ignore"):
                out[here, there] = nearest.between(nearest.prepare(_stacked(queries[here])), prepared)
    return out


class _Stack(NamedTuple):
    """Rows of several images below one another, and where each image's rows start (n + 1)."""

    rows: Rows
    starts: Starts


def _stacked(images: Sequence[Rows]) -> _Stack:
    return _Stack(np.concatenate(images), np.cumsum([0, *map(len, images)], dtype=np.int64))


def _groups(images: Sequence[Rows], limit: int) -> Iterator[slice]:
    """Yield slices of consecutive images with at most that many rows together, or one image."""
    start = rows = 0
    for i, image in enumerate(images):
        if i > start and rows + len(image) > limit:
            yield slice(start, i)
            start, rows = i, 0
        rows += len(image)
    if len(images):
        yield slice(start, len(images))


def _check(queries: Sequence[Rows], database: Sequence[Rows], metric: str) -> None:
    dimension = None
    for kind, images in (("query", queries), ("database", database)):
        for i, image in enumerate(images):
            check_rows(image, dimension=dimension, metric=metric, what=f"{kind} image {i}, row")
            dimension = image.shape[1]


def _share(count: int) -> Shared:
    """Return a function that splits range(length) among the threads."""

    def share(work: Callable[[slice], None], length: int) -> None:
        bounds = [length * i // count for i in range(count + 1)]
        deque(pool(count).map(work, map(slice, bounds[:-1], bounds[1:])), maxlen=0)

    return share


class _Nearest(ABC):
    """A comparison of the images of two stacks."""

    @abstractmethod
    def prepare(self, stack: _Stack) -> Any:
        """Return the stack, prepared for `between`."""

    @abstractmethod
    def between(self, a: Any, b: Any) -> Squares:
        """Return the distances (q, n), infinite where there are too few rows."""


@final
class _Hamming(_Nearest):
    """Bits counted word by word."""

    def __init__(self, bits: int, cutoff: int, share: Shared) -> None:
        self._bits = bits
        self._cutoff = cutoff
        self._share = share

    def prepare(self, stack: _Stack) -> _Stack:
        return _Stack(as_words(stack.rows, np.uint64), stack.starts)

    def between(self, a: _Stack, b: _Stack) -> Squares:
        from simsearch.search.multi_vector import kernels

        out = np.full((len(a.starts) - 1, len(b.starts) - 1), np.inf)

        def count(some: slice) -> None:
            queries = (a.rows, a.starts[some.start : some.stop + 1])
            kernels.hamming(queries, (b.rows, b.starts), self._cutoff, out[some])

        self._share(count, len(out))
        return out / self._bits


class _Vectors(NamedTuple):
    """A stack of float64 rows, the same scaled to at most 1 in float32, and the squared lengths of these."""

    rows: Squares
    starts: Starts
    scaled: NDArray[np.float32]
    terms: NDArray[np.float32]


class _Euclidean(_Nearest):
    """Scores from matrix products, then float64 distances of the few pairs of rows that can decide."""

    def __init__(self, exponent: int, cutoff: int, share: Shared) -> None:
        self._exponent = exponent
        self._cutoff = cutoff
        self._share = share

    def prepare(self, stack: _Stack) -> _Vectors:
        rows = np.asarray(stack.rows, np.float64)
        scaled = np.ldexp(rows, self._exponent)
        terms = np.einsum("nd,nd->n", scaled, scaled)
        return _Vectors(rows, stack.starts, scaled.astype(np.float32), terms.astype(np.float32))

    def between(self, a: _Vectors, b: _Vectors) -> Squares:
        return np.sqrt(self._squares(a, b))

    def _squares(self, a: _Vectors, b: _Vectors) -> Squares:
        from simsearch.search.multi_vector import kernels

        out = np.full((len(a.starts) - 1, len(b.starts) - 1), np.inf)
        products = a.scaled @ b.scaled.T
        dimension = a.rows.shape[1]
        lengths = sum(float(np.sqrt(x.terms.max(initial=0))) for x in (a, b))
        error = (2 * dimension + 16) * _UNIT * lengths**2 + dimension * _SMALLEST

        def measure(some: slice) -> None:
            queries = (a.rows, a.terms, a.starts[some.start : some.stop + 1])
            images = (b.rows, b.terms, b.starts)
            kernels.euclidean(queries, images, (products, error), self._cutoff, out[some])

        self._share(measure, len(out))
        return out


@final
class _Cosine(_Euclidean):
    """A quarter of the squared distance between rows of length 1."""

    def prepare(self, stack: _Stack) -> _Vectors:
        rows = np.asarray(stack.rows, np.float64)
        rows = rows / np.abs(rows).max(axis=1, keepdims=True)  # so that no length overflows
        rows /= np.sqrt(np.einsum("nd,nd->n", rows, rows))[:, None]
        return super().prepare(_Stack(rows, stack.starts))

    def between(self, a: _Vectors, b: _Vectors) -> Squares:
        squares = self._squares(a, b)
        return np.where(np.isinf(squares), np.inf, np.minimum(squares / 4, 1))


@final
class _Plain(_Nearest):
    """Every distance of every pair of rows, for metrics that have no faster way."""

    def __init__(self, metric: str, cutoff: int) -> None:
        self._distance = METRICS[metric]
        self._cutoff = cutoff

    def prepare(self, stack: _Stack) -> _Stack:
        return stack

    def between(self, a: _Stack, b: _Stack) -> Squares:
        out = np.full((len(a.starts) - 1, len(b.starts) - 1), np.inf)
        full = np.flatnonzero(np.diff(b.starts))
        if len(full) and len(a.rows):
            nearest = np.minimum.reduceat(self._distance(a.rows, b.rows), b.starts[full], axis=1)
            for i in np.flatnonzero(np.diff(a.starts) >= self._cutoff):
                nearest_rows = nearest[a.starts[i] : a.starts[i + 1]]
                out[i, full] = np.partition(nearest_rows, self._cutoff - 1, axis=0)[self._cutoff - 1]
        return out


def _nearest_for(metric: str, images: Sequence[Rows], bits: int | None, cutoff: int, share: Shared) -> _Nearest:
    if metric == "hamming":
        return _Hamming(_code_length(images, bits), cutoff, share)
    if metric == "l2":
        largest = max((float(np.abs(image).max(initial=0)) for image in images), default=0.0)
        return _Euclidean(-int(np.frexp(largest)[1]), cutoff, share)
    if metric == "cosine":
        return _Cosine(0, cutoff, share)
    return _Plain(metric, cutoff)


def _code_length(images: Sequence[Rows], bits: int | None) -> int:
    width = images[0].shape[1] if images else 1
    length = 8 * width if bits is None else bits
    if images and not 8 * (width - 1) < length <= 8 * width:
        raise RowError(f"codes of {width} bytes cannot hold {length} bits; pass the length the codes were made with")
    return length
