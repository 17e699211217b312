"""Reviewing over a service: the queue, the log of verdicts behind it, and what is shown of a pair."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from simsearch.act.page.report_page import worth_of_pair
from simsearch.decide.calibration import Expected
from simsearch.errors import InputError, PairTaken
from simsearch.library import Duplicates
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.lists.coded_pictures import listed_contents
from simsearch.library.verdicts.log import Tail, append, read_since
from simsearch.library.verdicts.verdict import Pair, pair_of, verdict
from simsearch.serve.held_library import HeldLibrary, View
from simsearch.serve.item_facts import facts_of
from simsearch.serve.review.open_pairs import OpenPairs
from simsearch.serve.review.queue import ReviewQueue
from simsearch.serve.review.searches import DuplicatesAsked, Search, Searches

UNDONE = 100
"""Verdicts of a person that he can take back one after the other."""
_SIDE = ("id", "path", "path_b64", "sha256", "width", "height", "bytes", "quality")
_Done = TypeVar("_Done")


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a review is.

    Attributes:
        open: Pairs that nobody has decided, those that somebody has among them.
        leased: Of these, pairs that somebody has at the moment.
        decided: Pairs of the queue that are decided.
        search: That filled the queue, or does at the moment; None before the first.
    """

    open: int
    leased: int
    decided: int
    search: Search | None


class Reviews:
    """The review of a library's near pairs by several people at a time.

    All steps go through one thread, one after the other, and each verdict is in the library's log when it is told.
    """

    def __init__(self, held: HeldLibrary, searches: Searches, *, lease_s: float) -> None:
        """Make it; the queue is empty until somebody fills it.

        Args:
            held: The library.
            searches: Of duplicates, by which it is filled.
            lease_s: Seconds for which a person has a pair.
        """
        self._held, self._searches, self._lease_s = held, searches, lease_s
        self._pool = ThreadPoolExecutor(1, "review")
        self._queue: ReviewQueue | None = None
        self._search: Search | None = None
        self._tail = Tail()
        self._given: dict[str, deque[Pair]] = {}

    async def fill(self, asked: DuplicatesAsked) -> Search:
        """Search for duplicates in the background, and ask for the pairs that are found; what is decided stays so.

        Raises:
            InputError: It cannot be searched so.
            SearchRunning: Another search runs.
        """

        def work() -> Search:
            view = self._held.view
            self._search = self._searches.start(asked, view.library, done=lambda found: self._take_in(view, found))
            return self._search

        return await self._do(work)

    async def standing(self) -> Standing:
        """Return how far it is."""
        return await self._do(self._standing)

    async def take(self, by: str, count: int = 1) -> tuple[list[dict[str, Any]], Standing]:
        """Return pairs that a person has now, with what is shown of them, and how far the review is."""
        return await self._do(lambda: (self._taken(by, count), self._standing()))

    async def decide(self, by: str, pair: Pair, decision: str) -> None:
        """Keep what a person decided of a pair that he has.

        Raises:
            PairTaken: Somebody else has it or decided it.
            InputError: There is no such decision, or nobody is named.
        """
        await self._do(lambda: self._decide(by, pair, decision))

    async def undo(self, by: str) -> None:
        """Take a person's last verdict back, and give him that pair again as his first.

        Raises:
            InputError: There is none.
            PairTaken: Somebody decided the pair anew.
        """
        await self._do(lambda: self._undo(by))

    async def skip(self, by: str, pair: Pair) -> None:
        """Put a pair behind all others.

        Raises:
            PairTaken: Somebody else has it or decided it.
        """

        def work() -> None:
            queue = self._open_queue()
            queue.skip(queue.require(by, pair))

        await self._do(work)

    def close(self) -> None:
        """Wait for what is under way."""
        self._pool.shutdown()

    async def _do(self, work: Callable[[], _Done]) -> _Done:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _take_in(self, view: View, found: Duplicates) -> None:
        """Make the queue of what a search found, in its thread, and put it in place."""
        library = view.library
        contents = {bytes.fromhex(one) for pair in found.pairs() for one in _contents(pair)}
        listed = listed_contents(library.snapshot, self._held.lists.of(library), library.list_models(), contents)
        made = ReviewQueue(OpenPairs.of(found, listed), lease_s=self._lease_s, clock=time.monotonic)
        self._pool.submit(self._replace, made).result()

    def _replace(self, queue: ReviewQueue) -> None:
        entries, self._tail, _ = read_since(self._manifest, Tail())
        queue.note(entries)
        if self._queue is not None:
            queue.leases_of(self._queue)
        self._queue = queue

    @property
    def _manifest(self) -> Manifest:
        return Manifest(self._held.view.library.path)

    def _catch_up(self) -> None:
        """Take over what was decided since, by whomever."""
        if self._queue is None:
            return
        entries, self._tail, anew = read_since(self._manifest, self._tail)
        if anew:
            self._queue.forget_verdicts()
        self._queue.note(entries)

    def _open_queue(self) -> ReviewQueue:
        if self._queue is None:
            raise InputError("there is no pair to decide: let pairs be searched first")
        return self._queue

    def _standing(self) -> Standing:
        queue = self._queue
        if queue is None:
            return Standing(0, 0, 0, self._search)
        return Standing(len(queue), queue.leased, queue.decided, self._search)

    def _taken(self, by: str, count: int) -> list[dict[str, Any]]:
        self._catch_up()
        queue, snapshot = self._queue, self._held.view.library.snapshot
        while queue is not None:
            positions = queue.take(by, count)
            shown = {position: _shown(queue.pairs, position, snapshot) for position in positions}
            gone = [position for position, told in shown.items() if told is None]
            if not gone:
                return [told for told in shown.values() if told is not None]
            for position in gone:
                queue.drop(position)
        return []

    def _decide(self, by: str, pair: Pair, decision: str) -> None:
        if decision == "undo":
            raise InputError("decision undo is for the last verdict of a person: ask for that")
        queue = self._open_queue()
        self._catch_up()
        position = queue.require(by, pair)
        distance = float(queue.pairs.distances[position])
        append(self._manifest, [verdict(*pair, decision, by=by, distance=distance, channel=queue.pairs.channel)])
        self._given.setdefault(by, deque(maxlen=UNDONE)).append(pair)
        self._catch_up()

    def _undo(self, by: str) -> None:
        queue, given = self._open_queue(), self._given.get(by)
        self._catch_up()
        if not given:
            raise InputError("there is no verdict of yours to take back since this service was started")
        pair = given.pop()
        if queue.decided_by(pair) != by:
            raise PairTaken("somebody decided this pair anew or took it back: there is nothing of yours to undo")
        append(self._manifest, [verdict(*pair, "undo", by=by, channel=queue.pairs.channel)])
        self._catch_up()
        queue.give(pair, by)


def _contents(pair: Any) -> list[str]:
    kept, one = pair
    return [sha256 for sha256 in (kept.sha256, one.picture.sha256) if sha256 is not None and not one.exact]


def _shown(pairs: OpenPairs, position: int, snapshot: Snapshot) -> dict[str, Any] | None:
    """Return what is shown of a pair as JSON types; None where the library has not both of it any more."""
    sides = [_side(snapshot, content) for content in pairs.sides(position)]
    if any(side is None for side in sides):
        return None
    value, low, high, beyond = pairs.expected[position].tolist()
    known = not math.isnan(value)
    worth = worth_of_pair(Expected(value, low, high, beyond_calibration=bool(beyond))) if known else None
    return {
        "kept": sides[0],
        "other": sides[1],
        "distance": float(pairs.distances[position]),
        "channel": pairs.channel,
        "metric": pairs.metric,
        "view": pairs.view_names[pairs.views[position]],
        "expected_false_pairs": value if known else None,
        "expected_interval": [low, high] if known else None,
        "worth": worth,
        "listed": bool(pairs.listed[position]),
    }


def _side(snapshot: Snapshot, content: bytes) -> dict[str, Any] | None:
    places = snapshot.contents(content)
    place = next((place for place in places if snapshot.path(place) is not None), places[0] if places else None)
    if place is None:
        return None
    facts = facts_of(snapshot, place)
    return {name: facts[name] for name in _SIDE if name in facts}


def pair_named(a: str, b: str) -> Pair:
    """Return the pair of two SHA-256.

    Raises:
        InputError: One is none.
    """
    try:
        return pair_of(bytes.fromhex(a), bytes.fromhex(b))
    except ValueError as error:
        raise InputError(f"a pair is named by two SHA-256 of 64 hexadecimal digits: {error}") from error
