"""One photograph's edited copies, each made once and given to every method: the work of one job."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, fromarray

from simsearch.benchmark.data.edits import ORIGINAL, copy_of
from simsearch.benchmark.data.methods import load_method
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.data.row_cache import Shelf
from simsearch.errors import InputError
from simsearch.extract.extractor import Extractor
from simsearch.images.preprocess import Preprocessing
from simsearch.runtime.processes import single_threaded


@dataclass(frozen=True, slots=True)
class Want:
    """Rows that one method still lacks of one photograph.

    Attributes:
        method: Its name, by which a worker loads it.
        key: Under which its rows are stored.
        copies: Names of the edits, or `ORIGINAL`.
        preprocessing: For a network, whose pixels the job hands back; else None.
    """

    method: str
    key: str
    copies: tuple[str, ...]
    preprocessing: Preprocessing | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One photograph and what is wanted of it."""

    picture: Picture
    wants: tuple[Want, ...]
    shelf: Shelf

    @property
    def copies(self) -> list[str]:
        """Every copy that some method wants, once."""
        return list(dict.fromkeys(copy for want in self.wants for copy in want.copies))

    @property
    def bytes(self) -> int:
        """About how much memory the job takes: noise is made in float64, a few arrays at a time."""
        handed_back = sum(len(w.copies) * 3 * w.preprocessing.size**2 for w in self.wants if w.preprocessing)
        return 120 * self.picture.pixels + handed_back


@dataclass(frozen=True, slots=True)
class Done:
    """What a job hands back: pixels (copies, s, s, 3) by digest of a preprocessing, or why there are none."""

    pixels: Mapping[str, NDArray[np.uint8]] = field(hash=False)
    refused: str | None = None


def work(job: Job) -> Done:
    """Decode once, make each copy once, store the rows of the methods at hand, hand back pixels for the others."""
    try:
        return _work(job)
    except InputError as error:
        return Done({}, f"{error}")


def missing(wants: Iterable[Want], shelf: Shelf, picture: Picture) -> Iterator[Want]:
    """The wants without the copies whose rows are stored; none that lacks nothing."""
    for want in wants:
        there = shelf.stored(want.key, picture)
        if left := tuple(copy for copy in want.copies if copy not in there):
            yield Want(want.method, want.key, left, want.preprocessing)


def _work(job: Job) -> Done:
    at_hand = [want for want in job.wants if want.preprocessing is None]
    extractors = {want.method: extractor_of(want.method) for want in at_hand}
    rows: dict[str, dict[str, NDArray[Any]]] = {want.method: {} for want in at_hand}
    forms = {want.preprocessing.digest: want.preprocessing for want in job.wants if want.preprocessing}
    pixels: dict[str, list[NDArray[np.uint8]]] = {form: [] for form in forms}
    for name, copy in _made(job):
        for want in at_hand:
            if name in want.copies:
                rows[want.method][name] = extractors[want.method].parts([copy])[0]
        for form, preprocessing in forms.items():
            pixels[form].append(preprocessing.apply(copy))
    for want in at_hand:
        job.shelf.add(want.key, job.picture, rows[want.method])
    return Done({form: np.stack(arrays) for form, arrays in pixels.items()})


def _made(job: Job) -> Iterator[tuple[str, Image]]:
    """Each copy once, in their order: from where copies are kept, if they are, else made."""
    edited = [name for name in job.copies if name != ORIGINAL]
    kept = job.shelf.kept_copies(job.picture, edited) if edited else {}
    image = None if kept and len(edited) == len(job.copies) else job.picture.load()
    made: dict[str, NDArray[Any]] = {}
    for name in job.copies:
        if name in kept:
            yield name, fromarray(kept[name])
        elif image is not None:
            copy = copy_of(image, name, job.shelf.edits, job.picture.sha256)
            if job.shelf.keeps_copies and name != ORIGINAL:
                made[name] = np.asarray(copy)
            yield name, copy
    if made:
        job.shelf.keep_copies(job.picture, made)


@functools.cache
def extractor_of(name: str) -> Extractor:
    """The method of that name, loaded once in this process."""
    extractor = load_method(name)
    single_threaded()  # again: the method has loaded libraries
    return extractor
