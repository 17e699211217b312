"""Rows of photographs and their edited copies, for all methods at once: made where they are not stored yet.

Workers decode, edit and hash, one photograph a job; networks work in this process on the pixels that jobs hand back.
Nothing but rows is kept, one file for each photograph and method, so that an interrupted run goes on where it stopped
and a new method computes only its own rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.data.copies import Done, Job, Want, missing, work
from simsearch.benchmark.data.methods import Entry
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.data.row_cache import Shelf
from simsearch.extract.extractor import Extractor, checked_rows
from simsearch.runtime.cpu import default_workers
from simsearch.runtime.processes import Pool, Progress, torch_threads

_BATCH = 64
Rows = NDArray[Any]
Need = tuple[Entry, Sequence[str]]
Wanted = Mapping[Picture, Sequence[Need]]


@dataclass(frozen=True, slots=True)
class Engine:
    """Where rows are made and stored.

    Attributes:
        shelf: Stored rows.
        pool: The workers.
    """

    shelf: Shelf
    pool: Pool

    def make(self, wanted: Wanted, *, progress: Progress | None = None) -> dict[str, str]:
        """Make and store the rows that are not stored yet.

        Args:
            wanted: The methods for each photograph, and the copies that each method needs of it, by id.
            progress: Called with (copies made, copies to make).

        Returns:
            By SHA-256 the message of each photograph that an edit or a method cannot work on.
        """
        jobs = [job for picture, needs in wanted.items() if (job := self._job(picture, needs)) is not None]
        methods = {entry.maker.key: entry for needs in wanted.values() for entry, _ in needs}
        refused: dict[str, str] = {}
        made, total = 0, sum(len(job.copies) for job in jobs)
        waiting: list[tuple[Job, Done]] = []
        for job, done in self.pool.run(work, jobs, cost=lambda job: job.bytes):
            made += len(job.copies)
            if done.refused is not None:
                refused[job.picture.sha256] = done.refused
            elif done.pixels:
                waiting.append((job, done))
            if made == total or sum(len(one.copies) for one, _ in waiting) >= _BATCH:
                with torch_threads(max(1, default_workers() - self.pool.busy)):
                    _embed(waiting, methods)
                waiting.clear()
            if progress is not None:
                progress(made, total)
        return refused

    def _job(self, picture: Picture, needs: Sequence[Need]) -> Job | None:
        """What is lacking of one photograph; two names of one method share their rows."""
        copies: dict[str, dict[str, None]] = {}
        for entry, some in needs:
            copies.setdefault(entry.maker.key, {}).update(dict.fromkeys(some))
        entries = {entry.maker.key: entry for entry, _ in needs}
        wants = [
            Want(entry.asked, key, tuple(copies[key]), None if entry.at_hand else entry.extractor.preprocessing)
            for key, entry in entries.items()
        ]
        left = tuple(missing(wants, self.shelf, picture))
        return Job(picture, left, self.shelf) if left else None


def _embed(waiting: Sequence[tuple[Job, Done]], methods: Mapping[str, Entry]) -> None:
    """Rows by the networks from the pixels of several photographs' copies, in batches over all of them; stored."""
    wanted: dict[str, list[tuple[Job, list[int], NDArray[np.uint8]]]] = {}
    for job, done in waiting:
        for want in job.wants:
            if want.preprocessing is not None:
                chosen = [i for i, copy in enumerate(job.copies) if copy in set(want.copies)]
                some = done.pixels[want.preprocessing.digest][chosen]
                wanted.setdefault(want.key, []).append((job, chosen, some))
    for key, parts in wanted.items():
        rows = _rows(methods[key].extractor, [pixels for _, _, pixels in parts])
        for job, chosen, _ in parts:
            own = {job.copies[i]: next(rows)[None] for i in chosen}
            job.shelf.add(key, job.picture, own)


def _rows(extractor: Extractor, several: Sequence[NDArray[np.uint8]]) -> Iterator[Rows]:
    """One row for each of the pixels of several photographs, one after the other."""
    pixels = several[0] if len(several) == 1 else np.concatenate(several)
    for start in range(0, len(pixels), _BATCH):
        batch = pixels[start : start + _BATCH]
        yield from checked_rows(extractor, extractor.embed_pixels(batch), len(batch))
