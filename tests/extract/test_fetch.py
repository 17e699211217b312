"""Laws of fetching: whole or not at all, gone on with where the server can, never mixed from two files."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from simsearch.errors import WeightsError
from simsearch.extract.fetch import fetch


class Server:
    """Serves files by name, as badly as it is told."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
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
