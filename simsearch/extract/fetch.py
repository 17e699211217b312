"""Files from the network: fetched in pieces that a later run goes on from, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from simsearch.errors import WeightsError

_PIECE = 1 << 20
_PATIENCE_S = 30.0

Progress = Callable[[int, int | None], None]


def fetch(url: str, path: Path, *, sha256: str | None = None, progress: Progress | None = None) -> str:
    """Fetch a file, going on from what an earlier run has, and return its SHA-256.

    What has come is kept beside the file as `.part` until it is whole; a server that cannot go on, or whose file has
    changed meanwhile, sends it from the beginning.

    Args:
        url: http or https.
        path: Where the file appears once it is whole and right.
        sha256: What it must be; None accepts any, for the caller to record.
        progress: Called with the bytes there are, and how many there will be if the server says so.

    Raises:
        WeightsError: The server cannot be reached, breaks off or sends something else; what has come is kept unless
            it is wrong.
    """
    if not url.startswith(("http://", "https://")):
        raise WeightsError(f"{url} is no http or https address")
    path.parent.mkdir(parents=True, exist_ok=True)
    part, tag = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.tag")
    try:
        _download(url, part, tag, progress)
    except (OSError, http.client.HTTPException) as error:  # URLError and HTTPError are OSErrors
        kept = f"; {part.stat().st_size:,} bytes are kept, run it again" if part.exists() else ""
        raise WeightsError(f"cannot fetch {url}: {error}{kept}") from error
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    tag.unlink(missing_ok=True)
    if sha256 is not None and found != sha256:
        part.unlink()
        raise WeightsError(f"{url} has SHA-256 {found} and should have {sha256}; it was thrown away")
    part.replace(path)
    return found


def _download(url: str, part: Path, tag: Path, progress: Progress | None) -> None:
    """Bring the part to its full length."""
    have = part.stat().st_size if part.exists() and tag.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "simsearch"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag.read_text(encoding="utf-8"))
    try:
        answer = urllib.request.urlopen(request, timeout=_PATIENCE_S)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        part.unlink()  # it was whole already, or the file is shorter now
        return _download(url, part, tag, progress)
    with answer:
        going_on = answer.status == http.client.PARTIAL_CONTENT
        have = have if going_on else 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if mark and not mark.startswith("W/"):
            tag.write_text(mark, encoding="utf-8")
        else:
            tag.unlink(missing_ok=True)
        with part.open("ab" if going_on else "wb") as file:
            while piece := answer.read(_PIECE):
                file.write(piece)
                have += len(piece)
                if progress is not None:
                    progress(have, total)
    if total is not None and have != total:
        raise ConnectionError(f"{have:,} of {total:,} bytes came")
    return None
