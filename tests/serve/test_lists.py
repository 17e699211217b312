"""Lists and checks over a real socket: what the client answers is what the library answers, and who may change what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

from simsearch import Client
from simsearch.errors import AccessRefused, InputError, ItemNotFound
from simsearch.library import Library
from simsearch.library.lists.codes import type_of
from tests.fake import FakeExtractor
from tests.serve.conftest import READ, WRITE, Served, running, tokens_in
from tests.serve.near_pairs import library_of_pairs

DIGEST = "md5:d41d8cd98f00b204e9800998ecf8427e"
NEAR: dict[str, Any] = {"max_distance": 0.05}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = library_of_pairs(tmp_path, 4)
    with Library.open(made, extractor=FakeExtractor()) as library:
        library.create_list("blocked", "block")
        library.add_to_list("blocked", [tmp_path / "photographs" / "000.png"])
        library.create_list("press", "allow")
    return made


@pytest.fixture
def served(folder: Path, tmp_path: Path) -> Iterator[Served]:
    with running(folder, tokens=tokens_in(tmp_path)) as one:
        yield one


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, token=WRITE) as one:
        yield one


def signed_in(served: Served) -> str:
    body = urlencode({"by": "Anna", "token": WRITE}).encode()
    reply = served.ask("POST", "/sign-in", body, kind="application/x-www-form-urlencoded", Origin=served.url)
    return reply.headers["set-cookie"].partition(";")[0]


def test_pictures_items_rows_and_codes_are_answered_as_by_the_library(
    client: Client, served: Served, folder: Path, tmp_path: Path
) -> None:
    pictures = [tmp_path / "photographs" / name for name in ("000.png", "000-copy.png", "001.png", "none.png")]
    pictures[3].write_bytes(b"no picture")
    with Library.open(folder, extractor=FakeExtractor()) as library:
        told = client.check(pictures, lists=["blocked"], count=False, **NEAR)
        wanted = library.check(pictures, lists=["blocked"], count=False, **NEAR)
        assert told.to_list() == wanted.to_list()
        assert [one.listed for one in told] == [True, True, False, False]
        assert told.lists == wanted.lists
        ids = [1, 0, 5]
        items = client.check_items(ids, count=False, **NEAR)
        assert items == library.check_items(ids, count=False, **NEAR)
        snapshot, rows = library.snapshot, []
        for number in ids:
            place = snapshot.by_id(number)
            assert place is not None
            row = snapshot.row(place, "fake")
            assert row is not None
            rows.append(row)
        codes = [f"{type_of(FakeExtractor.fingerprint)}:{row.astype('<f2').tobytes().hex()}" for row in rows]
        by_code = client.check_codes([*codes, DIGEST], count=False, **NEAR)
        assert by_code == library.check_codes([*codes, DIGEST], count=False, **NEAR)
        near = [[match for match in one.matches if match.type != "sha256"] for one in items]
        assert [list(one.matches) for one in by_code[:3]] == near
    asked = {"rows": [row.astype(float).tolist() for row in rows], "count": False, **NEAR}
    by_row = served.ask("POST", "/v1/check", asked, token=READ).json
    assert by_row["answers"] == [one.to_dict() for one in by_code[:3]]


def test_a_code_without_a_picture_says_what_could_not_be_compared(client: Client) -> None:
    found = client.check_codes([DIGEST], lists=["blocked"])
    assert not found.listed
    assert any("sha256" in text for text in found.not_compared)
    with pytest.raises(ItemNotFound):
        client.check_items([99])
    for bad in ("pdq:00", "nothing", f"channel:{'ab' * 32}:00", f"{type_of(FakeExtractor.fingerprint)}:00"):
        with pytest.raises(InputError):
            client.check_codes([bad])
    nan = np.full(FakeExtractor.dimension, np.nan, "<f2").tobytes().hex()
    with pytest.raises(InputError, match="not finite"):
        client.check_codes([f"{type_of(FakeExtractor.fingerprint)}:{nan}"])
    with pytest.raises(InputError):
        client.check_codes([DIGEST], lists=["no-such-list"])


def test_a_list_is_made_filled_emptied_and_seen_at_once(client: Client, folder: Path, tmp_path: Path) -> None:
    made = client.create_list("more", "block", prevalence=0.01)
    assert client.lists() == ("blocked", "more", "press")
    assert (made.kind, len(made), made.facts()["prevalence"]) == ("block", 0, 0.01)
    assert made.add([DIGEST, f"sha1:{'0a' * 20}"], tags=["x"]).added == 2
    listed = client.add_to_list("more", [tmp_path / "photographs" / "003.png"], tags=["y"])
    assert listed.pictures == 1
    with Library.open(folder, extractor=FakeExtractor()) as library:
        assert list(made.entries()) == list(library.list("more").entries())
        assert made.types() == library.list("more").types()
    assert client.check([tmp_path / "photographs" / "003.png"], lists=["more"]).listed
    sha256 = next(entry.id for entry in made.entries() if entry.code.type == "sha256")
    others = [entry.id for entry in made.entries() if entry.id != sha256]
    assert made.remove(others) == len(others) >= 3
    assert [entry.id for entry in made.entries()] == [sha256]
    assert sum(1 for _ in made.entries(withdrawn=True)) > 1
    assert made.purge() > 0
    assert sum(1 for _ in made.entries(withdrawn=True)) == 1
    assert client.check([tmp_path / "photographs" / "003.png"], lists=["more"]).listed
    with pytest.raises(InputError):
        client.list("none")
    with pytest.raises(InputError):
        client.create_list("more", "block")
    with pytest.raises(InputError):
        made.remove([999])


def test_what_another_process_lists_counts_from_the_next_check_on(client: Client, folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "photographs" / "002.png"
    assert not client.check([picture], count=False).listed
    with Library.open(folder, extractor=FakeExtractor()) as library:
        library.add_to_list("blocked", [picture])
    assert client.check([picture], count=False).listed
    with Library.open(folder, extractor=FakeExtractor()) as library:
        library.add_to_list("press", [picture])
    answer = client.check([picture], count=False)[0]
    assert (answer.listed, answer.allowed) == (False, True)


def test_checks_are_counted_by_those_who_may_write_and_floods_are_let_go(
    client: Client, served: Served, folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "photographs" / "000-copy.png"
    with Client(served.url, token=READ) as reader:
        assert reader.check([copy], **NEAR).listed
        with pytest.raises(AccessRefused):
            reader.check([copy], count=True)
        with pytest.raises(AccessRefused):
            reader.list("blocked").add([DIGEST])
        with pytest.raises(AccessRefused):
            reader.create_list("a", "block")
        with pytest.raises(AccessRefused):
            reader.list("blocked").remove([0])
    blocked = client.list("blocked")
    assert blocked.facts()["checks"] == 0
    for _ in range(25):
        last = client.check([copy], lists=["blocked"], **NEAR)
        if last.set_aside:
            break
    assert last.set_aside, "an entry that is met in every picture is a flood"
    assert not client.check([copy], lists=["blocked"], **NEAR).listed
    aside = [entry.id for entry in blocked.entries(set_aside=True)]
    assert aside == [entry for _, entry in last.set_aside]
    cookie = signed_in(served)
    page = served.ask("GET", "/library", Cookie=cookie).body.decode()
    assert page.count("Let it accuse again") == len(aside)
    form, kind = urlencode({"list": "blocked", "entry": aside[0]}).encode(), "application/x-www-form-urlencoded"
    assert served.ask("POST", "/library", form, kind=kind, Cookie=cookie).status == 403
    assert served.ask("POST", "/library", b"list=x&entry=y", kind=kind, Cookie=cookie, Origin=served.url).status == 400
    assert served.ask("POST", "/library", form, kind=kind, Cookie=cookie, Origin=served.url).status == 303
    assert [entry.id for entry in blocked.entries(set_aside=True)] == aside[1:]
    blocked.release(aside)
    assert client.check([copy], lists=["blocked"], **NEAR).listed


def test_odd_requests_are_refused_by_name(served: Served) -> None:
    for path, body in (
        ("/v1/check", {}),
        ("/v1/check", {"ids": [0], "codes": [DIGEST]}),
        ("/v1/check", {"ids": []}),
        ("/v1/check", {"ids": [0], "max_bits": 300}),
        ("/v1/check", {"rows": [[1.0, 2.0]]}),
        ("/v1/check", {"rows": ["http://example.org/a.png"]}),
        ("/v1/lists", {"name": "../a", "kind": "block"}),
        ("/v1/lists", {"name": "a", "kind": "grey"}),
        ("/v1/lists/blocked/entries", {"codes": []}),
        ("/v1/lists/blocked/entries", {"codes": [f"pdq:{'00' * 32}"]}),
        ("/v1/lists/no.such/entries", {"codes": [DIGEST]}),
    ):
        reply = served.ask("POST", path, body, token=WRITE)
        assert reply.status == 400, (path, body, reply.body)
        assert reply.error in {"InputError", "RowError"}
    assert served.ask("GET", "/v1/lists/blocked/entries?limit=1", token=READ).json["entries"][0]["id"] == 0
    counted = served.ask("GET", "/metrics", token=READ).body.decode()
    assert 'route="/v1/lists/{name}/entries",method="GET"' in counted


def test_a_library_without_lists_says_so(tmp_path: Path) -> None:
    with running(library_of_pairs(tmp_path, 1)) as one:
        assert one.ask("GET", "/v1/lists").json["lists"] == []
        refused = one.ask("POST", "/v1/check", {"ids": [0]})
        assert (refused.status, "no lists" in refused.json["error"]["message"]) == (400, True)
        with Client(one.url) as client:
            info = replace(client.info(), channels=())
        assert info.items == 2
