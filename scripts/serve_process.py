"""A service in a process of its own, for measuring: on a core of its own, and the memory that it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from http_load import Outcome


def command_for(library: Path, *more: str) -> list[str]:
    """The command that serves a library on a free port, and prints where."""
    return [sys.executable, "-m", "simsearch.cli", "serve", "--library", str(library), "--port", "0", "--json", *more]


@contextmanager
def serving(command: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A service in a process of its own, on a core of its own where there is one, once it is ready."""
    cores = sorted(os.sched_getaffinity(0))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        if len(cores) > 1:
            os.sched_setaffinity(process.pid, cores[:1])
            os.sched_setaffinity(0, cores[1:2])
        try:
            assert process.stdout is not None
            port = int(json.loads(process.stdout.readline())["url"].rpartition(":")[2])
            while b'"ready": true' not in _ready(port):
                time.sleep(0.2)
            yield process, port
        finally:
            process.terminate()
            os.sched_setaffinity(0, cores)


def _ready(port: int) -> bytes:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/readyz")
    found = connection.getresponse().read()
    connection.close()
    return found


def resident(pid: int, what: str = "VmRSS") -> float:
    """MiB in RAM of a process, as the kernel counts them: all, without files ("RssAnon") or at most ("VmHWM")."""
    facts = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return round(int(facts[what].split()[0]) / 1024, 1)


def told(outcome: Outcome, lookups_of_one: int) -> dict[str, float]:
    assert set(outcome.statuses) == {200}, outcome.statuses
    return {
        "lookups_a_second": round(outcome.rate() * lookups_of_one, 1),
        "requests": outcome.statuses[200],
        "p50_ms": round(outcome.percentile(0.5), 2),
        "p99_ms": round(outcome.percentile(0.99), 2),
    }
