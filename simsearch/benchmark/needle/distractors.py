"""A large set of images as a stress test: how many of them are false matches of photographs.

Rows are computed or read block by block and dropped, so that a million distractors need no more memory than a thousand.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.needle.figures import Subject
from simsearch.benchmark.needle.pairs import Originals
from simsearch.benchmark.needle_results import NeedleDistractors, NeedlePair
from simsearch.errors import InputError
from simsearch.extract.embeddings.parquet import read_rows, rows_info
from simsearch.extract.extractor import Extractor
from simsearch.extract.pipeline import Embedded, embed_sources
from simsearch.images import find
from simsearch.images.source import printable
from simsearch.runtime.processes import Progress

_AT_ONCE = 4096  # rows compared together
_SHOWN = 20
_ROWS = ".parquet"


@dataclass(frozen=True, slots=True)
class ComparedPhotographs:
    """The photographs that distractors are compared with.

    Attributes:
        names: Of the photographs.
        known: SHA-256 of all photographs of the run; a distractor that is one of them does not count.
        subject: The method's stranger pairs and limits.
    """

    names: Sequence[str]
    known: Set[bytes]
    subject: Subject


class _Block(NamedTuple):
    names: list[str]
    rows: NDArray[Any]


def count_distractors(
    path: Path, extractor: Extractor, library: Originals, photographs: ComparedPhotographs, progress: Progress
) -> NeedleDistractors | None:
    """Count pairs of a photograph and a distractor within each threshold.

    Args:
        path: A folder or tar of images, or a Parquet file of rows of one model.
        extractor: Of the rows.
        library: The photographs' originals.
        photographs: Their names, contents, stranger pairs and limits.
        progress: Called with (distractors compared, None).

    Returns:
        None where the file holds another model's rows, or the method gives several rows an image.

    Raises:
        InputError: There are no distractors.
    """
    is_file = path.suffix == _ROWS
    if extractor.several or (is_file and rows_info(path).fingerprint != extractor.fingerprint):
        return None
    tail = photographs.subject.tail
    thresholds = [tail.threshold(limit.rate) for limit in photographs.subject.limits]
    reach = max((value for value in thresholds if value is not None), default=0.0)
    pairs = np.zeros(len(thresholds), np.int64)
    hit = np.zeros((len(thresholds), len(photographs.names)), bool)
    nearest: list[tuple[float, str, str]] = []
    count = 0
    for block in _from_file(path, photographs.known) if is_file else _from_images(path, extractor, photographs.known):
        found = library.near(list(block.rows[:, None]), reach)
        for i, value in enumerate(thresholds):
            inside = found.distances <= (-np.inf if value is None else value)
            pairs[i] += inside.sum()
            hit[i, found.right[inside]] = True
        shown = ((float(distance), photographs.names[b], block.names[a]) for a, b, distance in zip(*found, strict=True))
        nearest = heapq.nsmallest(_SHOWN, [*nearest, *shown])
        count += len(block.rows)
        progress(count, None)
    if not count:
        raise InputError(f"{path.name} holds no distractor; name a folder or tar of images, or a Parquet file of rows")
    rates = [None if value is None else tail.within(value) / tail.total for value in thresholds]
    return NeedleDistractors(
        name=path.absolute().name,
        count=count,
        queries=len(photographs.names),
        predicted=tuple(None if rate is None else rate * count * len(photographs.names) for rate in rates),
        observed=tuple(None if value is None else int(n) for value, n in zip(thresholds, pairs, strict=True)),
        queries_hit=tuple(None if value is None else int(n) for value, n in zip(thresholds, hit.sum(1), strict=True)),
        nearest=tuple(NeedlePair(own, other, distance) for distance, own, other in nearest),
    )


def _from_file(path: Path, known: Set[bytes]) -> Iterator[_Block]:
    for batch in read_rows(path):
        kept = [i for i, sha256 in enumerate(batch.sha256.to_pylist()) if sha256 not in known]
        paths = batch.paths
        last = ((paths[i] or b"").rpartition(b"/")[2] for i in kept)  # no path of this machine is published
        names = [printable(name) or f"row {batch.first + i}" for i, name in zip(kept, last, strict=True)]
        yield _Block(names, batch.rows[kept])


def _from_images(path: Path, extractor: Extractor, known: Set[bytes]) -> Iterator[_Block]:
    names: list[str] = []
    rows: list[NDArray[Any]] = []
    for one in embed_sources(extractor, find([path])):
        if not isinstance(one, Embedded) or one.row is None or one.sha256 in known:
            continue
        names.append(printable(one.source.name))
        rows.append(one.row)
        if len(rows) == _AT_ONCE:
            yield _Block(names, np.stack(rows))
            names, rows = [], []
    if rows:
        yield _Block(names, np.stack(rows))
