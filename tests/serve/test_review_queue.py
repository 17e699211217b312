"""The queue of pairs: nobody gets a pair that somebody has, none is lost, none that is decided is asked again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

pytest.importorskip("fastapi")

from simsearch.errors import PairTaken
from simsearch.library import Library, Verdict
from simsearch.library.verdicts.verdict import pair_of
from simsearch.serve.held_library import HeldLibrary
from simsearch.serve.review.open_pairs import OpenPairs
from simsearch.serve.review.queue import AHEAD, ReviewQueue
from simsearch.serve.review.reviews import Reviews, pair_named
from simsearch.serve.review.searches import Searches
from simsearch.serve.settings import ServeSettings
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album, make

LEASE_S = 10.0
PEOPLE = ("Anna", "Bert", "Carla")


def pairs_of(count: int) -> OpenPairs:
    contents = np.random.default_rng(count).integers(1, 255, (count, 2, 32), np.uint8)
    nothing = np.full((count, 4), np.nan)
    views, listed = np.zeros(count, np.uint8), np.zeros(count, bool)
    return OpenPairs(contents, np.arange(count, dtype=np.float32), nothing, views, ("plain",), listed, "mini", "js")


def key(queue: ReviewQueue, position: int) -> Any:
    return pair_of(*queue.pairs.sides(position))


def verdict_on(queue: ReviewQueue, position: int, by: str, decision: Any = "confirm") -> Verdict:
    return Verdict(key(queue, position), decision, by, "2026-01-01T00:00:00+00:00")


class Reviewing(RuleBasedStateMachine):
    """Several people with a clock, beside a slow model: who has which pair until when, and who decided which."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.queue = ReviewQueue(pairs_of(7), lease_s=LEASE_S, clock=lambda: self.now)
        self.has: dict[int, tuple[str, float]] = {}
        self.done: dict[int, str] = {}
        self.gone = set[int]()

    def held(self, by: str) -> list[int]:
        return [position for position, (who, until) in self.has.items() if who == by and until > self.now]

    @rule(by=st.sampled_from(PEOPLE), count=st.integers(0, AHEAD))
    def take(self, by: str, count: int) -> None:
        others = {one for who in PEOPLE if who != by for one in self.held(who)}
        mine, free = set(self.held(by)), set(range(7)) - set(self.done) - self.gone
        got = self.queue.take(by, count)
        assert not set(got) & (others | set(self.done) | self.gone)
        assert len(got) == min(count, max(len(mine), min(count, len(free - others))))
        assert mine >= set(got) or len(got) == count or len(got) == len(free - others)
        for position in mine | set(got):
            self.has[position] = (by, self.now + LEASE_S)

    @rule(seconds=st.floats(0.1, 12))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.has = {position: lease for position, lease in self.has.items() if lease[1] > self.now}

    @rule(by=st.sampled_from(PEOPLE), position=st.integers(0, 6))
    def decide(self, by: str, position: int) -> None:
        other = position in self.has and self.has[position][0] != by
        if other or position in self.done or position in self.gone:
            with pytest.raises(PairTaken):
                self.queue.require(by, key(self.queue, position))
            return
        assert self.queue.require(by, key(self.queue, position)) == position
        self.queue.note([verdict_on(self.queue, position, by)])
        self.done[position] = by
        self.has.pop(position, None)

    @rule(position=st.integers(0, 6), decision=st.sampled_from(["confirm", "reject", "undo"]))
    def somebody_else_decides(self, position: int, decision: str) -> None:
        self.queue.note([verdict_on(self.queue, position, "elsewhere", decision)])
        if position in self.gone:
            return
        if decision == "undo":
            self.done.pop(position, None)
        else:
            self.done[position] = "elsewhere"
            self.has.pop(position, None)

    @rule(by=st.sampled_from(PEOPLE), position=st.integers(0, 6))
    def undo(self, by: str, position: int) -> None:
        if self.done.get(position) == by:
            self.queue.note([verdict_on(self.queue, position, by, "undo")])
            self.queue.give(key(self.queue, position), by)
            del self.done[position]
            self.has[position] = (by, self.now + LEASE_S)
            assert self.queue.take(by, 1) == [position]
            for mine in self.held(by):
                self.has[mine] = (by, self.now + LEASE_S)

    @rule(by=st.sampled_from(PEOPLE))
    def skip(self, by: str) -> None:
        for position in self.held(by)[:1]:
            self.queue.skip(position)
            del self.has[position]

    @rule(by=st.sampled_from(PEOPLE))
    def a_file_goes(self, by: str) -> None:
        for position in self.held(by)[:1]:
            self.queue.drop(position)
            self.gone.add(position)
            del self.has[position]

    @rule()
    def pairs_are_searched_again(self) -> None:
        if not self.gone:
            made = ReviewQueue(self.queue.pairs, lease_s=LEASE_S, clock=lambda: self.now)
            made.note([verdict_on(made, position, by) for position, by in self.done.items()])
            made.leases_of(self.queue)
            self.queue = made

    @invariant()
    def nothing_is_lost(self) -> None:
        assert len(self.queue) == 7 - len(set(self.done) | self.gone)
        assert self.queue.leased == len(self.has)
        assert self.queue.decided == len(set(self.done) - self.gone)


Reviewing.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestReviewing = Reviewing.TestCase


def test_all_pairs_come_nearest_first_and_skipped_ones_last() -> None:
    queue = ReviewQueue(pairs_of(5), lease_s=LEASE_S, clock=lambda: 0.0)
    seen = []
    for turn in range(6):
        [position] = queue.take("Anna", 1)
        seen.append(position)
        if turn == 1:
            queue.skip(position)
        else:
            queue.note([verdict_on(queue, position, "Anna")])
    assert seen == [0, 1, 2, 3, 4, 1]
    assert queue.take("Anna", 1) == []
    assert len(queue) == 0


def test_a_hundred_thousand_open_pairs_take_no_longer_than_few() -> None:
    queue = ReviewQueue(pairs_of(100_000), lease_s=300, clock=time.monotonic)
    began, taken = time.perf_counter(), set[int]()
    for turn in range(300):
        [position, *_] = queue.take(f"person {turn % 7}", 4)
        queue.note([verdict_on(queue, position, f"person {turn % 7}")])
        assert position not in taken
        taken.add(position)
    assert (time.perf_counter() - began) / 300 < 0.02
    assert len(queue) == 99_700


def test_with_a_hundred_thousand_open_pairs_the_next_is_told_and_a_verdict_kept_at_once(tmp_path: Path) -> None:
    with make(tmp_path / "library") as made:
        made.add(album(tmp_path / "photographs", range(450)), settings=HERE)
    held = HeldLibrary(Library.open(tmp_path / "library", extractor=FakeExtractor(), device="cpu"), ServeSettings())
    searches = Searches(HERE, most=10)
    reviews = Reviews(held, searches, lease_s=300)
    snapshot = held.view.library.snapshot
    contents = np.concatenate([segment.sha256 for segment in snapshot.segments])
    a, b = np.triu_indices(len(contents), 1)
    empty = pairs_of(len(a))
    reviews._replace(ReviewQueue(replace(empty, contents=np.stack([contents[a], contents[b]], axis=1)),
                                 lease_s=300, clock=time.monotonic))  # fmt: skip

    async def decide() -> list[float]:
        times = []
        for _ in range(30):
            began = time.perf_counter()
            [pair, *_], standing = await reviews.take("Anna", AHEAD)
            assert standing.open > 100_000
            await reviews.decide("Anna", pair_named(pair["kept"]["sha256"], pair["other"]["sha256"]), "reject")
            times.append(time.perf_counter() - began)
        return times

    try:
        assert np.median(asyncio.run(decide())) < 0.1
        assert len(held.view.library.verdicts()) == 30
    finally:
        for part in (searches, reviews, held):
            part.close()
