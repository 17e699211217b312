"""Load for an HTTP service on this machine: many connections from one thread, with little work a request.

Askers ask again at once when they are answered (`closed`), or requests come at a rate (`at_rate`).
"""

from __future__ import annotations

import heapq
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Outcome:
    """What a load came to: seconds, statuses, and the seconds of each answer by its status."""

    seconds: float = 0.0
    times: dict[int, list[float]] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    late: int = 0

    @property
    def statuses(self) -> Counter[int]:
        """Answers by their status."""
        return Counter({status: len(each) for status, each in self.times.items()})

    def rate(self, status: int = 200) -> float:
        """Answers a second of a status."""
        return len(self.times.get(status, ())) / self.seconds

    def percentile(self, share: float, status: int = 200) -> float:
        """Milliseconds within which a share of the answers of a status came; NaN without any."""
        return float(1000 * np.percentile(self.times.get(status) or [np.nan], 100 * share))


def post(path: str, body: bytes, kind: str = "application/json") -> bytes:
    """A whole request, as it is sent."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def get(path: str) -> bytes:
    """A whole request without a body."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


class _Line:
    """One connection, which has at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began = 0.0
        self._came = b""

    def ask(self, request: bytes, began: float) -> None:
        self.began, self._came = began, b""
        self.socket.sendall(request)

    def answer(self) -> tuple[int, bytes] | None:
        """Status and body, once all of it is there."""
        self._came += self.socket.recv(1 << 20)
        head, mark, body = self._came.partition(b"\r\n\r\n")
        if not mark:
            return None
        size = next(int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:")
        return (int(head[9:12]), body) if len(body) >= size else None


def closed(
    port: int, requests: Sequence[bytes], *, lines: int, seconds: float, keep: int = 0, most: float = float("inf")
) -> Outcome:
    """As many askers as lines, each of which asks again when it is answered.

    Args:
        port: Of the service.
        requests: Asked one after the other, again and again.
        lines: Connections.
        seconds: For how long.
        keep: Bodies of the first answers that are kept; each line's are in the order of its requests.
        most: Requests, however long they take.
    """
    outcome, selector, source = Outcome(), selectors.DefaultSelector(), _again(requests)
    begun = time.perf_counter()
    for _ in range(lines):
        line = _Line(port)
        selector.register(line.socket, selectors.EVENT_READ, line)
        line.ask(next(source), time.perf_counter())
    under_way = asked = lines
    while under_way:
        for key, _ in selector.select(10):
            line = key.data
            if (found := line.answer()) is None:
                continue
            now = time.perf_counter()
            _note(outcome, found, now - line.began, keep)
            if now - begun < seconds and asked < most:
                asked += 1
                line.ask(next(source), now)
            else:
                under_way -= 1
                selector.unregister(line.socket)
                line.socket.close()
    outcome.seconds = time.perf_counter() - begun
    return outcome


def at_rate(port: int, requests: Sequence[bytes], *, rate: float, seconds: float) -> Outcome:
    """Requests that come at a rate, whether earlier ones were answered or not; a time counts from when one was due."""
    outcome, selector, source = Outcome(), selectors.DefaultSelector(), _again(requests)
    idle, under_way = list[_Line](), 0
    begun = time.perf_counter()
    due = [begun + i / rate for i in range(round(rate * seconds))]
    heapq.heapify(due)
    while due or under_way:
        now = time.perf_counter()
        while due and due[0] <= now:
            when = heapq.heappop(due)
            line = idle.pop() if idle else _Line(port)
            if line.socket not in selector.get_map():
                selector.register(line.socket, selectors.EVENT_READ, line)
            outcome.late += now - when > 0.01
            line.ask(next(source), time.perf_counter())
            under_way += 1
        wait = max(0.0, min(0.05, due[0] - time.perf_counter())) if due else 0.05
        for key, _ in selector.select(wait):
            if (found := key.data.answer()) is not None:
                _note(outcome, found, time.perf_counter() - key.data.began, 0)
                idle.append(key.data)
                under_way -= 1
    outcome.seconds = time.perf_counter() - begun
    for line in idle:
        line.socket.close()
    selector.close()
    return outcome


def _again(requests: Sequence[bytes]) -> Iterator[bytes]:
    while True:
        yield from requests


def _note(outcome: Outcome, found: tuple[int, bytes], seconds: float, keep: int) -> None:
    status, body = found
    outcome.times.setdefault(status, []).append(seconds)
    if len(outcome.bodies) < keep:
        outcome.bodies.append(body)
