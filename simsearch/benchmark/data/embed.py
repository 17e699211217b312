"""Rows of photographs and their edited copies, for all methods at once: computed where they are not stored yet.

Workers decode, edit and hash, one photograph a job; networks run in this process on the pixels that jobs return. Only
rows are stored, one file for each photograph and method, so that an interrupted run can resume and a new method
computes only its own rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.data.copies import EmbedJob, EmbedResult, RowRequest, missing, work
from simsearch.benchmark.data.methods import MethodEntry
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.data.row_cache import RowCache
from simsearch.extract.extractor import Extractor, checked_rows
from simsearch.runtime.cpu import default_workers
from simsearch.runtime.processes import Pool, Progress, torch_threads

_BATCH = 64
Rows = NDArray[Any]
Need = tuple[MethodEntry, Sequence[str]]
Requests = Mapping[Picture, Sequence[Need]]


@dataclass(frozen=True, slots=True)
class RowEmbedder:
    """The embedder of a run, with its stored rows.

    Attributes:
        row_cache: Stored rows.
        pool: The workers.
    """

    row_cache: RowCache
    pool: Pool

    def make(self, requests: Requests, *, progress: Progress | None = None) -> dict[str, str]:
        """Compute and store the missing rows.

        Args:
            requests: The methods for each photograph, and the ids of the copies that each needs of it.
            progress: Called with (copies made, copies to make).

        Returns:
            By SHA-256 the message of each photograph that an edit or a method refuses.
        """
        jobs = [job for picture, needs in requests.items() if (job := self._job(picture, needs)) is not None]
        methods = {entry.spec.key: entry for needs in requests.values() for entry, _ in needs}
        refused: dict[str, str] = {}
        n_done, total = 0, sum(len(job.copies) for job in jobs)
        waiting: list[tuple[EmbedJob, EmbedResult]] = []
        for job, done in self.pool.run(work, jobs, cost=lambda job: job.bytes):
            n_done += len(job.copies)
            if done.refused is not None:
                refused[job.picture.sha256] = done.refused
            elif done.pixels:
                waiting.append((job, done))
            if n_done == total or sum(len(one.copies) for one, _ in waiting) >= _BATCH:
                with torch_threads(max(1, default_workers() - self.pool.busy)):
                    _embed(waiting, methods)
                waiting.clear()
            if progress is not None:
                progress(n_done, total)
        return refused

    def _job(self, picture: Picture, needs: Sequence[Need]) -> EmbedJob | None:
        """Return the job of one photograph's missing rows; two names of one method share their rows."""
        copies: dict[str, dict[str, None]] = {}
        for entry, some in needs:
            copies.setdefault(entry.spec.key, {}).update(dict.fromkeys(some))
        entries = {entry.spec.key: entry for entry, _ in needs}
        requests = [
            RowRequest(
                entry.requested, key, tuple(copies[key]), None if entry.in_worker else entry.extractor.preprocessing
            )
            for key, entry in entries.items()
        ]
        left = tuple(missing(requests, self.row_cache, picture))
        return EmbedJob(picture, left, self.row_cache) if left else None


def _embed(waiting: Sequence[tuple[EmbedJob, EmbedResult]], methods: Mapping[str, MethodEntry]) -> None:
    """Embed the pixels of several photographs' copies by the networks, batched over all of them, and store the rows."""
    requests: dict[str, list[tuple[EmbedJob, list[int], NDArray[np.uint8]]]] = {}
    for job, done in waiting:
        for request in job.requests:
            if request.preprocessing is not None:
                chosen = [i for i, copy in enumerate(job.copies) if copy in set(request.copies)]
                some = done.pixels[request.preprocessing.digest][chosen]
                requests.setdefault(request.key, []).append((job, chosen, some))
    for key, parts in requests.items():
        rows = _rows(methods[key].extractor, [pixels for _, _, pixels in parts])
        for job, chosen, _ in parts:
            own = {job.copies[i]: next(rows)[None] for i in chosen}
            job.row_cache.add(key, job.picture, own)


def _rows(extractor: Extractor, several: Sequence[NDArray[np.uint8]]) -> Iterator[Rows]:
    """Yield one row for each of the pixels of several photographs, one after the other."""
    pixels = several[0] if len(several) == 1 else np.concatenate(several)
    for start in range(0, len(pixels), _BATCH):
        batch = pixels[start : start + _BATCH]
        yield from checked_rows(extractor, extractor.embed_pixels(batch), len(batch))
