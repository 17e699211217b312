"""The queue of pairs to decide on: whoever asks gets the next one under a lease, and nobody else gets it meanwhile."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from simsearch.errors import PairTaken
from simsearch.library.verdicts.verdict import Pair, Verdict, pair_of
from simsearch.serve.review.open_pairs import OpenPairs

AHEAD = 4
"""Pairs that one person holds at a time: the one on the screen, and the next ones that are fetched already."""


@dataclass(slots=True)
class Lease:
    """A pair that somebody has.

    Attributes:
        by: Who.
        until: Time at which others may have it again.
    """

    by: str
    until: float


class ReviewQueue:
    """Open pairs, in order, and who has which; each step takes the same time whatever the number of pairs.

    A pair is open, or somebody has it, or it is decided. Not safe for threads: one thread asks it.
    """

    def __init__(self, pairs: OpenPairs, *, lease_s: float, clock: Callable[[], float]) -> None:
        """Make it.

        Args:
            pairs: In the order in which they are asked.
            lease_s: Seconds for which somebody has a pair.
            clock: Gives the time in seconds, which never goes back.
        """
        self.pairs = pairs
        self._lease_s, self._clock = lease_s, clock
        self._at = {key: position for position, key in enumerate(pairs.keys())}
        self._free = list(zip(range(len(pairs)), range(len(pairs)), strict=True))  # (rank, position), a heap
        self._leases: dict[int, Lease] = {}
        self._ends: list[tuple[float, int]] = []
        self._held: dict[str, list[int]] = {}
        self._decided: dict[int, str] = {}
        self._gone = set[int]()
        self._last = len(pairs)

    def __len__(self) -> int:
        """Return the number of pairs that nobody has decided, those that somebody has among them."""
        return len(self.pairs) - len(self._decided) - len(self._gone)

    @property
    def leased(self) -> int:
        """How many pairs somebody has at the moment."""
        self._expire()
        return len(self._leases)

    @property
    def decided(self) -> int:
        """How many of the pairs are decided."""
        return len(self._decided)

    def take(self, by: str, count: int) -> list[int]:
        """Return up to so many pairs that a person has now, as positions: first those that he has, for longer again."""
        self._expire()
        held = self._held.setdefault(by, [])
        while len(held) < min(count, AHEAD) and (position := self._next()) is not None:
            held.append(position)
        if not held:
            del self._held[by]
        for position in held:
            self._lease(position, by)
        return held[:count]

    def require(self, by: str, pair: Pair) -> int:
        """Return the position of a pair that a person may decide: he has it, or his lease ended and nobody took it.

        Raises:
            PairTaken: Somebody else has it or decided it, or it is not in the queue.
        """
        self._expire()
        position = self._at.get(pair)
        if position is None or position in self._gone:
            raise PairTaken("this pair is not in the queue any more: take the next one")
        if position in self._decided:
            raise PairTaken(f"{self._decided[position]} has decided this pair: take the next one")
        lease = self._leases.get(position)
        if lease is not None and lease.by != by:
            raise PairTaken(f"{lease.by} has this pair now, since your time for it was over: take the next one")
        return position

    def note(self, entries: Iterable[Verdict]) -> None:
        """Take over what the log of verdicts says, by whomever: what is decided is not asked, what is undone is."""
        for entry in entries:
            position = self._at.get(entry.pair)
            if position is None or position in self._gone:
                continue
            if entry.decision == "undo":
                if self._decided.pop(position, None) is not None:
                    heapq.heappush(self._free, (position, position))
            else:
                self._release(position)
                self._decided[position] = entry.by

    def forget_verdicts(self) -> None:
        """Take all pairs for undecided, as where the log was begun anew."""
        for position in self._decided:
            heapq.heappush(self._free, (position, position))
        self._decided.clear()

    def give(self, pair: Pair, by: str) -> None:
        """Let a person have an open pair as his first, as one whose verdict he took back.

        Raises:
            PairTaken: Somebody else has it or decided it.
        """
        position = self.require(by, pair)
        self._release(position)
        self._held.setdefault(by, []).insert(0, position)
        self._lease(position, by)

    def skip(self, position: int) -> None:
        """Put a pair behind all others."""
        self._release(position)
        self._last += 1
        heapq.heappush(self._free, (self._last, position))

    def drop(self, position: int) -> None:
        """Leave a pair out, as one of which a file is gone."""
        self._release(position)
        self._gone.add(position)

    def decided_by(self, pair: Pair) -> str | None:
        """Return who decided a pair; None for an open one."""
        position = self._at.get(pair)
        return None if position is None else self._decided.get(position)

    def leases_of(self, other: ReviewQueue) -> None:
        """Take over who has what from an earlier queue, as far as the pairs are in this one too."""
        other._expire()
        for position, lease in other._leases.items():
            mine = self._at.get(pair_of(*other.pairs.sides(position)))
            if mine is not None and mine not in self._decided:
                self._held.setdefault(lease.by, []).append(mine)
                self._leases[mine] = lease
                heapq.heappush(self._ends, (lease.until, mine))

    def _next(self) -> int | None:
        """Return the next pair that nobody has."""
        while self._free:
            _, position = heapq.heappop(self._free)
            if position not in self._leases and position not in self._decided and position not in self._gone:
                self._leases[position] = Lease("", 0.0)
                return position
        return None

    def _lease(self, position: int, by: str) -> None:
        until = self._clock() + self._lease_s
        self._leases[position] = Lease(by, until)
        heapq.heappush(self._ends, (until, position))

    def _release(self, position: int) -> None:
        lease = self._leases.pop(position, None)
        if lease is not None:
            held = self._held[lease.by]
            held.remove(position)
            if not held:
                del self._held[lease.by]

    def _expire(self) -> None:
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            until, position = heapq.heappop(self._ends)
            lease = self._leases.get(position)
            if lease is not None and lease.until == until:
                self._release(position)
                heapq.heappush(self._free, (position, position))
