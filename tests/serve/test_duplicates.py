"""Duplicates over a real socket: the client's answer is the library's, and no request waits for a search."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simsearch import Client
from simsearch.errors import InputError, SearchRunning
from simsearch.library import Duplicates, Group, Library
from tests.fake import FakeExtractor
from tests.serve.conftest import READ, WRITE, Served, running, tokens_in
from tests.serve.near_pairs import NEAR, ended, library_of_pairs

COUNT = 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = library_of_pairs(tmp_path, COUNT)
    (tmp_path / "photographs" / "again.png").write_bytes((tmp_path / "photographs" / "001.png").read_bytes())
    with Library.open(made, extractor=FakeExtractor()) as library:
        library.add(tmp_path / "photographs")
    return made


@pytest.fixture
def served(folder: Path, tmp_path: Path) -> Iterator[Served]:
    with running(folder, tokens=tokens_in(tmp_path)) as one:
        yield one


def without_the_disk(found: Duplicates) -> Duplicates:
    """An answer without what no service tells."""

    def group(one: Group) -> Group:
        others = tuple(replace(other, picture=bare(other.picture)) for other in one.others)
        return replace(one, kept=bare(one.kept), others=others)

    def bare(picture: Any) -> Any:
        return replace(picture, root=b"", file_id=None)

    return replace(found, library="", groups=tuple(map(group, found.groups)))


@pytest.mark.parametrize("how", [{"max_distance": NEAR}, {"max_distance": 0.9, "grouping": "components"}])
def test_the_client_answers_as_the_library_does(served: Served, folder: Path, how: dict[str, Any]) -> None:
    with Client(served.url, token=READ) as client, Library.open(folder, extractor=FakeExtractor()) as library:
        found = client.duplicates(**how)
        assert without_the_disk(found) == without_the_disk(library.duplicates(**how))
        assert found.library == served.url
        assert len(list(found.pairs())) > COUNT
        for bad in ({"keep": "whatever"}, {"max_false_pairs": 1}, {"max_distance": 0.1, "channel": "none"}):
            with pytest.raises(InputError):
                client.duplicates(**bad)


def test_pages_of_any_size_hold_all_pairs_once(served: Served) -> None:
    number = served.ask("POST", "/v1/duplicates", {"max_distance": 0.9, "grouping": "components"}, token=READ).json
    path = f"/v1/duplicates/{number['search']}"
    whole = ended(served, path, READ)
    total = whole["total_pairs"]
    assert len(whole["pairs"]) == total == 2 * COUNT
    for limit in (1, 3, total, 1000):
        pages = [
            served.ask("GET", f"{path}?offset={offset}&limit={limit}", token=READ).json["pairs"]
            for offset in range(0, total + 1, limit)
        ]
        assert [pair for page in pages for pair in page] == whole["pairs"]
        assert all(len(page) <= limit for page in pages)
    assert served.ask("GET", f"{path}?limit=100000", token=READ).status == 400
    assert served.ask("GET", "/v1/duplicates/99", token=READ).status == 400
    assert served.ask("DELETE", path, token=READ).status == 403
    assert served.ask("DELETE", path, token=WRITE).status == 200
    assert served.ask("GET", path, token=READ).status == 400


def test_a_search_keeps_no_request_waiting_and_another_question_comes_later(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, going = threading.Event(), threading.Event()
    searched = Library.duplicates

    def slow(library: Any, *, progress: Any, **how: Any) -> Duplicates:
        progress(1, 11)
        going.set()
        while not held.wait(0.02):
            progress(2, 11)
        return searched(library, progress=progress, **how)

    monkeypatch.setattr(Library, "duplicates", slow)
    asked = {"max_distance": NEAR}
    first = served.ask("POST", "/v1/duplicates", asked, token=READ)
    assert (first.status, first.json["state"]) == (202, "running")
    assert going.wait(30)
    assert served.ask("POST", "/v1/duplicates", asked, token=READ).json["search"] == first.json["search"]
    other = served.ask("POST", "/v1/duplicates", {"max_distance": 0.2}, token=READ)
    assert (other.status, other.error, other.headers["retry-after"]) == (409, "SearchRunning", "1")
    began = time.monotonic()
    seen = served.ask("GET", f"/v1/duplicates/{first.json['search']}", token=READ).json
    assert time.monotonic() - began < 5
    assert (seen["state"], seen["compared"], seen["of"]) == ("running", 2, 11) or seen["compared"] == 1
    assert "pairs" not in seen
    review = served.ask("POST", "/v1/review", asked, token=WRITE)
    assert review.json["search"]["search"] == first.json["search"], "the review waits for the search that runs"
    held.set()
    assert ended(served, "/v1/review", WRITE)["open"] == COUNT
    with Client(served.url, token=READ) as client:
        assert len(list(client.duplicates(max_distance=0.2).pairs())) >= COUNT


def test_a_search_is_stopped_by_whoever_may_and_by_the_end_of_the_service(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()

    def endless(_library: Any, *, progress: Any, **_how: Any) -> None:
        while True:
            progress(1, 11)
            going.set()
            time.sleep(0.01)

    monkeypatch.setattr(Library, "duplicates", endless)
    with running(folder, tokens=tokens_in(tmp_path)) as served:
        for _ in range(2):
            made = served.ask("POST", "/v1/duplicates", {"max_distance": 0.2}, token=READ).json
            assert going.wait(30)
            going.clear()
            path = f"/v1/duplicates/{made['search']}"
            with Client(served.url, token=READ) as client, pytest.raises(SearchRunning):
                client.duplicates(max_distance=0.1)
            if made["search"] == 1:
                assert served.ask("DELETE", path, token=WRITE).status == 200
                assert ended(served, path, READ)["state"] == "stopped"
    # the second one runs until the block ends, which ends the service all the same
