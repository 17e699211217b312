"""Random lives of a library of rows, each answer beside a plain dictionary's.

A life is its seed: `python -m tests.library.fuzzing SEED` runs one again.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from simsearch import distance
from simsearch.errors import IndexFailed
from simsearch.library import Library
from simsearch.library.format.channel import Channel
from simsearch.library.format.items import Item, items_batch, rejects_batch
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.segment import ChannelRows, SegmentDraft
from simsearch.library.indexes import chunk_tables, store
from simsearch.library.read import open_indexes
from simsearch.library.read.matches import QueryMatches
from simsearch.library.write.merge import merge
from simsearch.search.indexes.spec import CODE_KINDS, KINDS
from tests.library.rows import ROOT

STEPS = 10
MANY = 400  # items, of which an index can be built and measured


@dataclass
class KernelCache:
    """What the dictionary knows of an item."""

    id: int
    row: NDArray[Any]
    content: bytes | None
    quality: int


class Life:
    """A library, and a dictionary of the same items by name."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = np.random.default_rng([11, seed])
        self.codes = bool(self.rng.random() < 0.3)
        self.dimension = int(self.rng.integers(1, 9))
        kind, metric = ("bits", "hamming") if self.codes else ("float16", str(self.rng.choice(["js", "cosine", "l2"])))
        self.metric = metric
        (folder / "segments").mkdir(parents=True)
        channel = Channel("rows", "nobody", "r0", self.dimension, kind, metric, not self.codes)
        Manifest(folder).create([channel])
        self.library = Library.open(folder, device="cpu")
        self.indexed = bool(self.rng.random() < 0.3)
        self.by_index = 0  # answers
        self.prepared = bool(self.rng.random() < 0.5)
        self.items: dict[bytes, KernelCache] = {}
        self.next_id = 0
        pool = 1 + self.rng.integers(0, 3, (6, self.dimension))  # few, so that distances tie
        self.pool = pool.astype(np.uint8 if self.codes else np.float16)

    def step(self) -> None:
        """Change something."""
        names = list(self.items)
        more = ["index"] * 3 if self.indexed else []
        what = self.rng.choice(["add", "add", "replace", "replace", "remove", "merge", "optimize", *more])
        if what == "add" or not names:
            many = not names and self.indexed
            self._add([str(self.next_id + i).encode() for i in range(MANY if many else int(self.rng.integers(1, 7)))])
        elif what == "replace":
            self._add([names[i] for i in self.rng.permutation(len(names))[: int(self.rng.integers(1, 5))]])
        elif what == "remove":
            most = int(self.rng.choice([4, 4, len(names)])) if self.indexed else 4
            gone = [names[i] for i in self.rng.permutation(len(names))[: int(self.rng.integers(1, max(2, most)))]]
            self.library.remove([f"/rows/{name.decode()}" for name in gone], purge=bool(self.rng.random() < 0.3))
            for name in gone:
                del self.items[name]
        elif what == "merge":
            with self.library._writing() as writer:
                count = len(writer.snapshot.segments)
                if count > 1:
                    first = int(self.rng.integers(0, count - 1))
                    merge(writer, range(first, min(count, first + int(self.rng.integers(2, 4)))))
        elif what == "index":
            kind = str(self.rng.choice(CODE_KINDS if self.codes else KINDS))
            with suppress(IndexFailed):  # there are too few, or it does not find as much
                self.library.optimize(recall=0.3, kind=kind)
        else:
            self.library.optimize()
        self.library.refresh()
        if self.prepared and self.rng.random() < 0.5:
            self.library.prepare()  # makes tables of codes, which later ones are not in

    def _add(self, names: list[bytes]) -> None:
        """Write a segment, items that there are already first, by their ids."""
        old = sorted((name for name in names if name in self.items), key=lambda name: self.items[name].id)
        new = [name for name in names if name not in self.items]
        kinds = self.rng.integers(0, len(self.pool), len(names))
        rows = self.pool[kinds]
        contents = [bytes([1 + k]) * 32 if self.rng.random() < 0.6 else None for k in kinds]
        quality = self.rng.integers(0, 101, len(names))
        items = [
            Item(ROOT, name, content, n_bytes=1, mtime_ns=1, quality=int(good))
            for name, content, good in zip(old + new, contents, quality, strict=True)
        ]
        ids = np.array([self.items[name].id for name in old] + [-1] * len(new), np.int64)
        draft = SegmentDraft(items_batch(items), {"rows": ChannelRows.whole(rows)}, rejects_batch([]), ids)
        with self.library._writing() as writer:
            places = [writer.snapshot.by_path(ROOT + b"/" + name) for name in old]
            writer.commit(draft, removed=[place for place in places if place is not None])
        for i, name in enumerate(old + new):
            number = self.items[name].id if name in self.items else self.next_id
            self.next_id = max(self.next_id, number + 1)
            self.items[name] = KernelCache(number, rows[i], contents[i], int(quality[i]))

    def ask(self) -> None:
        """Search, and compare."""
        row = self.pool[self.rng.integers(0, 6)].copy()
        if self.rng.random() < 0.5:
            row[self.rng.integers(0, self.dimension)] += 1
        known = list(self.items.values())
        rows = np.array([item.row for item in known]).reshape(-1, self.dimension)
        far = distance.METRICS[self.metric](row[None], rows)[0].astype(np.float32) if known else np.empty(0, np.float32)
        limit = self.rng.choice([None, *far.tolist()]) if self.rng.random() < 0.5 else None
        copies, least = bool(self.rng.random() < 0.5), int(self.rng.choice([0, 0, 50]))
        k = None if limit is not None and self.rng.random() < 0.3 else int(self.rng.choice([1, 2, 3, 5, 100]))
        how: dict[str, Any] = {"k": k, "max_distance": limit, "metric": self.metric}
        how |= {"group_copies": copies, "min_quality": least}
        answer = self.library.search_rows(row, exact=self.indexed, **how)[0]
        order = [
            (float(d), item.id, item.content)
            for d, item in zip(far, known, strict=True)
            if (limit is None or d <= np.float32(limit)) and item.quality >= least
        ]
        order.sort(key=lambda one: one[:2])
        if copies:
            first = {one[2]: one for one in reversed(order) if one[2] is not None}
            order = [one for one in order if one[2] is None or first[one[2]] is one]
        expected = [one[:2] for one in order][: len(order) if k is None else k]
        found = [(match.distance, match.id) for match in answer.matches]
        assert found == sorted(expected), (found, sorted(expected), k, limit, copies, least)
        assert answer.certified
        if copies and not least:
            for match, one in zip(answer.matches, sorted(order, key=lambda o: o[:2]), strict=False):
                others = sorted(i.id for i in known if one[2] is not None and i.content == one[2] and i.id != match.id)
                assert [copy.id for copy in match.copies] == others
        if self.indexed:
            self._near(self.library.search_rows(row, **how)[0], {number: d for d, number, _ in order}, k, limit)

    def _near(self, answer: QueryMatches, right: dict[int, float], k: int | None, limit: float | None) -> None:
        """Whether an answer by an index, if it is one, names items of those that are right, and none too few."""
        found = [(match.distance, match.id) for match in answer.matches]
        assert found == sorted(found)
        assert found == [(right[number], number) for number in dict.fromkeys(number for _, number in found)]
        if answer.certified:
            assert answer.recall is None
            assert [d for d, _ in found] == sorted(right.values())[:k]
            return
        self.by_index += 1
        assert k is not None
        assert len(found) <= k
        kinds = {record.spec.kind for record in store.records(self.library.path)}
        if limit is None and kinds.isdisjoint({"hnsw", "multi_hash"}):  # which may not name all of their rows
            assert len(found) == min(k, len(right))
        if answer.recall is not None:
            assert 0 <= answer.recall.low <= answer.recall.value <= answer.recall.high <= 1


def run(seed: int) -> tuple[str, str | None]:
    """The kind of a life, and what went wrong in it."""
    kind = "library"
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("error")
            life = Life(Path(folder) / "fuzzed.library", seed)
            kind = f"{life.metric}, library"
            share = float(life.rng.choice([0.3, 1, 100]))  # of the codes, so that there are queries with too many
            with (
                mock.patch.object(store, "_MAPPED_FROM", int(life.rng.choice([0, 1 << 62]))),
                mock.patch.object(open_indexes, "CHUNKS_FROM", 1),
                mock.patch.object(chunk_tables, "_SHARE", share),
            ):
                for _ in range(STEPS):
                    life.step()
                    life.ask()
                    life.ask()
            kind += " by index" if life.by_index else ""
            kind += " by chunks" if life.library._resident._chunks else ""
            life.library.close()
    except Exception:
        return kind, f"python -m tests.library.fuzzing {seed}\n{traceback.format_exc()}"
    return kind, None


if __name__ == "__main__":
    for number in map(int, sys.argv[1:]):
        told, wrong = run(number)
        sys.stdout.write(f"{number}: {told}: {wrong or 'right'}\n")
