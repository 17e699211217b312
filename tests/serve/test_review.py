"""Reviewing over a real socket: leases, verdicts that are in the log when they are told, and who may decide."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from simsearch import Client
from simsearch.errors import InputError, PairTaken
from simsearch.library import Library
from simsearch.serve.settings import ServeSettings
from tests.serve.conftest import READ, WRITE, Reply, Served, running, tokens_in
from tests.serve.near_pairs import NEAR, ended, filled, library_of_pairs, verdicts_of

COUNT = 8


@pytest.fixture
def library_of_copies(tmp_path: Path) -> Path:
    return library_of_pairs(tmp_path, COUNT)


@pytest.fixture
def reviewed(library_of_copies: Path, tmp_path: Path) -> Iterator[Served]:
    with running(library_of_copies, tokens=tokens_in(tmp_path)) as one:
        filled(one, WRITE)
        yield one


def ask(served: Served, what: str, by: str = "Anna", **more: Any) -> Reply:
    return served.ask("POST", f"/v1/review/{what}", {"by": by, **more}, token=WRITE)


def named(pair: dict[str, Any]) -> dict[str, str]:
    return {"a": pair["kept"]["sha256"], "b": pair["other"]["sha256"]}


def test_the_queue_holds_each_photograph_with_its_copy_nearest_first(reviewed: Served) -> None:
    seen = []
    for i in range(COUNT):
        told = ask(reviewed, "next").json
        [pair] = told["pairs"]
        assert (told["open"], told["leased"], told["decided"]) == (COUNT - i, 1, i)
        names = sorted(Path(pair[side]["path"]).name for side in ("kept", "other"))
        assert names == [names[0], names[0].replace("-copy", "")]
        assert pair["kept"]["path"].endswith(names[1]), "the larger one comes first"
        seen.append(pair["distance"])
        assert ask(reviewed, "decisions", **named(pair), decision="confirm").status == 200
    assert seen == sorted(seen)
    assert ask(reviewed, "next").json["pairs"] == []


def test_a_verdict_is_in_the_log_when_it_is_told_and_is_never_asked_again(
    reviewed: Served, library_of_copies: Path
) -> None:
    [pair] = ask(reviewed, "next").json["pairs"]
    told = ask(reviewed, "decisions", **named(pair), decision="reject", count=1).json
    assert verdicts_of(library_of_copies) == [("Anna", "reject")]
    assert named(told["pairs"][0]) != named(pair), "the next one comes with the answer"
    [entry] = reviewed.ask("GET", "/v1/verdicts", token=READ).json["verdicts"]
    assert {entry["a"], entry["b"]} == set(named(pair).values())
    assert entry["distance"] == pytest.approx(pair["distance"])
    assert filled(reviewed, WRITE)["open"] == COUNT - 1
    people = ["Anna", *(f"person {i}" for i in range(COUNT - 2))]
    got = {ask(reviewed, "next", by).json["pairs"][0]["other"]["sha256"] for by in people}
    assert len(got) == COUNT - 1
    assert pair["other"]["sha256"] not in got


def test_what_is_decided_elsewhere_is_not_asked_and_a_removed_file_neither(
    reviewed: Served, library_of_copies: Path
) -> None:
    with Library.open(library_of_copies) as elsewhere:
        elsewhere.review("id:0", "id:1", "confirm", by="Bert")
        elsewhere.remove(["id:2"])
    deadline = time.monotonic() + 30
    while reviewed.held.view.generation == 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    ids = set()
    while pairs := ask(reviewed, "next").json["pairs"]:
        ids |= {pairs[0]["kept"]["id"], pairs[0]["other"]["id"]}
        ask(reviewed, "decisions", **named(pairs[0]), decision="confirm")
    assert ids == set(range(4, 2 * COUNT))


def test_two_people_at_once_never_get_one_pair(reviewed: Served) -> None:
    got: dict[str, list[str]] = {f"person {i}": [] for i in range(4)}

    def work(by: str) -> None:
        while pairs := ask(reviewed, "next", by, count=1).json["pairs"]:
            got[by].append(pairs[0]["other"]["sha256"])
            assert ask(reviewed, "decisions", by, **named(pairs[0]), decision="confirm").status == 200

    threads = [threading.Thread(target=work, args=(by,)) for by in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len([one for some in got.values() for one in some]) == COUNT
    assert len({one for some in got.values() for one in some}) == COUNT
    assert reviewed.ask("GET", "/v1/verdicts", token=READ).json["total"] == COUNT


def test_a_lease_ends_and_whoever_comes_too_late_is_told(library_of_copies: Path, tmp_path: Path) -> None:
    with running(library_of_copies, tokens=tokens_in(tmp_path), settings=ServeSettings(lease_s=0.3)) as served:
        filled(served, WRITE)
        [pair] = ask(served, "next").json["pairs"]
        while (other := ask(served, "next", "Bert", count=1).json["pairs"][0]) and named(other) != named(pair):
            ask(served, "skip", "Bert", **named(other))
        late = ask(served, "decisions", **named(pair), decision="confirm")
        assert (late.status, late.error) == (409, "PairTaken")
        assert "Bert has this pair" in late.json["error"]["message"]
        assert "retry-after" not in late.headers
        assert ask(served, "decisions", "Bert", **named(pair), decision="reject").status == 200
        assert verdicts_of(library_of_copies) == [("Bert", "reject")]
        assert (
            "Bert has decided" in ask(served, "decisions", **named(pair), decision="confirm").json["error"]["message"]
        )


def test_undo_takes_back_ones_own_verdicts_one_after_the_other(reviewed: Served, library_of_copies: Path) -> None:
    done = []
    for _ in range(3):
        [pair] = ask(reviewed, "next").json["pairs"]
        ask(reviewed, "decisions", **named(pair), decision="confirm")
        done.append(named(pair))
    assert ask(reviewed, "undo", "Bert").status == 400
    for pair in reversed(done):
        assert named(ask(reviewed, "undo", count=1).json["pairs"][0]) == pair
    assert ask(reviewed, "undo").status == 400
    assert verdicts_of(library_of_copies) == [("Anna", "confirm")] * 3 + [("Anna", "undo")] * 3
    with Library.open(library_of_copies) as elsewhere:
        assert len(list(elsewhere.duplicates(max_distance=0.05).pairs())) == COUNT


def test_nobody_decides_without_the_token_for_writing_and_nobody_without_a_name(reviewed: Served) -> None:
    [pair] = ask(reviewed, "next").json["pairs"]
    for path in ("/v1/review", "/v1/review/next", "/v1/review/decisions", "/v1/review/undo", "/v1/verdicts"):
        assert reviewed.ask("POST", path, {"by": "Anna"}, token=READ).status == 403
        assert reviewed.ask("POST", path, {"by": "Anna"}).status == 401
    assert reviewed.ask("POST", "/v1/review/next", {}, token=WRITE).status == 400
    for bad in ({"by": " "}, {"by": "a\nb"}, {"by": "x" * 300}, {"by": "A", "count": 99}, {"by": "A", "more": 1}):
        assert reviewed.ask("POST", "/v1/review/next", bad, token=WRITE).status == 400
    for bad in ({"a": "x", "b": "y"}, {**named(pair), "decision": "undo"}, {**named(pair), "decision": "perhaps"}):
        assert ask(reviewed, "decisions", **bad).status == 400
    assert ask(reviewed, "decisions", a="ab" * 32, b="cd" * 32, decision="confirm").error == "PairTaken"


def test_a_verdict_on_any_two_items_is_kept_and_no_file_of_the_machine_is_named(
    reviewed: Served, library_of_copies: Path
) -> None:
    said = {"a": "id:0", "b": "id:5", "decision": "reject", "by": "Anna"}
    made = reviewed.ask("POST", "/v1/verdicts", said, token=WRITE).json
    assert (made["decision"], made["by"]) == ("reject", "Anna")
    assert reviewed.ask("POST", "/v1/verdicts", {**said, "decision": "undo"}, token=WRITE).status == 200
    assert verdicts_of(library_of_copies) == [("Anna", "reject"), ("Anna", "undo")]
    for odd in ("/etc/passwd", "id:99999", "..", "id:-1"):
        assert reviewed.ask("POST", "/v1/verdicts", {**said, "a": odd}, token=WRITE).status in {400, 404}


def test_a_search_that_cannot_be_is_refused_at_once_and_one_that_fails_says_why(
    library_of_copies: Path, tmp_path: Path
) -> None:
    settings = ServeSettings(max_pairs=3)
    with running(library_of_copies, tokens=tokens_in(tmp_path), settings=settings) as served:
        for bad in (
            {"max_distance": -1},
            {"channel": "none"},
            {"keep": "whatever"},
            {"views": "sideways"},
            {"max_distance": 0.1, "max_false_pairs": 1},
            {"url": "http://example.org"},
        ):
            assert served.ask("POST", "/v1/review", bad, token=WRITE).status == 400, bad
        told = filled(served, WRITE, within=1.0)
        assert told["search"]["state"] == "failed"
        assert "more than 3 pairs" in told["search"]["error"]["message"]
        assert served.ask("GET", "/readyz").status == 200


def test_the_client_reviews_and_reads_the_log(reviewed: Served, library_of_copies: Path) -> None:
    with Client(reviewed.url, token=WRITE) as client:
        assert client.start_review(max_distance=NEAR)["search"]["state"] in {"running", "done"}
        ended(reviewed, "/v1/review", WRITE)
        assert client.standing()["open"] == COUNT
        first, second = client.next_pairs(by="Anna", count=2)
        assert client.next_pairs(by="Bert")[0] not in (first, second)
        client.decide(first, "confirm", by="Anna")
        with pytest.raises(PairTaken, match="Anna has this pair"):
            client.decide(second, "confirm", by="Bert")
        client.undo(by="Anna")
        assert client.next_pairs(by="Anna", count=2) == [first, second]
        said = client.review(0, 5, "reject", by="Carla")
        by_content = client.review(first["kept"]["sha256"], first["other"]["sha256"], "confirm", by="Carla")
        with pytest.raises(PairTaken, match="Carla has decided"):
            client.decide(first, "confirm", by="Anna")
        with pytest.raises(InputError, match="neither in the library"):
            client.review(0, 999, "reject", by="Carla")
        with pytest.raises(InputError):
            client.review(0, 5, "perhaps", by="Carla")  # type: ignore[arg-type]
        with Library.open(library_of_copies) as library:
            assert client.verdicts() == library.verdicts()
            assert client.verdicts()[-2:] == [said, by_content]


# -- the page, without script --


def sign_in(served: Served, by: str = "Anna", token: str = WRITE, **more: str) -> Reply:
    body = urlencode({"by": by, "token": token, **more})
    kind = "application/x-www-form-urlencoded"
    return served.ask("POST", "/sign-in", body.encode(), kind=kind, Origin=served.url)


def sent(served: Served, cookie: str, path: str = "/review", origin: str = "", **fields: str) -> Reply:
    kind = "application/x-www-form-urlencoded"
    body = urlencode(fields).encode()
    return served.ask("POST", path, body, kind=kind, Cookie=cookie, Origin=origin or served.url)


def cookie_of(reply: Reply) -> str:
    return reply.headers["set-cookie"].partition(";")[0]


def test_pairs_are_decided_and_undone_by_forms_alone(reviewed: Served, library_of_copies: Path) -> None:
    answer = sign_in(reviewed, to="/review")
    assert (answer.status, answer.headers["location"]) == (303, "/review")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))
    cookie = cookie_of(answer)
    for what in ("confirm", "reject", "undo", "skip"):
        text = reviewed.ask("GET", "/review", Cookie=cookie).body.decode()
        fields = dict(re.findall(r'<input type="hidden" name="(\w)" value="(\w+)">', text))
        assert set(fields) == {"a", "b"}
        done = sent(reviewed, cookie, do=what, **fields)
        assert (done.status, done.headers["location"]) == (303, "/review")
    assert verdicts_of(library_of_copies) == [("Anna", "confirm"), ("Anna", "reject"), ("Anna", "undo")]
    assert sent(reviewed, cookie, do="confirm", a="ab" * 32, b="cd" * 32).status == 409
    assert sent(reviewed, cookie, do="whatever").status == 400
    assert sent(reviewed, cookie, "/sign-in", out="1").status == 303
    assert b"sign in" in reviewed.ask("GET", "/review", Cookie=cookie, Authorization=f"Bearer {READ}").body.lower()
    assert reviewed.ask("GET", "/review", Cookie=cookie).status == 401


def test_a_session_is_worth_what_its_token_is_and_other_sites_cannot_use_it(reviewed: Served) -> None:
    reader, writer = (cookie_of(sign_in(reviewed, token=token)) for token in (READ, WRITE))
    assert b"Your token is for reading" in reviewed.ask("GET", "/review", Cookie=reader).body
    assert sent(reviewed, reader, do="undo").status == 403
    for origin in ("http://evil.example", "null", f"{reviewed.url}.evil.example"):
        assert sent(reviewed, writer, do="undo", origin=origin).status == 403
    without = reviewed.ask("POST", "/review", b"do=undo", kind="application/x-www-form-urlencoded", Cookie=writer)
    assert without.status == 403, "a request that does not say where it comes from is not the page's"
    crossed = reviewed.ask(
        "POST", "/v1/review/undo", {}, Cookie=writer, Origin=reviewed.url, Sec_Fetch_Site="cross-site"
    )
    assert crossed.status == 403
    named_otherwise = reviewed.ask("POST", "/v1/review/next", {"by": "Bert"}, Cookie=writer, Origin=reviewed.url)
    assert named_otherwise.status == 200
    assert ask(reviewed, "next", "Anna").json["leased"] == 1, "a session decides under its own name"


def test_who_has_no_token_is_led_to_where_he_can_sign_in_and_no_further(reviewed: Served) -> None:
    for path in ("/", "/review", "/library"):
        led = reviewed.ask("GET", path, Accept="text/html")
        assert (led.status, led.headers["location"]) == (303, f"/sign-in?to={path}")
        assert reviewed.ask("GET", path).status == 401
    assert reviewed.ask("GET", "/v1/library", Accept="text/html").status == 401
    assert reviewed.ask("GET", "/sign-in").status == 200
    assert sign_in(reviewed, token="wrong" * 8).status == 401
    assert sign_in(reviewed, by=" ").status == 400
    assert sign_in(reviewed, to="//evil.example/").headers["location"] == "/"
    assert reviewed.ask("GET", "/review", Cookie="simsearch_session=guess").status == 401


def test_without_a_token_for_writing_the_page_says_so(library_of_copies: Path) -> None:
    with running(library_of_copies) as served:
        assert b"started without" in served.ask("GET", "/review").body
        assert b"no tokens" in served.ask("GET", "/sign-in").body
        assert served.ask("POST", "/v1/review/next", {"by": "Anna"}).status == 403
        library = served.ask("GET", "/library")
        assert (library.status, b"fake" in library.body) == (200, True)


def test_what_is_on_a_block_list_is_veiled_and_the_policy_is_strict(library_of_copies: Path, tmp_path: Path) -> None:
    with Library.open(library_of_copies) as opened:
        opened.create_list("blocked", "block")
        snapshot = opened.snapshot
        place = snapshot.by_id(1)
        assert place is not None
        content = snapshot.segments[place.segment].content(place.position)
        assert content is not None
        opened.list("blocked").add([f"sha256:{content.hex()}"])
    with running(library_of_copies, tokens=tokens_in(tmp_path)) as served:
        filled(served, WRITE)
        told = [ask(served, "next", f"person {i}").json["pairs"][0] for i in range(COUNT)]
        assert sum(pair["listed"] for pair in told) == 1
        [listed] = [i for i, pair in enumerate(told) if pair["listed"]]
        assert {told[listed]["kept"]["id"], told[listed]["other"]["id"]} == {0, 1}
        page = served.ask("GET", "/review", Cookie=cookie_of(sign_in(served, f"person {listed}")))
        assert b'id="plain" class="veiled"' in page.body
        assert b"on a block list: show" in page.body
        policy = page.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        text = page.body.decode()
        assert not re.search(r"<script(?! src=\"/review.js\")|\son\w+=|\sstyle=|https?://", text)
        other = served.ask("GET", "/review", Cookie=cookie_of(sign_in(served, f"person {(listed + 1) % COUNT}")))
        assert b"on a block list: show" not in other.body
