"""Files from the network: fetched in pieces that a later run goes on from, whole or not at all, within bounds."""

from __future__ import annotations

import fcntl
import http.client
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO, Any

from simsearch.errors import WeightsError
from simsearch.runtime.files import sha256_of

MOST_BYTES = 8 << 30
"""Of a file, where the caller knows no better."""
_PIECE = 1 << 20
_PATIENCE_S = 10.0  # for the beginning of an answer, redirects included, and between two of its pieces
_WINDOW_S = 8.0
_LEAST_IN_WINDOW = 64 << 10  # bytes: a line as slow as a telephone's brings more
_MOST_S = 24 * 3600.0

Progress = Callable[[int, int | None], None]


def fetch(
    url: str, path: Path, *, sha256: str | None = None, most_bytes: int = MOST_BYTES, progress: Progress | None = None
) -> str:
    """Fetch a file, going on from what an earlier run has, and return its SHA-256.

    What has come is kept beside the file as `.part` until it is whole; a server that cannot go on, or whose file has
    changed meanwhile, sends it from the beginning.

    Args:
        url: Http or https; what begins as https is never led on to http.
        path: Where the file appears once it is whole and right.
        sha256: What it must be; None accepts any, for the caller to record.
        most_bytes: More than that is refused, and what came is thrown away.
        progress: Called with the bytes there are, and how many there will be if the server says so.

    Raises:
        WeightsError: The server cannot be reached, breaks off, is too slow or sends something else; what has come is
            kept unless it is wrong.
    """
    if not url.startswith(("http://", "https://")):
        raise WeightsError(f"{url} is no http or https address")
    path.parent.mkdir(parents=True, exist_ok=True)
    part, tag = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.tag")
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WeightsError(f"another process fetches {url}; wait for it to end") from error
        try:
            try:
                _download(url, file, tag, most_bytes, progress)
            finally:
                file.flush()
        except _Wrong as error:
            part.unlink()
            tag.unlink(missing_ok=True)
            raise WeightsError(f"{url} {error}; it was thrown away") from error
        except (OSError, http.client.HTTPException, ValueError) as error:  # URLError and HTTPError are OSErrors
            have = os.fstat(file.fileno()).st_size
            if not have:
                part.unlink()
            kept = f"; {have:,} bytes are kept, run it again" if have else ""
            raise WeightsError(f"cannot fetch {url}: {_line(error)}{kept}") from error
        found = sha256_of(part)
        tag.unlink(missing_ok=True)
        if sha256 is not None and found != sha256:
            part.unlink()
            raise WeightsError(f"{url} has SHA-256 {found} and should have {sha256}; it was thrown away")
        part.replace(path)
    return found


class _Wrong(Exception):
    """What comes is not what was asked for, and no later run will change that."""


def _download(url: str, file: IO[bytes], tag: Path, most: int, progress: Progress | None) -> None:
    """Bring the part to its full length."""
    have = file.tell() if tag.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "simsearch"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag.read_text(encoding="utf-8"))
    try:
        answer = _answer(request)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        file.truncate(0)  # it was whole already, or the file is shorter now
        tag.unlink()
        return _download(url, file, tag, most, progress)
    with answer:
        if not _goes_on(answer, have):
            have = 0
            file.truncate(0)
        total = _total(answer.headers, have)
        _require(total or 0, most)
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if mark and re.fullmatch("[ -~]{1,200}", mark) and not mark.startswith("W/"):
            tag.write_text(mark, encoding="utf-8")
        else:
            tag.unlink(missing_ok=True)
        pace = _Pace()
        while piece := answer.read1(_PIECE):  # what there is: `read` would wait for all of a piece, however slow
            file.write(piece)
            have += len(piece)
            _require(have, most)
            pace.note(have)
            if progress is not None:
                progress(have, total)
    if total is not None and have != total:
        raise ConnectionError(f"{have:,} of {total:,} bytes came")
    return None


def _answer(request: urllib.request.Request) -> Any:
    """Return the server's answer up to its headers, by a thread, since names and headers have no time limit."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(opener.open(request, timeout=_PATIENCE_S))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=ask, name="simsearch-fetch", daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    if not found:
        raise TimeoutError(f"no answer within {_PATIENCE_S:g} seconds")
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https alone, and never from https to http."""

    def redirect_request(  # noqa: PLR0917 - urllib's signature
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request to follow with."""
        allowed = ("https://",) if req.type == "https" else ("https://", "http://")
        if not newurl.lower().startswith(allowed):
            fp.close()
            raise ConnectionError(f"it is led on to {newurl[:200]}, which is not safe to follow")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Pace:
    """Watches that bytes keep coming."""

    def __init__(self) -> None:
        self._began = self._since = time.monotonic()
        self._at: int | None = None

    def note(self, have: int) -> None:
        """Take the number of bytes there are."""
        now = time.monotonic()
        if self._at is None:
            self._at = have
        if now - self._since >= _WINDOW_S:
            if have - self._at < _LEAST_IN_WINDOW:
                raise TimeoutError(f"{have - self._at:,} bytes in {now - self._since:.0f} seconds are too few")
            self._since, self._at = now, have
        if now - self._began > _MOST_S:
            raise TimeoutError(f"not done after {_MOST_S / 3600:g} hours")


def _goes_on(answer: Any, have: int) -> bool:
    """Return whether the answer is the range behind `have` bytes, and not the whole file."""
    if answer.status == http.client.OK:
        return False
    header = str(answer.headers.get("Content-Range", f"bytes {have}-"))
    if answer.status == http.client.PARTIAL_CONTENT and have and header.startswith(f"bytes {have}-"):
        return True
    raise ConnectionError(f"the server answers with {answer.status} and Content-Range {header[:80]!r}")


def _total(headers: Message, have: int) -> int | None:
    header = headers.get("Content-Length")
    if header is None:
        return None
    if not re.fullmatch("[0-9]{1,18}", header.strip()):
        raise ConnectionError(f"the server says Content-Length {header[:80]!r}, which is no length")
    return have + int(header)


def _require(size: int, most: int) -> None:
    if size > most:
        raise _Wrong(f"has more than {most:,} bytes, the most that such weights take")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
