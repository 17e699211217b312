"""P16: nobody in who does not belong."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsearch.errors import InputError
from simsearch.serve import serve
from simsearch.serve.tokens import Tokens, is_loopback, require_safe
from tests.serve.conftest import DECIDE, READ, WRITE, Served, tokens_in

ASKING = [("GET", "/v1/library"), ("GET", "/v1/items/1"), ("POST", "/v1/search"), ("GET", "/metrics"),
          ("GET", "/openapi.json"), ("GET", "/nothing"), ("POST", "/v1/search/batch")]  # fmt: skip
CHANGING = [("POST", "/v1/items"), ("DELETE", "/v1/items/1"), ("PUT", "/v1/items/1"), ("PATCH", "/v1/library"),
            ("POST", "/v1/anything"), ("POST", "/v1/lists"), ("POST", "/v1/reviews"), ("POST", "/library")]  # fmt: skip
DECIDING = [("POST", "/review"), ("POST", "/v1/review"), ("POST", "/v1/review/next"), ("POST", "/v1/review/undo"),
            ("POST", "/v1/review/decisions"), ("POST", "/v1/review/skip"), ("POST", "/v1/verdicts")]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), [*ASKING, *CHANGING, *DECIDING])
@pytest.mark.parametrize("token", ["", "wrong-token-wrong", READ[:-1], READ + "x", "\xff" * 20])
def test_without_the_right_token_nothing_is_answered(guarded: Served, method: str, path: str, token: str) -> None:
    reply = guarded.ask(method, path, token=token)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    if method != "HEAD":
        assert reply.error == "AccessRefused"


@pytest.mark.parametrize(
    ("token", "method", "path"),
    [(READ, *one) for one in (*CHANGING, *DECIDING)] + [(DECIDE, *one) for one in CHANGING],
)
def test_a_token_for_less_changes_nothing(guarded: Served, token: str, method: str, path: str) -> None:
    reply = guarded.ask(method, path, token=token)
    assert (reply.status, reply.error) == (403, "AccessRefused")
    assert len(guarded.held.view.library) == 12


@pytest.mark.parametrize("token", [DECIDE, WRITE])
@pytest.mark.parametrize(("method", "path"), DECIDING)
def test_reviewers_and_who_may_write_decide(guarded: Served, method: str, path: str, token: str) -> None:
    assert guarded.ask(method, path, {"nothing": 1}, token=token).status not in {401, 403}


def test_what_a_reviewer_checks_is_not_counted(guarded: Served) -> None:
    asked = {"id": 1, "count": True}
    assert guarded.ask("POST", "/v1/check", asked, token=DECIDE).status in {400, 403}


@pytest.mark.parametrize("token", [READ, DECIDE, WRITE])
@pytest.mark.parametrize(("method", "path"), ASKING)
def test_every_token_asks(guarded: Served, method: str, path: str, token: str) -> None:
    assert guarded.ask(method, path, {"id": 1} if method == "POST" else None, token=token).status not in {401, 403}


def test_whether_it_lives_needs_no_token_and_says_nothing_else(guarded: Served) -> None:
    assert [guarded.ask("GET", path).json for path in ("/livez", "/readyz")] == [
        {"schema": 1, "live": True},
        {"schema": 1, "ready": True, "problem": None},
    ]


@pytest.mark.parametrize(("method", "path"), [*CHANGING, *DECIDING])
def test_without_a_token_for_writing_nobody_writes(served: Served, method: str, path: str) -> None:
    for token in ("", "0" * 64):
        reply = served.ask(method, path, token=token)
        assert (reply.status, reply.error) == (403, "AccessRefused")


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:1", None, 200),
        ("localhost:1", "http://localhost:1", 200),
        ("[::1]:1", None, 200),
        ("127.0.0.1:1", "http://evil.example", 403),
        ("127.0.0.1:1", "null", 403),
        ("evil.example", None, 403),
        ("127.0.0.1.evil.example", None, 403),
        ("evil.example@127.0.0.1", "http://x", 403),
        ("[::1", None, 403),
        ("10.0.0.1", None, 403),
        ("", None, 403),
    ],
)
def test_pages_of_other_sites_cannot_ask_what_needs_no_token(
    served: Served, host: str, origin: str | None, status: int
) -> None:
    headers = {"Host": host, **({} if origin is None else {"Origin": origin})}
    assert served.ask("GET", "/v1/library", **headers).status == status


def test_tokens_are_in_no_log_and_in_no_text(
    guarded: Served, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    for token in (READ, DECIDE, WRITE, "wrong-token-wrong"):
        for path in ("/v1/library", "/v1/items/1", "/v1/items/x", "/nothing"):
            assert token not in guarded.ask("GET", path, token=token).body.decode()
    written = caplog.text + "".join(capfd.readouterr()) + repr(tokens_in(tmp_path))
    assert not any(token in written for token in (READ, DECIDE, WRITE, "wrong-token-wrong"))


@given(given=st.text(st.characters(codec="latin-1"), max_size=40))
def test_only_the_token_itself_is_the_token(given: str) -> None:
    tokens = Tokens(read=_digest(READ), write=_digest(WRITE), decide=_digest(DECIDE))
    for header in (given, f"Bearer {given}", f"bearer  {given}", READ, f"Basic {READ}", f"Bearer {DECIDE}"):
        told = header[7:].strip(" \t\n\r\x0b\x0c") if header[:7].lower() == "bearer " else ""
        rights = told in {READ, DECIDE, WRITE}, told in {DECIDE, WRITE}, told == WRITE
        assert tokens.rights(header.encode("latin-1")) == rights
    assert tokens.rights(None) == (False, False, False)
    assert Tokens().rights(None) == (True, False, False)
    assert Tokens(decide=_digest(DECIDE)).rights(None) == (False, False, False)


def _digest(token: str) -> bytes:
    import hashlib

    return hashlib.sha256(token.encode()).digest()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "2001:db8::1"])
def test_a_public_address_is_refused_without_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--read-token"):
        serve(tmp_path / "library", host=host)
    require_safe(host, tokens_in(tmp_path))


def test_only_addresses_of_this_machine_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.1", "192.0.2.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert not is_loopback("half.example")


@pytest.mark.parametrize(
    "text", ["", "short", "two words are no token", "umlaut-ü-umlaut-ü", "nul\0nul\0nul\0nul\0", "x" * 5000]
)
def test_what_is_no_token_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token.txt"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        Tokens.of_files(read=path)
    assert not text or text not in str(caught.value)


def test_files_that_are_not_there_and_one_token_for_both_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Tokens.of_files(read=tmp_path / "none.txt")
    (tmp_path / "one.txt").write_text(READ)
    with pytest.raises(InputError, match="two files hold one token"):
        Tokens.of_files(tmp_path / "one.txt", tmp_path / "one.txt")
