"""P13 and P17: what one request may bring, and what many may, over a real socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from simsearch.serve.settings import ServeSettings, size_named
from tests.serve.conftest import Reply, Served, Serving

LIMIT = 100_000


def conversation(served: Served, *parts: bytes | float, timeout: float = 10) -> bytes:
    """Send parts, wait the seconds between them, and return all that comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=timeout) as line:
        for part in parts:
            if isinstance(part, bytes):
                line.sendall(part)
            else:
                time.sleep(part)
        found = b""
        while piece := line.recv(1 << 16):
            found += piece
        return found


def head(length: int | None, *more: str, close: bool = True) -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = ["POST /v1/search HTTP/1.1", "Host: 127.0.0.1", size, *(["Connection: close"] if close else []), *more]
    return "\r\n".join([*lines, "", ""]).encode()


def chunks(size: int, piece: int) -> Iterator[bytes]:
    for start in range(0, size, piece):
        data = bytes(min(piece, size - start))
        yield b"%x\r\n" % len(data) + data + b"\r\n"


@pytest.fixture
def small(serving: Serving) -> Served:
    return serving(settings=ServeSettings(max_body=LIMIT, body_s=1.0, head_s=1.0))


def test_a_body_at_the_limit_is_taken_and_one_byte_more_is_refused(small: Served) -> None:
    assert small.ask("POST", "/v1/search", bytes(LIMIT)).status == 200
    reply = small.ask("POST", "/v1/search", bytes(LIMIT + 1))
    assert (reply.status, reply.error) == (413, "BodyRefused")


@pytest.mark.parametrize("piece", [1_000, 65_536, LIMIT + 1])
def test_a_body_in_chunks_is_counted_as_it_comes(small: Served, piece: int) -> None:
    end = b"0\r\n\r\n"
    taken = conversation(small, head(None), *chunks(LIMIT, piece), end)
    assert taken.startswith(b"HTTP/1.1 200 ")
    refused = conversation(small, head(None), *chunks(LIMIT + 1, piece), end)
    assert refused.startswith(b"HTTP/1.1 413 ")
    assert b'"BodyRefused"' in refused


def test_a_body_without_end_is_refused_while_it_comes(small: Served) -> None:
    came = threading.Event()

    def pour(line: socket.socket) -> None:
        data = next(chunks(50_000, 50_000))
        try:
            while not came.is_set():
                line.sendall(data)
        except OSError:
            pass

    with socket.create_connection(("127.0.0.1", small.port), timeout=10) as line:
        line.sendall(head(None))
        thread = threading.Thread(target=pour, args=(line,))
        thread.start()
        try:
            assert line.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
        finally:
            came.set()
            thread.join()
    assert small.held.view.generation == 1
    assert "simsearch_bodies_bytes 0" in small.ask("GET", "/metrics").body.decode()


def test_a_length_that_promises_too_much_is_refused_before_anything_comes(small: Served) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", small.port), timeout=10) as line:
        line.sendall(head(LIMIT + 1, "Expect: 100-continue"))
        assert line.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("length", [1_000, None])
def test_a_slow_body_is_refused_in_time(small: Served, length: int | None) -> None:
    first = bytes(10) if length else next(chunks(10, 10))
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", small.port), timeout=10) as line:
        line.sendall(head(length))
        for _ in range(6):  # a byte now and then does not help
            line.sendall(first)
            time.sleep(0.15)
        answer = b""
        while not answer.endswith(b"}") and (piece := line.recv(1 << 16)):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"BodyRefused"' in answer
    assert 0.9 < time.monotonic() - began < 3


def test_a_head_that_does_not_come_ends_the_connection(small: Served) -> None:
    for parts in ((), (b"POST /v1/search HT",), (b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 0.2, b"GET /li")):
        began = time.monotonic()
        conversation(small, *parts)
        assert 0.9 < time.monotonic() - began < 3


def test_who_goes_while_the_body_comes_leaves_nothing(small: Served) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", small.port), timeout=10) as line:
            line.sendall(head(50_000) + bytes(1_000))
    assert small.ask("POST", "/v1/search", {"id": 1}).status == 200
    figures = small.ask("GET", "/metrics").body.decode()
    assert "simsearch_requests_inside 0" in figures
    assert "simsearch_bodies_bytes 0" in figures


def test_a_connection_is_kept_after_an_error_and_a_small_body_that_was_refused(small: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", small.port, timeout=10)
    for body, status in ((b"{", 400), (b'{"id": 1}', 200), (b'{"id": 999}', 404), (b'{"id": 2}', 200)):
        connection.request("POST", "/v1/search", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (status, True)
    connection.close()


def test_small_answers_are_sent_at_once(small: Served) -> None:
    """Not 40 ms later, when the acknowledgement of the head has come."""
    connection, times = http.client.HTTPConnection("127.0.0.1", small.port, timeout=10), []
    for _ in range(20):
        began = time.monotonic()
        connection.request("GET", "/livez")
        connection.getresponse().read()
        times.append(time.monotonic() - began)
    connection.close()
    assert sorted(times)[5] < 0.03


def test_sizes_are_read_and_bounds_that_are_none_are_refused() -> None:
    from simsearch.errors import InputError

    assert [size_named(text) for text in ("1", "2KiB", "32MiB", "1 GiB", "5mb")] == [1, 2048, 1 << 25, 1 << 30, 5 << 20]
    for text in ("", "-1", "MiB", "1e9", "1TiB"):
        with pytest.raises(InputError):
            size_named(text)
    for wrong in ({"queue": 0}, {"body_s": 0.0}, {"poll_s": float("inf")}):
        with pytest.raises(InputError):
            ServeSettings(**wrong)  # type: ignore[arg-type]


def working(seconds: Callable[[], float]) -> Any:
    """A route that works so long, one request after the other, away from the event loop."""
    from fastapi import APIRouter, Response

    router, alone = APIRouter(), threading.Lock()

    @router.get("/v1/work")
    async def work() -> Response:
        import asyncio

        def labour() -> None:
            with alone:
                time.sleep(seconds())

        await asyncio.to_thread(labour)
        return Response(b"{}")

    return router


def test_a_full_queue_is_told_at_once_and_health_is_still_told(serving: Serving) -> None:
    go = threading.Event()
    served = serving(settings=ServeSettings(queue=3), routers=[working(lambda: float(not go.wait(20)))])
    with ThreadPoolExecutor(3) as pool:
        inside = [pool.submit(served.ask, "GET", "/v1/work") for _ in range(3)]
        deadline = time.monotonic() + 10
        while b"simsearch_requests_inside 3" not in served.ask("GET", "/metrics").body:
            assert time.monotonic() < deadline
        times = []
        for body in (None, {"id": 1}, bytes(1_000_000)):
            began = time.monotonic()
            reply = served.ask("POST" if body else "GET", "/v1/search", body)
            times.append(time.monotonic() - began)
            assert (reply.status, reply.error, reply.headers["retry-after"]) == (503, "ServiceBusy", "1")
        assert min(times) < 0.05
        assert [served.ask("GET", path).status for path in ("/livez", "/readyz", "/metrics")] == [200] * 3
        go.set()
        assert [one.result().status for one in inside] == [200] * 3
    assert served.ask("POST", "/v1/search", {"id": 1}).status == 200


def test_more_than_can_be_done_costs_little_of_what_is_done(serving: Serving) -> None:
    """Goodput at four times capacity against that of as many askers as there are places; limits are generous here.

    `scripts/measure_serve.py` measures the promise itself, with the server on a core of its own.
    """
    served = serving(settings=ServeSettings(queue=4), routers=[working(lambda: 0.02)])

    def asked(askers: int, seconds: float) -> tuple[int, list[float]]:
        end, good, refusals = time.monotonic() + seconds, [0] * askers, list[float]()

        def ask(me: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
            while time.monotonic() < end:
                began = time.monotonic()
                connection.request("GET", "/v1/work")
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    good[me] += 1
                else:
                    assert answer.status == 503
                    refusals.append(time.monotonic() - began)
                    time.sleep(0.02)  # as an asker at a rate would
            connection.close()

        with ThreadPoolExecutor(askers) as pool:
            list(pool.map(ask, range(askers)))
        return sum(good), refusals

    asked(2, 0.3)
    (peak, none), (loaded, refusals) = asked(4, 1.5), asked(16, 1.5)
    assert not none
    assert len(refusals) > loaded
    assert loaded >= 0.7 * peak, (loaded, peak)
    assert sorted(refusals)[len(refusals) // 2] < 0.05


def test_every_refusal_is_json(small: Served) -> None:
    replies: list[Reply] = [
        small.ask("GET", "/nothing"),
        small.ask("PUT", "/v1/search"),
        small.ask("GET", "/v1/items/x"),
        small.ask("GET", "/v1/items/1/thumbnail?side=100000"),
        small.ask("GET", "/v1/items/1/thumbnail?side=x"),
    ]
    assert [reply.status for reply in replies] == [404, 405, 400, 400, 400]
    assert all(json.loads(reply.body)["error"]["message"] for reply in replies)
