"""Several libraries answer as the one that holds all of their items, and say which of them did not answer."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch.errors import (
    FingerprintMismatch,
    InputError,
    ItemNotFound,
    LibraryError,
    LibraryNotFound,
    RowError,
    ServiceError,
)
from simsearch.library import Library, Matches
from simsearch.scale import ShardMatches, Shards
from simsearch.scale.sharded.scatter import Failure, Scatter
from tests.fake import OtherExtractor
from tests.library.helpers import HERE, CountingExtractor, album, make, paint
from tests.scale.worlds import DIMENSION, World, world


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name)


def told(matches: Matches) -> list[Any]:
    """What is found, by paths: ids of a shard are its own."""
    return [
        [(match.path, match.distance, [copy.path for copy in match.copies]) for match in answer.matches]
        for answer in matches
    ]


@st.composite
def cases(draw: st.DrawFn) -> tuple[World, list[int], np.ndarray, int]:
    count = draw(st.integers(1, 24))
    kinds, contents = draw(st.sampled_from([1, 3, 24])), draw(st.integers(0, 4))
    made = world(draw(st.integers(0, 99)), count, kinds=kinds, contents=contents)
    ends = sorted(draw(st.lists(st.integers(0, count), max_size=3)))
    queries = made.rows[: draw(st.integers(1, 3))] + np.float16(draw(st.sampled_from([0, 0.5])))
    return made, ends, queries, draw(st.integers(1, 12))


@given(case=cases(), group=st.booleans(), metric=st.sampled_from(["js", "cosine", "l2"]))
@settings(max_examples=40, deadline=None)
def test_any_split_answers_as_the_whole(case: Any, group: bool, metric: str) -> None:
    made, ends, queries, k = case
    how: dict[str, Any] = {"k": k, "metric": metric, "group_copies": group}
    with folder() as home, made.library(home / "whole") as whole, Shards.open(made.split(home, ends)) as shards:
        found = shards.search_rows(queries, **how)
        assert told(found) == told(whole.search_rows(queries, **how))
        assert len(shards) == found.library_size == len(whole)
        assert (found.shards_ok, len(found.shards)) == (len(ends) + 1, len(ends) + 1)
        assert all(answer.certified for answer in found)
        within: dict[str, Any] = {**how, "max_distance": 0.2}
        near, all_near = shards.search_rows(queries, **within), whole.search_rows(queries, **within)
        assert told(near) == told(all_near)
        assert [one.more for one in near] == [one.more for one in all_near]
        within["k"] = None
        assert sorted(map(repr, told(shards.search_rows(queries, **within)))) == sorted(
            map(repr, told(whole.search_rows(queries, **within)))
        )


@given(case=cases(), exclude=st.booleans())
@settings(max_examples=15, deadline=None)
def test_items_are_asked_by_shard_and_id(case: Any, exclude: bool) -> None:
    made, ends, _, k = case
    with folder() as home, made.library(home / "whole") as whole:
        libraries = made.split(home, ends)
        place = [(s, int(i)) for s, library in enumerate(libraries) for i in library.snapshot.ids()]
        with Shards.open(libraries) as shards:
            which = [0, len(place) // 2, len(place) - 1]
            found = shards.search_items([place[i] for i in which], k=k, exclude_self=exclude)
            ids = whole.snapshot.ids()[which].tolist()
            assert told(found) == told(whole.search_items(ids, k=k, exclude_self=exclude))
            assert [one.query for one in found] == [f"/rows/{i}" for i in which]
            with pytest.raises(ItemNotFound, match="shard 0 has no item 999"):
                shards.search_items([(0, 999)])


def test_pictures_are_embedded_once_and_found_everywhere(tmp_path: Path) -> None:
    libraries, extractors = [], [CountingExtractor() for _ in range(3)]
    for i in range(3):
        library = make(tmp_path / f"{i}.library", extractors[i])
        library.add(album(tmp_path / str(i), range(3 * i, 3 * i + 3)), settings=HERE)
        libraries.append(library)
    query = paint(tmp_path / "query.png", 4)  # the picture of an item of the second
    with make(tmp_path / "whole.library") as whole, Shards.open(libraries) as shards:
        whole.add([tmp_path / str(i) for i in range(3)], settings=HERE)
        new = paint(tmp_path / "new.png", 99)
        before = sum(extractor.embedded for extractor in extractors)
        shards.search(new, settings=HERE)
        assert sum(extractor.embedded for extractor in extractors) == before + 1
        found = shards.search([query, tmp_path / "2"], k=4, settings=HERE)
        assert told(found) == told(whole.search([query, tmp_path / "2"], k=4, settings=HERE))
        assert found[0].matches[0].distance == 0
        assert (found[0].matches[0].shard, found[0].matches[0].id) == (1, libraries[1].snapshot.ids()[1])
        own = shards.search(tmp_path / "1" / "0004.png", k=4, exclude_self=True, settings=HERE)
        assert told(own) == told(whole.search(tmp_path / "1" / "0004.png", k=4, exclude_self=True, settings=HERE))
        rows = found.to_list()[0]
        assert rows["shards"] == {"ok": 3, "of": 3, "missing": []}
        assert rows["matches"][0]["shard"] == 1
        assert found.to_arrow()["shard"].to_pylist()[0] == 1
        assert found.shard_numbers[0, 0] == 1


class Remote:
    """A service, as far as shards ask one: a library that may be down, slow, or refuse."""

    def __init__(self, library: Library, *, wait_s: float = 0, problem: Exception | None = None) -> None:
        self.library, self.wait_s, self.problem = library, wait_s, problem
        self.asked = 0
        self.go = threading.Event()

    def __repr__(self) -> str:
        return "Remote()"

    def _ready(self) -> None:
        self.asked += 1
        self.go.wait(self.wait_s)
        if self.problem is not None:
            raise self.problem

    def info(self) -> Any:
        self._ready()
        return SimpleNamespace(items=len(self.library), channels=tuple(map(asdict, self.library.channels)))

    def search(self, queries: Any, *, k: int = 10, **how: Any) -> Matches:
        self._ready()
        return self.library.search(queries, k=k, **how)

    def search_rows(self, rows: Any, *, k: int = 10, **how: Any) -> Matches:
        self._ready()
        return self.library.search_rows(rows, k=k, **how)


class Canned(Remote):
    """A service that answers at once, always the same."""

    def __init__(self, library: Library) -> None:
        super().__init__(library)
        self.answer = library.search_rows(QUERY)

    def search_rows(self, rows: Any, *, k: int = 10, **how: Any) -> Matches:
        return self.answer


@pytest.fixture
def three(tmp_path: Path) -> list[Library]:
    return world(1, 30).split(tmp_path, [10, 20])


QUERY = np.arange(1, DIMENSION + 1, dtype=np.float16)


def test_a_dead_service_is_told_and_asked_again(three: list[Library], tmp_path: Path) -> None:
    dead = Remote(three[1], problem=ServiceError("no service answers at http://127.0.0.1:9"))
    with Shards.open([three[0], dead, three[2]]) as shards:
        found = shards.search_rows(QUERY, k=30)
        assert (found.shards_ok, len(found.shards)) == (2, 3)
        assert [one.shard for one in found.missing] == [1]
        assert "no service answers" in str(found.missing[0].problem)
        assert "shard 1, Remote(), did not answer" in repr(found)
        assert not found[0].certified
        assert {match.shard for match in found[0].matches} == {0, 2}
        assert found.to_list()[0]["shards"]["missing"][0]["shard"] == 1
        dead.problem = None
        again = shards.search_rows(QUERY, k=30)
        assert (again.missing, again.library_size) == ((), 30)
        with world(1, 30).library(tmp_path / "whole") as whole:
            assert told(again) == told(whole.search_rows(QUERY, k=30))
        dead.problem = ServiceError("gone again")
        assert shards.search_rows(QUERY).library_size == 30  # what it held when it last answered


def test_a_late_shard_is_left_behind_and_cannot_pile_up(three: list[Library]) -> None:
    slow, ready = Remote(three[1]), Canned(three[0])
    with Shards.open([ready, slow], timeout_s=0.5) as shards:
        slow.wait_s = 30
        for _ in range(6):
            began = time.monotonic()
            found = shards.search_rows(QUERY)
            assert time.monotonic() - began < 10
            assert [(one.shard, one.late) for one in found.missing] == [(1, True)]
        assert slow.asked == 1 + 4  # told what it is; and then no more than four wait for it
        slow.wait_s = 0
        slow.go.set()
        ends = time.monotonic() + 60
        while shards.search_rows(QUERY).shards_ok < 2:
            assert time.monotonic() < ends


def test_nobody_answers(three: list[Library]) -> None:
    dead, said = Remote(three[0], problem=ServiceError("down")), r"none of 1 shards answered: Remote\(\): down"
    with Shards.open([dead]) as shards, pytest.raises(LibraryError, match=said):
        shards.search_rows(QUERY)


def test_a_closed_library_is_a_dead_shard(three: list[Library]) -> None:
    with Shards.open(three[:2]) as shards:
        three[1].close()
        found = shards.search_rows(QUERY)
        assert [one.shard for one in found.missing] == [1]
        assert "was closed" in str(found.missing[0].problem)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"rows": QUERY[:-1]}, RowError),
        ({"rows": QUERY, "k": 0}, InputError),
        ({"rows": QUERY, "metric": "hamming"}, InputError),
        ({"rows": QUERY, "views": "flips"}, InputError),
        ({"rows": QUERY, "max_expected": 1.0, "max_fpr": 0.1}, InputError),
    ],
)
def test_what_is_wrong_with_a_question_is_no_fault_of_a_shard(
    three: list[Library], asked: dict[str, Any], error: type[Exception]
) -> None:
    with Shards.open(three) as shards, pytest.raises(error):
        shards.search_rows(**asked)


def test_what_cannot_be_one_library_is_refused(three: list[Library], tmp_path: Path) -> None:
    other = make(tmp_path / "other.library", OtherExtractor())
    with pytest.raises(FingerprintMismatch, match="only libraries of one model"):
        Shards.open([three[0], other])
    with pytest.raises(InputError, match="no shard is given"):
        Shards.open([])
    with pytest.raises(InputError, match="is no shard"):
        Shards.open([three[0], 7])  # type: ignore[list-item]
    with pytest.raises(LibraryNotFound):
        Shards.open([tmp_path / "nothing"])
    with Shards.open([three[0], Remote(three[1])]) as shards:
        with pytest.raises(InputError, match="tells nobody its rows"):
            shards.search_items([(1, 1)])
        with pytest.raises(InputError, match="give k"):
            shards.search_rows(QUERY, k=None, max_distance=0.5)


def test_what_is_expected_is_of_all_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simsearch.decide.known_rates import known_calibrations

    calibration = next(one for (_, metric), one in known_calibrations().items() if metric == "js")
    monkeypatch.setattr("simsearch.library.reader.calibration_of", lambda *_: calibration)
    made = world(3, 60)
    with made.library(tmp_path / "whole") as whole, Shards.open(made.split(tmp_path, [7, 30])) as shards:
        for limit in (0.5, 5.0, 50.0):
            found, one = (each.search_rows(made.rows[:4] + 1, k=60, max_expected=limit) for each in (shards, whole))
            for ours, theirs in zip(found, one, strict=True):
                for a, b in zip(ours.matches, theirs.matches, strict=True):
                    assert a.expected_false_matches == pytest.approx(b.expected_false_matches)
                    assert a.expected_interval == pytest.approx(b.expected_interval)
                    assert (a.path, a.decision, a.beyond_calibration) == (b.path, b.decision, b.beyond_calibration)
        assert isinstance(found, ShardMatches)
        assert found.calibration is not None
        assert found.calibration.pairs == calibration.pairs


def test_shards_in_folders_follow_their_commits(three: list[Library], tmp_path: Path) -> None:
    paths = [library.path for library in three]
    with Shards.open(paths, device="cpu") as shards:
        assert repr(shards) == "Shards(3 libraries, 30 images)"
        three[0].remove("/rows/0")
        assert [one.items for one in shards.refresh()] == [9, 10, 10]
        assert len(shards) == 29


@given(outcomes=st.lists(st.sampled_from(["answer", "fail", "wrong"]), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_every_call_has_an_outcome(outcomes: list[str]) -> None:
    def work(kind: str) -> str:
        if kind == "answer":
            return kind
        raise OSError("the disk is gone") if kind == "fail" else InputError("k is -1")

    scatter, works = Scatter(5.0), {i: (lambda kind=kind: work(kind)) for i, kind in enumerate(outcomes)}
    if "wrong" in outcomes:
        with pytest.raises(InputError, match="k is -1"):
            scatter.ask(works)
        return
    found = scatter.ask(works)
    for i, kind in enumerate(outcomes):
        assert found[i] == ("answer" if kind == "answer" else Failure("the disk is gone"))


@given(contents=st.lists(st.integers(0, 3), min_size=2, max_size=14), ends=st.lists(st.integers(0, 14), max_size=3))
@settings(max_examples=25, deadline=None)
def test_copies_are_found_behind_other_rows_that_are_as_near(contents: list[int], ends: list[int]) -> None:
    made = World(np.ones((len(contents), DIMENSION), np.float16), tuple(contents))
    cuts = sorted(min(end, len(contents)) for end in ends)
    with folder() as home, made.library(home / "whole") as whole, Shards.open(made.split(home, cuts)) as shards:
        for k in (1, 2):
            assert told(shards.search_rows(QUERY, k=k)) == told(whole.search_rows(QUERY, k=k))
