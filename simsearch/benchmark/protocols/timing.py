"""The time of a method for an image, with and without decoding."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image

from simsearch.benchmark.data.array_cache import ArrayCache, Arrays, digest
from simsearch.benchmark.data.copies import extractor_of
from simsearch.benchmark.data.methods import MethodEntry
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.results import Time
from simsearch.extract.extractor import Extractor
from simsearch.images import decode
from simsearch.runtime.processes import Pool

BATCH = 32
_TIMES = "times"


@dataclass(frozen=True, slots=True)
class _Job:
    requested: str
    pictures: tuple[Picture, ...]


def measure_times(
    entries: Sequence[MethodEntry], pictures: Sequence[Picture], pool: Pool, store: ArrayCache
) -> tuple[Time, ...]:
    """Return milliseconds an image: hashes and keypoints singly on one thread, networks in batches on their device.

    Earlier measurements are taken from the cache: another load of the machine would not make them truer.
    """
    keys = {entry.requested: digest(entry.spec.key, [picture.sha256 for picture in pictures]) for entry in entries}
    found = {requested: kept for requested, key in keys.items() if (kept := store.read(_TIMES, key)) is not None}
    new = [entry for entry in entries if entry.requested not in found]
    jobs = [_Job(entry.requested, tuple(pictures)) for entry in new if entry.in_worker]
    found |= {job.requested: arrays for job, arrays in pool.run(_work, jobs)}
    found |= {e.requested: _milliseconds(e.extractor, pictures, BATCH) for e in new if not e.in_worker}
    for entry in new:
        store.write(_TIMES, keys[entry.requested], found[entry.requested])
    return tuple(_time(entry, found[entry.requested]) for entry in entries)


def _time(entry: MethodEntry, spent: Arrays) -> Time:
    low, median, high = np.quantile(spent["ms"], [0.25, 0.5, 0.75])
    return Time(
        method=entry.method.name,
        images=len(spent["decoding"]),
        batch=1 if entry.in_worker else BATCH,
        ms=float(median),
        ms_low=float(low),
        ms_high=float(high),
        ms_with_decoding=float(median + np.median(spent["decoding"])),
        device=entry.method.runtime.get("device", "cpu"),
    )


def _work(job: _Job) -> Arrays:
    return _milliseconds(extractor_of(job.requested), job.pictures, 1)


def _milliseconds(extractor: Extractor, pictures: Sequence[Picture], batch: int) -> Arrays:
    """Return the milliseconds an image of each batch, and of decoding each image; the first batch is a warm-up."""
    decoding: list[float] = []
    spent: list[float] = []
    for group in _batches(pictures, batch, decoding):
        if not spent:
            extractor.parts(group)
        started = time.perf_counter()
        extractor.parts(group)
        spent.append(1000 * (time.perf_counter() - started) / len(group))
    return {"ms": np.array(spent), "decoding": np.array(decoding)}


def _batches(pictures: Sequence[Picture], batch: int, decoding: list[float]) -> Iterator[list[Image]]:
    for start in range(0, len(pictures), batch):
        images = []
        for picture in pictures[start : start + batch]:
            data = picture.load_bytes()
            started = time.perf_counter()
            images.append(decode(data).image)
            decoding.append(1000 * (time.perf_counter() - started))
        yield images
