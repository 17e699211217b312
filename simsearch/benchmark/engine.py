"""Rows of photographs and their edited copies, for all methods at once: made where they are not stored yet.

Workers decode, edit and hash, one photograph a job; networks work in this process on the pixels that jobs hand back.
Nothing but rows is kept, one file for each photograph and method, so that an interrupted run goes on where it stopped
and a new method computes only its own rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.copies import Done, Job, Want, missing, work
from simsearch.benchmark.gallery import Picture
from simsearch.benchmark.pool import Pool, Progress, torch_threads
from simsearch.benchmark.roster import Entry
from simsearch.benchmark.shelf import Shelf
from simsearch.extract.extractor import Extractor, checked_rows
from simsearch.extract.pipeline import default_workers

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
        for job, done in self.pool.run(work, jobs, cost=lambda job: job.bytes):
            if done.refused is not None:
                refused[job.picture.sha256] = done.refused
            else:
                with torch_threads(max(1, default_workers() - self.pool.busy)):
                    _embed(job, done, methods)
            made += len(job.copies)
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


def _embed(job: Job, done: Done, methods: Mapping[str, Entry]) -> None:
    """Rows by the networks from the pixels of all copies, stored."""
    for want in job.wants:
        if want.preprocessing is None:
            continue
        pixels = done.pixels[want.preprocessing.digest]
        chosen = [i for i, copy in enumerate(job.copies) if copy in set(want.copies)]
        rows = _rows(methods[want.key].extractor, pixels[chosen])
        job.shelf.add(want.key, job.picture, {job.copies[i]: row[None] for i, row in zip(chosen, rows, strict=True)})


def _rows(extractor: Extractor, pixels: NDArray[np.uint8]) -> Rows:
    batches = [pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH)]
    return np.concatenate([checked_rows(extractor, extractor.embed_pixels(batch), len(batch)) for batch in batches])
