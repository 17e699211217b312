"""A pool of workers in this process that die as they are told to, and a world to embed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from simsearch.images.source import Limits
from simsearch.scale.cluster.ledger import Ledger, open_ledger
from simsearch.scale.cluster.outcomes import encode
from simsearch.scale.cluster.runner import ClusterRunner
from simsearch.scale.cluster.shard import EmbedJob, Shard
from simsearch.scale.objects.fetch import FetchingRunner
from tests.fake import FakeExtractor
from tests.library.helpers import album

JOB = EmbedJob(("tests.fake:FakeExtractor",), (FakeExtractor.fingerprint,), "cpu", 4, Limits())


class DriverDied(BaseException):
    """The driver is killed."""


class FaultyPool:
    """Embeds shards here, by default the last submitted first.

    `faults` say how a worker ends: 0 well, 1 before it wrote its file, 2 after it, 3 well and thought dead all the
    same, 4 with the driver.
    """

    def __init__(self, ledger: Ledger, faults: Iterable[int] = (), *, depth: int = 3) -> None:
        self.last_first, self.blind = True, False
        self._ledger, self._faults, self._depth = ledger, deque(faults), depth
        self._waiting: list[Shard] = []
        self.embedded: list[bytes] = []
        self.extractor = FakeExtractor()

    @property
    def room(self) -> int:
        return self._depth - len(self._waiting)

    def submit(self, shard: Shard) -> None:
        self._waiting.append(shard)

    def wait(self) -> Sequence[tuple[int, str]]:
        while True:
            shard = self._waiting[-1 if self.last_first else 0]
            fault = self._faults.popleft() if self._faults else 0
            if fault == 1:
                continue
            name = self._write(shard)
            if fault == 2:
                continue
            if fault == 3:
                self._write(shard)
            if fault == 4:
                raise DriverDied
            self._waiting.remove(shard)
            return [(shard.number, name)]

    def _write(self, shard: Shard) -> str:
        self.embedded += [source.path for source in shard.sources]
        how = {"batch_size": JOB.batch_size, "workers": 0, "limits": JOB.limits}
        seen = [replace(one, file=one.file + b"-") if self.blind else one for one in shard.sources]
        outcomes = list(FetchingRunner().embed(lambda: [self.extractor], seen, **how))
        return self._ledger.put(shard.key, encode(JOB, shard, outcomes, [{"device": "here"}]))


def world(folder: Path, count: int = 13) -> Path:
    """Write pictures, an exact copy and a file that is none."""
    album(folder / "pictures", range(count))
    (folder / "pictures" / "copy.png").write_bytes((folder / "pictures" / "0003.png").read_bytes())
    (folder / "pictures" / "0005-broken.jpg").write_bytes(b"no picture")
    return folder / "pictures"


def runner_of(place: Path, faults: Iterable[int] = (), *, inputs: int = 3) -> tuple[ClusterRunner, FaultyPool]:
    ledger = open_ledger(str(place), JOB.digest)
    pool = FaultyPool(ledger, faults)
    return ClusterRunner(JOB, pool, ledger, shard_inputs=inputs), pool


def until_done(run: Callable[[Sequence[int]], None], faults: Sequence[int]) -> int:
    """Run again until no driver dies any more; return how many died."""
    left, died = list(faults), 0
    while True:
        try:
            run(left)
        except DriverDied:
            died += 1
            left = left[left.index(4) + 1 :]
        else:
            return died
