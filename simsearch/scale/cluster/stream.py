"""A worker's pipeline, which stays warm from one shard to the next: nothing waits for a shard's end."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from simsearch.extract.runner import Outcome
from simsearch.images.source import Found
from simsearch.scale.cluster.shard import Shard

Embed = Callable[[Iterable[Found]], Iterator[Outcome]]


@dataclass(slots=True)
class _Open:
    """A shard that was handed in, and its outcomes so far."""

    shard: Shard
    done: Future[list[Outcome]] = field(default_factory=Future)
    outcomes: list[Outcome] = field(default_factory=list)


class ShardStream:
    """Embeds shards one behind the other; those that wait when one ends run through the same pipeline.

    Args:
        embed: Yields one outcome an input, in their order.
    """

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._waiting: queue.Queue[_Open] = queue.Queue()
        threading.Thread(target=self._run, name="simsearch-shards", daemon=True).start()

    def submit(self, shard: Shard) -> Future[list[Outcome]]:
        """Return the outcomes of a shard, once they are there; may be called from any thread."""
        opened = _Open(shard)
        self._waiting.put(opened)
        return opened.done

    def _run(self) -> None:
        while True:
            begun = deque([self._waiting.get()])
            try:
                for outcome in self._embed(self._sources(begun)):
                    self._take(begun, outcome)
            except BaseException as error:
                while begun:
                    begun.popleft().done.set_exception(error)

    def _sources(self, begun: deque[_Open]) -> Iterator[Found]:
        """Yield the inputs of the first shard and of each that waits by then; never wait, since results would too."""
        current = begun[0]
        while True:
            yield from current.shard.sources
            try:
                current = self._waiting.get_nowait()
            except queue.Empty:
                return
            begun.append(current)

    @staticmethod
    def _take(begun: deque[_Open], outcome: Outcome) -> None:
        first = begun[0]
        first.outcomes.append(outcome)
        if len(first.outcomes) == len(first.shard.sources):
            begun.popleft().done.set_result(first.outcomes)
