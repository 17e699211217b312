"""Laws of the log of verdicts: it only grows, says what was written, and outlives all that happens to a library."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsearch.errors import InputError, LibraryDamaged
from simsearch.library import Library
from simsearch.library.format.manifest import Manifest
from simsearch.library.verdicts.log import Tail, append, forget, read, read_since
from simsearch.library.verdicts.verdict import Verdict, pair_of, standing, verdict
from tests.fake import OtherExtractor
from tests.library.helpers import HERE, album, live_paths, make

_CONTENT = st.binary(min_size=32, max_size=32).filter(any)


def some(count: int, start: int = 1) -> list[Verdict]:
    """Verdicts on pairs of contents that nobody has, all of one moment."""
    contents = [(i.to_bytes(32, "big"), (i + 1).to_bytes(32, "big")) for i in range(start, start + count)]
    made = [verdict(a, b, ("confirm", "reject")[a[-1] % 2], by="Anna", distance=a[-1] / 7) for a, b in contents]
    return [replace(one, time="2026-01-02T03:04:05+00:00") for one in made]


@given(_CONTENT, _CONTENT)
def test_a_pair_has_one_key_in_either_order(a: bytes, b: bytes) -> None:
    assert pair_of(a, b) == pair_of(b, a)
    assert verdict(a, b, "confirm", by="x").pair == pair_of(b, a)


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["confirm", "reject", "undo"])), max_size=12))
def test_the_last_word_stands(words: list[tuple[int, str]]) -> None:
    log = [verdict(bytes([n]) * 32, bytes([9]) * 32, word, by="x") for n, word in words]
    expected: dict[int, str] = {}
    for n, word in words:
        expected[n] = word
    expected = {n: word for n, word in expected.items() if word != "undo"}
    assert {pair[0][0]: one.decision for pair, one in standing(log).items()} == expected


def test_what_is_appended_is_read_by_all(tmp_path: Path) -> None:
    with make(tmp_path / "library") as library:
        assert library.verdicts() == []
        library.keep_verdicts(some(3))
        library.keep_verdicts([])
        library.keep_verdicts(some(2, start=50))
        assert library.verdicts() == [*some(3), *some(2, start=50)]
        assert library.verify(deep=True) == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE verdicts SET decision = 'reject' WHERE number = 2",
        "UPDATE verdicts SET person = 'Bert' WHERE number = 2",
        "UPDATE verdicts SET distance = 0 WHERE number = 2",
        "UPDATE verdicts SET distance = 'far' WHERE number = 2",
        "UPDATE verdicts SET a = x'00' WHERE number = 2",
        "DELETE FROM verdicts WHERE number = 2",
    ],
)
def test_an_entry_that_changed_is_told_and_repair_keeps_the_others(tmp_path: Path, change: str) -> None:
    with make(tmp_path / "library") as library:
        library.add(album(tmp_path / "photos", range(3)), settings=HERE)
        library.keep_verdicts(some(4))
    with sqlite3.connect(tmp_path / "library" / "manifest.sqlite") as db:
        db.execute(change)
    with Library.open(tmp_path / "library", device="cpu") as library:
        with pytest.raises(LibraryDamaged, match="log of verdicts"):
            library.verdicts()
        assert any("log of verdicts" in problem for problem in library.verify())
    report = Library.repair(tmp_path / "library")
    assert any("log of verdicts" in sentence for sentence in report.unknown)
    with Library.open(tmp_path / "library", device="cpu") as library:
        kept = library.verdicts()
        assert set(kept) < set(some(4))
        assert len(kept) >= 2
        assert library.verify(deep=True) == []
        assert len(library) == 3


def test_a_manifest_made_again_keeps_the_log(tmp_path: Path) -> None:
    with make(tmp_path / "library") as library:
        library.add(album(tmp_path / "photos", range(3)), settings=HERE)
        library.keep_verdicts(some(4))
    with sqlite3.connect(tmp_path / "library" / "manifest.sqlite") as db:
        db.execute("UPDATE meta SET value = 'x' WHERE key = 'uuid'")
    assert Library.repair(tmp_path / "library").made
    assert read(Manifest(tmp_path / "library")) == some(4)


def test_images_come_and_go_beside_the_log_and_only_a_purge_erases_what_is_gone(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(6))
    with make(tmp_path / "library") as library:
        library.add(photos, settings=HERE)
        first, second, third = live_paths(library)[:3]
        made = [library.review(first, second, "confirm", by="Anna"), library.review(second, third, "reject", by="Anna")]
        library.remove([first])
        library.optimize()
        library.add(album(photos, range(6, 9)), settings=HERE)
        library.reembed(OtherExtractor(), settings=HERE)
        assert library.verdicts() == made
        library.remove([third], purge=True)
        assert library.verdicts() == made[:1]
        assert library.verify(deep=True) == []


def test_a_writer_and_a_reviewer_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with make(tmp_path / "library") as library, library._writing() as writer:
        append(Manifest(library.path), some(2))
        writer.commit(unrooted=[])
        append(Manifest(library.path), some(1, start=9))
        assert library.verdicts() == [*some(2), *some(1, start=9)]


def test_review_refuses_what_it_cannot_keep(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(3))
    with make(tmp_path / "library") as library:
        library.add(photos, settings=HERE)
        one, other, _ = live_paths(library)
        with pytest.raises(InputError, match="nothing stands"):
            library.review(one, other, "undo", by="Anna")
        with pytest.raises(InputError, match="confirm, reject or undo"):
            library.review(one, other, "maybe", by="Anna")
        with pytest.raises(InputError, match="who decided"):
            library.review(one, other, "confirm", by=" ")
        with pytest.raises(InputError, match="name one file"):
            library.review(photos, other, "confirm", by="Anna")
        with pytest.raises(InputError, match="neither in the library nor a file"):
            library.review("missing.png", other, "confirm", by="Anna")
        made = library.review(one, other, "confirm", by="Anna")
        assert made.distance is not None
        assert made.channel == "fake"
        assert library.review(other, one, "undo", by="Bert").pair == made.pair
        assert standing(library.verdicts()) == {}


def test_what_came_since_is_read_alone_and_a_log_begun_anew_whole(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    manifest, digests = Manifest(library.path), [bytes([i]) * 32 for i in range(1, 7)]
    entries = [verdict(digests[i], digests[i + 1], "confirm", by="Anna") for i in range(5)]
    seen, tail, anew = read_since(manifest, Tail())
    assert (seen, tail, anew) == ([], Tail(), False)
    for entry in entries:
        append(manifest, [entry])
        seen, tail, anew = read_since(manifest, tail)
        assert (seen, anew) == ([entry], False)
    assert read_since(manifest, tail) == ([], tail, False)
    forget(manifest, [digests[0]])
    seen, after, anew = read_since(manifest, tail)
    assert (seen, anew) == (entries[1:], True)
    assert read_since(manifest, after) == ([], after, False)
    forget(manifest, digests)
    assert read_since(manifest, after) == ([], Tail(), True)
