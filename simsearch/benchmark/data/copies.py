"""One photograph's edited copies, each made once for all methods: the work of one job."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, fromarray

from simsearch.benchmark.data.edit_set import ORIGINAL, copy_of
from simsearch.benchmark.data.methods import load_method
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.data.row_cache import RowCache
from simsearch.errors import InputError
from simsearch.extract.extractor import Extractor
from simsearch.images.preprocess import Preprocessing
from simsearch.runtime.processes import single_threaded


@dataclass(frozen=True, slots=True)
class RowRequest:
    """The missing rows of one method for one photograph.

    Attributes:
        method: Its name, for a worker.
        key: Of its stored rows.
        copies: Names of the edits, or `ORIGINAL`.
        preprocessing: For a network, whose pixels the job returns; else None.
    """

    method: str
    key: str
    copies: tuple[str, ...]
    preprocessing: Preprocessing | None = None


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """One photograph and its row requests."""

    picture: Picture
    requests: tuple[RowRequest, ...]
    row_cache: RowCache

    @property
    def copies(self) -> list[str]:
        """Every requested copy, once."""
        return list(dict.fromkeys(copy for request in self.requests for copy in request.copies))

    @property
    def bytes(self) -> int:
        """Estimated memory of the job: noise is computed in float64, a few arrays at a time."""
        handed_back = sum(len(w.copies) * 3 * w.preprocessing.size**2 for w in self.requests if w.preprocessing)
        return 120 * self.picture.pixels + handed_back


@dataclass(frozen=True, slots=True)
class EmbedResult:
    """The result of a job: pixels (copies, s, s, 3) by digest of a preprocessing, or why there are none."""

    pixels: Mapping[str, NDArray[np.uint8]] = field(hash=False)
    refused: str | None = None


def work(job: EmbedJob) -> EmbedResult:
    """Decode once, make each copy once, store the rows of in-process methods, return pixels for the others."""
    try:
        return _work(job)
    except InputError as error:
        return EmbedResult({}, f"{error}")


def missing(requests: Iterable[RowRequest], row_cache: RowCache, picture: Picture) -> Iterator[RowRequest]:
    """Yield the requests without the copies whose rows are stored; no empty ones."""
    for request in requests:
        there = row_cache.stored(request.key, picture)
        if left := tuple(copy for copy in request.copies if copy not in there):
            yield RowRequest(request.method, request.key, left, request.preprocessing)


def _work(job: EmbedJob) -> EmbedResult:
    in_worker = [request for request in job.requests if request.preprocessing is None]
    extractors = {request.method: extractor_of(request.method) for request in in_worker}
    rows: dict[str, dict[str, NDArray[Any]]] = {request.method: {} for request in in_worker}
    forms = {request.preprocessing.digest: request.preprocessing for request in job.requests if request.preprocessing}
    pixels: dict[str, list[NDArray[np.uint8]]] = {form: [] for form in forms}
    for name, copy in _made(job):
        for request in in_worker:
            if name in request.copies:
                rows[request.method][name] = extractors[request.method].parts([copy])[0]
        for form, preprocessing in forms.items():
            pixels[form].append(preprocessing.apply(copy))
    for request in in_worker:
        job.row_cache.add(request.key, job.picture, rows[request.method])
    return EmbedResult({form: np.stack(arrays) for form, arrays in pixels.items()})


def _made(job: EmbedJob) -> Iterator[tuple[str, Image]]:
    """Yield each copy once, in order, from the cache or made."""
    edited = [name for name in job.copies if name != ORIGINAL]
    kept = job.row_cache.kept_copies(job.picture, edited) if edited else {}
    image = None if kept and len(edited) == len(job.copies) else job.picture.load()
    made: dict[str, NDArray[Any]] = {}
    for name in job.copies:
        if name in kept:
            yield name, fromarray(kept[name])
        elif image is not None:
            copy = copy_of(image, name, job.row_cache.edits, job.picture.sha256)
            if job.row_cache.keeps_copies and name != ORIGINAL:
                made[name] = np.asarray(copy)
            yield name, copy
    if made:
        job.row_cache.keep_copies(job.picture, made)


@functools.cache
def extractor_of(name: str) -> Extractor:
    """Return the method of that name, loaded once in this process."""
    extractor = load_method(name)
    single_threaded()  # again: the method has loaded libraries
    return extractor
