"""The shards that are searched as one: what is known of each, and how all of them are asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from simsearch.library.read.matches import Matches
from simsearch.library.reader import Reader
from simsearch.scale.sharded.matches import ShardState, sizes_of
from simsearch.scale.sharded.scatter import Failure, Scatter
from simsearch.scale.sharded.shard import Asked, Described, FolderShard, Shard, require_same_model


class Panel:
    """Shards by their numbers, and what each last told of itself; safe for threads.

    Attributes:
        shards: In the order of their numbers.
    """

    def __init__(self, shards: Sequence[Shard], timeout_s: float) -> None:
        self.shards = tuple(shards)
        self._scatter = Scatter(timeout_s)
        self._lock = threading.Lock()
        self._known = dict[int, Described]()

    @property
    def folders(self) -> dict[int, Reader]:
        """Those in folders of this machine."""
        return {n: shard.library for n, shard in enumerate(self.shards) if isinstance(shard, FolderShard)}

    def describe(self, *, again: bool = False) -> dict[int, Described | Failure]:
        """Ask those shards what they are that have not yet told it, or all; return what they say.

        Those that are of another model than the first fail.
        """
        works = {n: partial(self._described, n) for n in range(len(self.shards)) if again or n not in self._known}
        outcomes = self._scatter.ask(works)
        with self._lock:
            self._known.update({n: one for n, one in outcomes.items() if not isinstance(one, Failure)})
        return outcomes

    def search(
        self, asked: Asked, which: Mapping[int, Sequence[int]], k: int | None, limits: Mapping[int, Mapping[str, Any]]
    ) -> dict[int, Matches | Failure]:
        """Return what shards answer to some of the queries, and note how many items they hold by now.

        Args:
            asked: The queries.
            which: Of each shard that is asked.
            k: Matches a query.
            limits: Further arguments of each shard.

        Raises:
            InputError: A shard was asked for something wrong.
        """
        works: dict[int, Callable[[], Matches]] = {
            number: partial(self.shards[number].search, number, asked, own, {"k": k, **limits.get(number, {})})
            for number, own in which.items()
        }
        found = self._scatter.ask(works)
        with self._lock:
            for number, one in found.items():
                if not isinstance(one, Failure) and number in self._known:
                    self._known[number] = replace(self._known[number], items=one.library_size)
        return found

    def states(self, outcomes: Mapping[int, Any]) -> tuple[ShardState, ...]:
        """Return what became of each shard, given its outcome."""
        states = []
        for number, shard in enumerate(self.shards):
            known, outcome = self._known.get(number), outcomes.get(number)
            why = (outcome.reason, outcome.late) if isinstance(outcome, Failure) else (None, False)
            states.append(ShardState(number, shard.name, None if known is None else known.items, *why))
        return tuple(states)

    def limits(self, most: float | None) -> dict[int, dict[str, float]]:
        """Return how many chance matches each shard may expect, so that all of them together expect so many."""
        states = self.states({})
        total = sizes_of(states)
        return {} if most is None else {s.shard: {"max_expected": most * s.items / total} for s in states if s.items}

    def _described(self, number: int) -> Described:
        found, first = self.shards[number].described(), next(iter(self._known.values()), None)
        if first is not None:
            require_same_model(found, first, self.shards[number].name)
        return found

    def require(self, fingerprint: str, whose: str) -> None:
        """Refuse rows of another model.

        Raises:
            FingerprintMismatch: The fingerprints differ.
        """
        for one in self._known.values():
            require_same_model(replace(one, fingerprint=fingerprint, model="another model"), one, whose)

    def require_one_model(self) -> None:
        """Refuse shards of several models, which told at the same time what they are.

        Raises:
            FingerprintMismatch: There are some.
        """
        for number, one in self._known.items():
            require_same_model(one, next(iter(self._known.values())), self.shards[number].name)
