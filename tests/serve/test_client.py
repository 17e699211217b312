"""The client says what the library says, raises what it raises, and needs nothing but the standard library."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from simsearch import Client
from simsearch.errors import (
    AccessRefused,
    BodyRefused,
    ImageRejected,
    InputError,
    ItemNotFound,
    MetricError,
    RejectCode,
    RowError,
    ServiceBusy,
    ServiceError,
)
from simsearch.images.source import Rejected, Source
from simsearch.library import Library, Match, Matches, QueryMatches
from simsearch.library.indexes.curve import Recall
from simsearch.library.read.evidence import Evidence
from simsearch.library.read.evidence import Testimony as Said
from simsearch.library.read.matches import Copy
from simsearch.serve.client.told import ToldCalibration, matches_from
from simsearch.spatial.overlap import Overlap
from tests.fake import FakeExtractor
from tests.library.helpers import paint
from tests.serve.conftest import READ, WRITE, Served, Serving

number = st.floats(0, 1, allow_nan=False)
text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
copy = st.builds(Copy, st.integers(0, 99), text, st.none() | text, st.booleans())
corners = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=4).map(
    lambda found: np.array(found, float).reshape(-1, 2)
)
overlap = st.builds(Overlap, corners, corners, st.just(0.25), st.just(0.5), st.just(("mirrored", "cropped")))
testimony = st.builds(Said, text, text, number, st.none() | number, st.none() | text)
evidence = st.builds(Evidence, st.lists(testimony, max_size=2).map(tuple), st.none() | overlap, st.booleans())
interval = st.tuples(number, number)
recall = st.builds(Recall, number, number, number, st.integers(1, 9))
match = st.builds(
    Match, st.integers(0, 99), text, st.none() | text, number, st.none() | number, st.none() | st.booleans(),
    st.lists(copy, max_size=2).map(tuple), st.none() | text, st.none() | evidence, st.none() | interval,
    st.none() | number, st.booleans(),
)  # fmt: skip
rejected = st.builds(Rejected, st.just(Source.of(b"")), st.sampled_from(RejectCode), text)
answer = st.builds(
    QueryMatches, st.none() | text, st.lists(match, max_size=3).map(tuple), st.booleans(), st.none() | rejected,
    st.none() | text, st.none() | recall, st.none() | st.booleans(),
    st.sampled_from(["exact", "float32"]), st.integers(1, 3), st.booleans(), st.none() | number,
)  # fmt: skip
calibration: Any = st.none() | st.builds(ToldCalibration, text, text, st.integers(), st.integers(), st.booleans())
matches = st.builds(
    Matches,
    st.lists(answer, min_size=1, max_size=3).map(tuple),
    st.just(7),
    st.integers(0, 99),
    text,
    text,
    calibration,
)


@given(matches=matches)
def test_what_was_told_is_told_again(matches: Matches) -> None:
    back = matches_from(matches.to_list(), k=7)
    assert back.to_list() == matches.to_list()
    assert (back.k, len(back), repr(back)) == (7, len(matches), repr(matches))


@pytest.mark.parametrize("told", [[{}], [{"matches": 3}], [[]], []])
def test_an_answer_of_another_form_is_told(told: Any) -> None:
    with pytest.raises(ServiceError, match="another form"):
        matches_from(told, k=1)


def same(one: Matches, other: Matches) -> bool:
    """Whether two searches say the same, but for what was asked."""
    plain = [{**answer, "query": None, "generation": None} for answer in one.to_list()]
    return plain == [{**answer, "query": None, "generation": None} for answer in other.to_list()]


def test_every_form_of_a_picture_is_searched_as_by_the_library(served: Served, kept: Path, photographs: Path) -> None:
    file = photographs / "0004.png"
    pixels = np.random.default_rng(9).integers(0, 256, (20, 30, 3), np.uint8)
    with Library.open(kept, extractor=FakeExtractor(), device="cpu") as library, Client(served.url) as client:
        for queries in (
            file,
            str(file),
            [file, photographs / "0005.png"],
            photographs,
            lambda: io.BytesIO(file.read_bytes()),
            Image.fromarray(pixels),
            pixels,
        ):
            given = queries if callable(queries) else lambda queries=queries: queries
            wanted, found = library.search(given(), k=3), client.search(given(), k=3)
            assert same(wanted, found)
            assert [one.query for one in found] == [one.query for one in wanted]
            assert (found.k, found.metric, found.channel, len(found)) == (3, "js", "fake", len(wanted))
        assert same(library.search(file, k=2, metric="cosine", max_distance=0.3), client.search(
            file, k=2, metric="cosine", max_distance=0.3))  # fmt: skip


def test_rows_and_items_are_searched_as_by_the_library(served: Served, kept: Path) -> None:
    with Library.open(kept, extractor=FakeExtractor(), device="cpu") as library, Client(served.url) as client:
        rows = np.random.default_rng(0).random((300, FakeExtractor.dimension)).astype(np.float32) + 0.01
        assert same(library.search_rows(rows, k=2), client.search_rows(rows, k=2))
        assert same(library.search_rows(rows[0], k=2), client.search_rows(rows[0], k=2))
        ids = [3, 1, 3]
        assert same(library.search_items(ids, exclude_self=True), client.search_items(ids, exclude_self=True))
        assert client.info().items == len(library)
        assert client.info().channels[0]["fingerprint"] == library.channel.fingerprint


def test_codes_of_bits_are_searched_as_by_the_library(tmp_path: Path, photographs: Path) -> None:
    pytest.importorskip("simsearch.extract.hashes")
    from tests.serve.conftest import running

    with Library.create(tmp_path / "codes", model="dhash", device="cpu") as library:
        library.add(photographs)
        codes = np.random.default_rng(1).integers(0, 256, (5, library.channel.dimension), np.uint8)
        with running(tmp_path / "codes") as served, Client(served.url) as client:
            assert same(library.search_rows(codes, k=3), client.search_rows(codes, k=3))
            (one,) = client.search_rows(codes[0], k=12, max_distance=0.5)
            assert all(match.distance <= 0.5 for match in one.matches)
            reply = served.ask("POST", "/v1/search", {"code": "ff" * 3})
            assert (reply.status, reply.error) == (400, "InputError")
            assert served.ask("POST", "/v1/search", {"row": [1] * 8}).status == 200


def test_files_that_cannot_be_read_are_answers(served: Served, tmp_path: Path, photographs: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff.png"
    Path(os.fsdecode(odd)).write_bytes((photographs / "0001.png").read_bytes())
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    with Client(served.url) as client:
        found = client.search([odd, tmp_path / "empty.png", tmp_path / "text.png", io.BytesIO()], k=1)
        codes = [None if one.rejected is None else str(one.rejected.code) for one in found]
        assert codes == [None, "empty", "unknown_format", "empty"]
        assert found[0].query_b64 is not None
        assert client.search(tmp_path / "empty.png")[0].rejected is not None
        with pytest.raises(InputError):
            client.search(tmp_path / "nothing.png")


def test_pictures_are_added_and_removed(writable: Served, tmp_path: Path) -> None:
    files = [paint(tmp_path / f"{seed}.png", seed) for seed in (400, 401)]
    (tmp_path / "none.png").write_text("no picture")
    with Client(writable.url, token=WRITE) as client:
        added = client.add([*files, tmp_path / "none.png", np.zeros((9, 9, 3), np.uint8) + 7])
        assert added.ids == (12, 13, None, 14)
        assert (added.report.added, added.report.codes) == (3, {"unknown_format": 1})
        assert client.search(files[1], k=1)[0].matches[0].id == 13
        assert (client.remove([12, 13]), client.remove(14, purge=True)) == (2, 1)
        with pytest.raises(ItemNotFound):
            client.remove(12)
        assert client.item(3)["id"] == 3
        assert Image.open(io.BytesIO(client.thumbnail(3, side=64))).format == "JPEG"
    with Client(writable.url, token=READ) as reader, pytest.raises(AccessRefused):
        reader.add(files)
    with Client(writable.url) as stranger, pytest.raises(AccessRefused):
        stranger.info()
    assert WRITE not in repr(client)


def test_what_the_service_refuses_is_raised_by_its_name(served: Served, serving: Serving) -> None:
    from simsearch.serve.settings import ServeSettings

    with Client(served.url) as client:
        for wrong, how in (
            (RowError, {"rows": np.zeros(FakeExtractor.dimension)}),
            (RowError, {"rows": np.ones(3, np.int64)}),
            (InputError, {"rows": np.ones(3, np.float32)}),
            (MetricError, {"rows": np.ones(FakeExtractor.dimension), "metric": "nothing"}),
            (InputError, {"rows": np.ones(FakeExtractor.dimension), "k": 0}),
            (InputError, {"rows": np.ones(FakeExtractor.dimension), "nothing": 1}),
        ):
            with pytest.raises(wrong):
                client.search_rows(**how)  # type: ignore[arg-type]
        with pytest.raises(ItemNotFound):
            client.thumbnail(999)
    small = serving(settings=ServeSettings(max_body=1000, queue=1))
    with Client(small.url) as client:
        with pytest.raises(BodyRefused):
            client.search(io.BytesIO(bytes(5_000_000)))
        assert client.info().items == 12


@contextmanager
def answering(*replies: bytes) -> Iterator[str]:
    """A server that gives each connection the next of some replies, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for reply in replies:
                line, _ = listener.accept()
                with line:
                    line.recv(1 << 16)
                    line.sendall(reply)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        ("302 Found", b"", ServiceError),
        ("200 OK", b"<html>", ServiceError),
        ("200 OK", b"[]", ServiceError),
        ("500 No", b"<html>", ServiceError),
        ("503 No", b'{"error": {"code": "ServiceBusy", "message": "x"}}', ServiceBusy),
        ("400 No", b'{"error": {"code": "GuardRefused", "message": "x"}}', ServiceError),
        ("400 No", b'{"error": {"code": "shown", "message": "x"}}', ServiceError),
        ("400 No", b'{"error": {"code": "__doc__", "message": "x"}}', ServiceError),
        ("422 No", b'{"error": {"code": "ImageRejected", "message": "empty: x", "reason": "empty"}}', ImageRejected),
        ("422 No", b'{"error": {"code": "ImageRejected", "message": "x", "reason": "odd"}}', ServiceError),
    ],
)
def test_what_another_server_says_does_no_harm(status: str, body: bytes, error: type[Exception]) -> None:
    head = f"HTTP/1.1 {status}\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with answering(head + body) as url, Client(url) as client, pytest.raises(error) as caught:
        client.info()
    assert type(caught.value) is error


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServiceError, match="no service answers"):
        Client(f"http://127.0.0.1:{port}").info()


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "127.0.0.1:8000", "http://", "http://x:y", "http://a:b@c", "http://x?y", 3]
)
def test_what_is_no_address_is_refused(url: Any) -> None:
    with pytest.raises(InputError):
        Client(url)
    with pytest.raises(InputError):
        Client("http://127.0.0.1:1", token="two\r\nlines")


def test_threads_share_a_client_and_a_connection_that_was_closed_is_opened_again(serving: Serving) -> None:
    served = serving()
    client = Client(served.url)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda i: client.search_items([i % 12], k=1)[0].matches[0].id, range(60)))
    assert found == [i % 12 for i in range(60)]
    idle = client._connection._idle
    assert 1 <= len(idle) <= 6
    for one in idle:
        one.sock.shutdown(socket.SHUT_RDWR)
    assert client.info().items == 12
    client.close()
    assert not idle


def test_the_client_needs_no_package_of_the_service_and_importing_it_loads_little() -> None:
    code = (
        "import sys\nfrom simsearch import Client\nimport simsearch\nClient('http://127.0.0.1:1')\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"fastapi", "starlette", "uvicorn", "python_multipart", "torch", "faiss"} & set(done.stdout.split())
