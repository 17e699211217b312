"""Inputs to outcomes on many workers, in the order of the inputs: the driver's side, whatever starts the workers."""

from __future__ import annotations

import errno
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from simsearch.errors import InputError, RejectCode, shown
from simsearch.extract.extractor import Extractor
from simsearch.extract.runner import Extractors, Outcome, Runner
from simsearch.images.source import Found, Limits, Rejected, Source
from simsearch.scale.cluster.done_shards import DoneShards
from simsearch.scale.cluster.ledger import Ledger
from simsearch.scale.cluster.shard import EmbedJob, Shard

_AHEAD = 256  # runs of inputs that may wait for one that is slow
_UNSEEN = {os.strerror(number) for number in (errno.ENOENT, errno.EACCES, errno.ENOTDIR)}


class ShardPool(Protocol):
    """Workers that embed shards."""

    @property
    def room(self) -> int:
        """How many shards it takes before one has to be waited for."""

    def submit(self, shard: Shard) -> None:
        """Have a shard embedded."""

    def wait(self) -> Sequence[tuple[int, str]]:
        """Return the numbers of shards that were done meanwhile, each with its file in the ledger; at least one.

        Raises:
            ProcessFailed: Workers die, or cannot be started.
        """


@dataclass(slots=True)
class _Run:
    """Some inputs one behind the other; `end` counts those up to its own, once it was yielded."""

    found: list[Found]
    done: bool = True
    end: int = 0
    names: set[str] = field(default_factory=set)


class ClusterRunner(Runner):
    """Embeds on the workers of a pool, with a ledger of what is done.

    Whatever a killed run left in the ledger is taken from there and not done again. `close` after the last commit.

    Args:
        job: What is embedded how.
        pool: The workers.
        ledger: What is done.
        shard_inputs: Inputs a shard.
    """

    def __init__(self, job: EmbedJob, pool: ShardPool, ledger: Ledger, *, shard_inputs: int = 512) -> None:
        if shard_inputs < 1:
            raise InputError(f"a shard of {shard_inputs} inputs; give 1 or more")
        self._pool, self._ledger, self._shard_inputs = pool, ledger, shard_inputs
        self._done = DoneShards(job, ledger)
        self._yielded = 0
        self._open = deque[_Run]()  # those of which outcomes were yielded and are not known to be committed

    def embed(
        self,
        extractors: Extractors,  # noqa: ARG002
        sources: Iterable[Found],
        *,
        batch_size: int = 64,  # noqa: ARG002
        workers: int | None = None,  # noqa: ARG002
        limits: Limits | None = None,  # noqa: ARG002
        known: Callable[[bytes], bool] | None = None,  # noqa: ARG002
    ) -> Iterator[Outcome]:
        """Yield one outcome an input, in their order; the job says how, and contents that are known are not asked for.

        Raises:
            InputError: A worker does not see files, or the driver not the ledger.
            ProcessFailed: Workers die again and again, or none can be started.
        """
        self._done.recover()
        stream, numbers, runs = iter(sources), itertools.count(), deque[_Run]()
        waiting: dict[int, tuple[Shard, _Run]] = {}
        more = True
        while more or runs:
            while more and self._pool.room > 0 and len(runs) < _AHEAD:
                found = list(itertools.islice(stream, self._shard_inputs))
                more = len(found) == self._shard_inputs
                runs.append(run := _Run(found))
                if not (todo := self._todo(run)):
                    break  # it can be yielded
                shard, run.done = Shard(next(numbers), todo), False
                waiting[shard.number] = shard, run
                self._pool.submit(shard)
            while runs and runs[0].done:
                yield from self._outcomes(runs.popleft())
            if waiting:
                for number, name in self._pool.wait():
                    self._enter(name, *waiting.pop(number))

    def settled(self) -> None:
        """Remove the files of the ledger all of whose outcomes are committed: all but the last that was yielded are."""
        while self._open and self._open[0].end and self._open[0].end < self._yielded:
            for name in self._open.popleft().names:
                self._done.leave(name)

    def runtime(self, extractor: Extractor) -> Mapping[str, str]:
        """Return that of the workers."""
        return self._done.runtimes.get(extractor.fingerprint) or extractor.runtime()

    def close(self) -> None:
        """Remove what is left in the ledger; to be called once all is committed."""
        self._ledger.clear()

    def _todo(self, run: _Run) -> tuple[Source, ...]:
        """Return the inputs whose outcomes nobody has yet."""
        self._use(run)
        return tuple(one for one in run.found if isinstance(one, Source) and self._done.place(one) is None)

    def _use(self, run: _Run) -> None:
        """Keep the files that hold a run's outcomes until these are committed."""
        places = (self._done.place(one) for one in run.found if isinstance(one, Source))
        for name in {place[0] for place in places if place is not None} - run.names:
            run.names.add(name)
            self._done.use(name)

    def _enter(self, name: str, shard: Shard, run: _Run) -> None:
        """Take up a file that a worker wrote."""
        self._done.learn(name)
        run.done = True
        self._use(run)
        for source in shard.sources:
            outcome = self._done.outcome(source)
            if isinstance(outcome, Rejected) and _is_unseen(outcome):
                self._ledger.remove(name)
                raise InputError(
                    f"a worker cannot read {shown(source.file)}, which is there on this machine: mount the inputs on "
                    "all machines under the same name, or put them into object storage"
                )

    def _outcomes(self, run: _Run) -> Iterator[Outcome]:
        self._open.append(run)
        for number, found in enumerate(run.found, 1):
            outcome = found if isinstance(found, Rejected) else self._done.outcome(found)
            self._yielded += 1
            if number == len(run.found):
                run.end = self._yielded
            yield outcome


def _is_unseen(rejected: Rejected) -> bool:
    """Return whether a worker did not see a file, or might not read it, that can be read here."""
    file = rejected.source.file
    return rejected.code == RejectCode.IO_ERROR and rejected.message in _UNSEEN and os.access(file, os.R_OK)
