"""Whatever is given to a public method, it works or says what was wrong in one line that can be logged."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import simsearch
from simsearch import Library
from simsearch.errors import SimsearchError, shown
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album

LONGEST = 300


class Spiteful:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __fspath__(self) -> str:
        raise RuntimeError("no path")


class Reads:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def read(self, _: int = -1) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def zoo() -> Iterator[Any]:
    """Values of every kind; made anew for each call, since some can be used once."""
    yield from (None, 3, -1, 0, 2**70, 10**5000, 1.5, float("nan"), True, 1j, Ellipsis, NotImplemented)
    yield from (
        {},
        {"a": 1},
        {1, 2},
        frozenset(),
        [[["a"]]],
        [[1, 2], [3]],
        [None],
        range(3),
        iter([1]),
        (x for x in [None]),
    )
    yield from (object(), Spiteful(), print, type, FakeExtractor, io.BytesIO, Exception("x" * 10**5), lambda: 0)
    yield from (Reads("text"), Reads(None), Reads(3), Reads(OSError(5, "broken")), io.StringIO("x"), memoryview(b"abc"))
    yield from (bytes(10**5), b"x" * 10**5, b"\xff" * 50, b"a\0b", b"", bytearray(b"a.png"))
    yield from ("x" * 10**5, "\ud800" * 5, "a\0b", "", "a/" * 3000, "no", "id:" + "9" * 5000, "id:" + "9" * 25)
    yield from ("cuda:99", "dhash", "nosuch:Class", "mini(bits=97)", Path("y" * 5000), Path("nowhere"), ["nowhere"] * 2)
    yield from (np.zeros((2, 3, 5)), np.array({}), np.array(["a"]), np.zeros(0), np.full((4, 4, 3), np.nan))
    yield from (np.zeros((4, 4, 3), np.int64), np.zeros((4, 4, 3), complex), np.datetime64("2020"), np.int8(1))
    yield from (torch.zeros(3), torch.zeros(2, 3, 4, 4) - 1, torch.zeros(3, 4, 4).to_sparse())
    yield from (torch.zeros(3, 4, 4, device="meta"), Image.new("L", (0, 5)), np.zeros((4, 4), "M8[s]"))


def is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= 1


CALLS: dict[str, Callable[[Library, Any], Any]] = {
    "embed": lambda lib, v: lib.extractor.embed(v),
    "embed several": lambda lib, v: lib.extractor.embed([v]),
    "search": lambda lib, v: lib.search(v),
    "search several": lambda lib, v: lib.search([v]),
    "search from_list": lambda lib, v: lib.search(from_list=v),
    "search metric": lambda lib, v: lib.search(Image.new("L", (9, 9)), metric=v),
    "search k": lambda lib, v: lib.search(Image.new("L", (9, 9)), k=v, max_distance=1),
    "search max_distance": lambda lib, v: lib.search(Image.new("L", (9, 9)), max_distance=v),
    "search exact": lambda lib, v: lib.search(Image.new("L", (9, 9)), exact=v),
    "search group_copies": lambda lib, v: lib.search(Image.new("L", (9, 9)), group_copies=v),
    "search exclude_self": lambda lib, v: lib.search(Image.new("L", (9, 9)), exclude_self=v),
    "search min_quality": lambda lib, v: lib.search(Image.new("L", (9, 9)), min_quality=v),
    "search settings": lambda lib, v: lib.search(Image.new("L", (9, 9)), settings=v),
    "search_rows": lambda lib, v: lib.search_rows(v),
    "search_rows metric": lambda lib, v: lib.search_rows(np.ones((1, 192)), metric=v),
    "add": lambda lib, v: lib.add(v, settings=HERE),
    "add several": lambda lib, v: lib.add([v], settings=HERE),
    "add iterator": lambda lib, v: lib.add(iter([Image.new("L", (9, 9)), v]), settings=HERE),
    "add from_list": lambda lib, v: lib.add(from_list=v, settings=HERE),
    "add settings": lambda lib, v: lib.add(settings=v),
    "add prune": lambda lib, v: lib.add(settings=HERE, prune=v),
    "add rescan": lambda lib, v: lib.add(settings=HERE, rescan=v),
    "add progress": lambda lib, v: None if callable(v) else lib.add(settings=HERE, progress=v),
    "add_rows": lambda lib, v: lib.add_rows(v),
    "remove": lambda lib, v: lib.remove(v),
    "remove several": lambda lib, v: lib.remove([v]),
    "remove purge": lambda lib, v: lib.remove([], purge=v),
    "remove owner": lambda lib, v: None if v is None else lib.remove([], owner=v),
    "remove dry_run": lambda lib, v: lib.remove("id:0", dry_run=v) if v is not False else None,
    "would_remove": lambda lib, v: lib.would_remove(v),
    "would_prune": lambda lib, v: lib.would_prune(v),
    "add prune_empty": lambda lib, v: lib.add(settings=HERE, prune=True, prune_empty=v),
    "add dry_run": lambda lib, v: lib.add(settings=HERE, prune=True, dry_run=v),
    "repair": lambda lib, v: Library.repair(v),
    "adopt": lambda lib, v: lib.adopt(v),
    "optimize recall": lambda lib, v: None if is_share(v) else lib.optimize(recall=v),
    "optimize metric": lambda lib, v: lib.optimize(metric=v),
    "optimize kind": lambda lib, v: lib.optimize(kind=v),
    "optimize bytes_a_row": lambda lib, v: lib.optimize(bytes_a_row=v),
    "optimize progress": lambda lib, v: None if callable(v) else lib.optimize(progress=v),
    "prepare": lambda lib, v: lib.prepare(v),
    "verify": lambda lib, v: lib.verify(deep=v),
    "items": lambda lib, v: list(lib.items(batch_size=v)),
    "rows": lambda lib, v: list(lib.rows(channel=v)),
    "rows batch_size": lambda lib, v: list(lib.rows(batch_size=v)),
    "open": lambda lib, v: Library.open(v),
    "open extractor": lambda lib, v: Library.open(lib.path, extractor=v),
    "open channel": lambda lib, v: Library.open(lib.path, channel=v),
    "open device": lambda lib, v: Library.open(lib.path, device=v),
    "open on_step": lambda lib, v: None if callable(v) else Library.open(lib.path, on_step=v),
    "create": lambda lib, v: Library.create(v, model=FakeExtractor()),
    "create model": lambda lib, v: Library.create("new", model=v),
    "create dtype": lambda lib, v: Library.create("new", model=FakeExtractor(), dtype=v),
    "create device": lambda lib, v: Library.create("new", model=FakeExtractor(), device=v),
    "load_extractor": lambda lib, v: simsearch.load_extractor(v),
    "load_extractor device": lambda lib, v: simsearch.load_extractor("dhash", device=v),
    "load_extractor dtype": lambda lib, v: simsearch.load_extractor("dhash", dtype=v),
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("wrong")
    library = Library.create(folder / "l", model=FakeExtractor(), device="cpu")
    library.add(album(folder / "photos", range(3)), settings=HERE)
    return library


@pytest.mark.parametrize("name", CALLS)
def test_it_works_or_says_what_was_wrong(
    filled: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = []
    for value in zoo():
        try:
            CALLS[name](filled, value)
        except SimsearchError as error:
            said.append(str(error))
    assert len(said) >= 10
    assert [message for message in said if len(message) > LONGEST or not message.isprintable()] == []
    assert filled.search(filled.path.parent / "photos", k=1).distances.max() == 0, "no harm was done"


@pytest.mark.parametrize("most", [30, 80, 200])
def test_any_value_is_shown_on_one_short_line(most: int) -> None:
    for value in zoo():
        text = shown(value, most)
        assert text.isprintable()
        assert 0 < len(text) <= most or value in ("", b"")
