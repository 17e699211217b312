"""The bytes that an index takes in memory, while it is built, and as a file; computed, without building it."""

from __future__ import annotations

from dataclasses import dataclass

from simsearch.distance import METRICS
from simsearch.search.indexes.faiss_float import POINTS_A_LIST
from simsearch.search.indexes.index import LEAST_SAMPLE, STEP
from simsearch.search.indexes.spec import IndexSpec

PRECOMPUTED = 2 << 30
"""Bytes up to which FAISS makes tables of product codes for each list (IndexIVFPQ.cpp, precomputed_table_max_bytes)."""
_FLOAT = 4
_VALUES = 256  # of a byte of a product code
_COPIES = 3  # of the training sample, beside the one that is turned: as read, as features, as residuals
_STEP_COPIES = 2  # of the rows that are added at once, beside the turned ones
_LIST, _LIST_IN_FILE = 80, 8  # bytes of an empty inverted list: two vectors in memory, its length in a file


@dataclass(frozen=True, slots=True)
class Footprint:
    """The bytes of an index.

    Attributes:
        rows: Codes, ids and links of all rows.
        lists: Centroids of the inverted lists, and the lists themselves.
        tables: Rotation, codebooks, and tables of product codes that FAISS makes when it reads the index.
        made: Of lists and tables what is no part of the file.
        sample: Rows that it is trained on, which are freed before rows are added.
        step: Rows that are added at once.
    """

    rows: int
    lists: int
    tables: int
    made: int
    sample: int
    step: int

    @property
    def memory(self) -> int:
        """Bytes in memory while it is searched, if it is read whole."""
        return self.rows + self.lists + self.tables

    @property
    def fixed(self) -> int:
        """Bytes that it takes without any rows, as where its lists stay in the file."""
        return self.lists + self.tables

    @property
    def building(self) -> int:
        """Most bytes while it is trained and built in one piece, beside the rows themselves, which are mapped."""
        return self.peak(self.rows)

    def peak(self, rows: int) -> int:
        """Return the most bytes while it is trained, and so many bytes of codes are gathered at once."""
        return max(self.lists + self.tables - self.made + self.sample, self.fixed + rows + self.step)

    @property
    def file(self) -> int:
        """Bytes of its file."""
        return self.memory - self.made


def footprint(spec: IndexSpec, count: int) -> Footprint:
    """Return the bytes of an index over so many rows.

    Example:
        >>> found = footprint(IndexSpec("rabitq", "js", 512, 2048, 72, 512, 1), 1_000_000)
        >>> found.rows, found.lists, found.sample
        (80000000, 4358144, 805306368)
    """
    of_codes, step = METRICS[spec.metric].of_codes, min(count, STEP)
    kept = spec.code_width if of_codes else _FLOAT * (spec.reduced or spec.dimension)
    lists, unfiled = spec.lists * (kept + _LIST), spec.lists * (_LIST - _LIST_IN_FILE)
    if of_codes:
        sample = _COPIES * sample_rows(spec, count) * spec.code_width
        return Footprint(count * spec.row_bytes, lists, 0, unfiled, sample, _STEP_COPIES * step * spec.code_width)
    turned = _FLOAT * spec.dimension * spec.reduced if spec.reduced else 0
    learned = _FLOAT * spec.dimension**2 if spec.kind == "rabitq" and spec.reduced < spec.dimension else 0
    books = _FLOAT * _VALUES * spec.reduced if spec.kind == "ivf_pq" else 0
    made = _FLOAT * _VALUES * spec.code_bytes * spec.lists if spec.kind == "ivf_pq" else 0
    made = made if made <= PRECOMPUTED else 0
    sample = sample_rows(spec, count) * _FLOAT * (_COPIES * spec.dimension + (spec.reduced or spec.dimension))
    step *= _FLOAT * (_STEP_COPIES * spec.dimension + spec.reduced)
    return Footprint(count * spec.row_bytes, lists, turned + learned + books + made, made + unfiled, sample, step)


def sample_rows(spec: IndexSpec, count: int) -> int:
    """Return how many rows an index is trained on."""
    return min(count, max(POINTS_A_LIST * spec.lists, LEAST_SAMPLE)) if spec.lists else 0
