"""Laws of fetching: whole or not at all, gone on with where the server can, never mixed from two files."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from simsearch.errors import WeightsError
from simsearch.extract.zoo import download as fetching
from simsearch.extract.zoo.download import fetch


class Server:
    """Serves files by name, as badly as it is told."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.tag = '"one"'
        self.ranges = True
        self.cut: int | None = None
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, asked = request.path.lstrip("/"), request.headers.get("Range")
        self.asked.append((name, asked))
        if name in self.answers:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.answers[name](request)
            return
        if name not in self.files:
            request.send_error(404)
            return
        whole = self.files[name]
        start = 0
        if self.ranges and asked and request.headers.get("If-Range") == self.tag:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
            if start >= len(whole):
                request.send_error(416)
                return
            request.send_response(206)
        else:
            request.send_response(200)
        body = whole[start:]
        request.send_header("Content-Length", str(len(body)))
        request.send_header("ETag", self.tag)
        request.end_headers()
        request.wfile.write(body if self.cut is None else body[: self.cut])

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.files["w.bin"] = np.random.default_rng(0).bytes(3_000_000)
    yield made
    made.close()


def test_a_file_comes_whole_with_its_digest(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    digest = fetch(server.url + "w.bin", tmp_path / "deep" / "w.bin", progress=lambda *both: told.append(both))
    whole = server.files["w.bin"]
    assert (tmp_path / "deep" / "w.bin").read_bytes() == whole
    assert digest == hashlib.sha256(whole).hexdigest()
    assert told[-1] == (len(whole), len(whole))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["w.bin"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_is_gone_on_with(server: Server, tmp_path: Path, ranges: bool) -> None:
    path = tmp_path / "w.bin"
    server.cut, server.ranges = 1_000_000, ranges
    with pytest.raises(WeightsError, match="1,000,000 bytes are kept, run it again"):
        fetch(server.url + "w.bin", path)
    assert not path.exists()
    server.cut = None
    fetch(server.url + "w.bin", path)
    assert path.read_bytes() == server.files["w.bin"]
    assert server.asked == [("w.bin", None), ("w.bin", "bytes=1000000-")]


def test_a_file_that_changed_meanwhile_comes_from_the_beginning(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    server.cut = 1_000_000
    with pytest.raises(WeightsError):
        fetch(server.url + "w.bin", path)
    server.cut, server.tag = None, '"two"'
    server.files["w.bin"] = bytes(2_000_000)
    fetch(server.url + "w.bin", path)
    assert path.read_bytes() == bytes(2_000_000)


def test_what_had_come_whole_before_it_was_checked_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.bin.part").write_bytes(server.files["w.bin"])
    (tmp_path / "w.bin.part.tag").write_text(server.tag)
    fetch(server.url + "w.bin", tmp_path / "w.bin")
    assert (tmp_path / "w.bin").read_bytes() == server.files["w.bin"]


def test_a_wrong_digest_is_thrown_away(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="thrown away"):
        fetch(server.url + "w.bin", tmp_path / "w.bin", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_no_server_no_file_and_no_web_address(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="404"):
        fetch(server.url + "absent", tmp_path / "w.bin")
    server.close()
    with pytest.raises(WeightsError, match="cannot fetch"):
        fetch(server.url + "w.bin", tmp_path / "w.bin")
    with pytest.raises(WeightsError, match="no http"):
        fetch("file:///etc/passwd", tmp_path / "w.bin")


def answer(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return send


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (answer(200, b"x" * 10, Content_Length="abc"), "no length"),
        (answer(200, b"x" * 10, Content_Length="-5"), "no length"),
        (answer(200, b"x" * 10, Content_Length="9" * 30), "no length"),
        (answer(200, b"x" * 10, Content_Length="100"), "10 of 100 bytes came"),
        (answer(204), "answers with 204"),
        (answer(206, b"x" * 10, Content_Range="bytes 5-14/20"), "answers with 206"),
        (answer(302, Location="ftp://127.0.0.1/x"), "not safe to follow"),
        (answer(302, Location="file:///etc/passwd"), "not allowed"),
        (answer(302, Location="/w"), "infinite loop"),
        (answer(302), "302"),
        (answer(404), "404"),
        (lambda request: request.wfile.write(b"\0\xff" * 500), "cannot fetch"),
        (lambda request: request.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000), "100 headers"),
    ],
)
def test_what_a_server_gets_wrong_is_told_in_one_line_and_not_taken(
    server: Server, tmp_path: Path, sent: Callable[[BaseHTTPRequestHandler], None], said: str
) -> None:
    server.answers["w"] = sent
    with pytest.raises(WeightsError, match=said) as caught:
        fetch(server.url + "w", tmp_path / "w.bin")
    assert len(str(caught.value)) < 700
    assert not (tmp_path / "w.bin").exists()


@pytest.mark.parametrize("length", [None, "0"])
def test_more_than_the_ceiling_is_neither_read_nor_kept(server: Server, tmp_path: Path, length: str | None) -> None:
    sent = [0]

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        if length is not None:
            request.send_header("Content-Length", str(1 << 40))
        request.end_headers()
        while sent[0] < 1 << 30:
            request.wfile.write(bytes(1 << 16))
            sent[0] += 1 << 16

    server.answers["w"] = endless
    with pytest.raises(WeightsError, match=r"more than 1,000,000 bytes.*thrown away"):
        fetch(server.url + "w", tmp_path / "w.bin", most_bytes=1_000_000)
    assert list(tmp_path.iterdir()) == []
    assert sent[0] < 1 << 28


def trickle(request: BaseHTTPRequestHandler) -> None:
    """A byte now and then, for ever."""
    for piece in [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 10_000]:
        request.wfile.write(piece)
        request.wfile.flush()
        time.sleep(0.05)


def slow_headers(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nA: ")
    for _ in range(10_000):
        request.wfile.write(b"a")
        request.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("slow", "said"),
    [
        (trickle, "are too few"),
        (slow_headers, "no answer within"),
        (lambda _: time.sleep(5), "no answer within|timed out"),
    ],
)
def test_a_slow_server_is_not_waited_for(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slow: Callable[[BaseHTTPRequestHandler], None],
    said: str,
) -> None:
    monkeypatch.setattr(fetching, "_PATIENCE_S", 0.5)
    monkeypatch.setattr(fetching, "_WINDOW_S", 0.5)
    server.answers["w"] = slow
    began = time.monotonic()
    with pytest.raises(WeightsError, match=said):
        fetch(server.url + "w", tmp_path / "w.bin")
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("first", ["http", "https"])
@pytest.mark.parametrize("new", ["http://a/x", "https://a/x", "ftp://a/x", "file:///x", "data:x"])
def test_https_is_led_on_to_https_alone(first: str, new: str) -> None:
    import email.message
    import urllib.request

    def follow() -> object:
        request = urllib.request.Request(f"{first}://a/w")
        return fetching._Redirects().redirect_request(request, io.BytesIO(), 302, "", email.message.Message(), new)

    if new.startswith("https") or (new.startswith("http:") and first == "http"):
        assert follow() is not None
    else:
        with pytest.raises(ConnectionError, match="not safe"):
            follow()


def test_two_at_once_do_not_write_into_one_file(server: Server, tmp_path: Path) -> None:
    began, over = threading.Event(), threading.Event()

    def wait(_have: int, _of: int | None) -> None:
        began.set()
        over.wait(30)

    first = threading.Thread(target=fetch, args=(server.url + "w.bin", tmp_path / "w.bin"), kwargs={"progress": wait})
    first.start()
    began.wait(30)
    with pytest.raises(WeightsError, match="another process"):
        fetch(server.url + "w.bin", tmp_path / "w.bin")
    over.set()
    first.join()
    assert (tmp_path / "w.bin").read_bytes() == server.files["w.bin"]
