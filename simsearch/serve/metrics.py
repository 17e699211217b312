"""Figures of a running service in the text form that Prometheus reads."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from resource import getpagesize

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the buckets of a latency, in seconds."""
Gauge = tuple[str, Callable[[], float]]
"""What a figure is, in words, and what gives its value."""


class Metrics:
    """Counts of requests and their latencies, and figures that are asked for when somebody reads them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = Counter[tuple[str, str, int]]()
        self._buckets: dict[str, list[int]] = {}
        self._sums = Counter[str]()
        self._gauges: dict[str, Gauge] = {"process_resident_memory_bytes": ("Memory in RAM.", resident_bytes)}

    def gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Add a figure under a name."""
        self._gauges[name] = (what, value)

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request; the number of routes and methods has to be bounded."""
        with self._lock:
            self._requests[route, method, status] += 1
            self._buckets.setdefault(route, [0] * (len(BOUNDS) + 1))[bisect_left(BOUNDS, seconds)] += 1
            self._sums[route] += seconds  # type: ignore[assignment]

    def text(self) -> str:
        """Return everything in the text form, version 0.0.4."""
        with self._lock:
            requests, sums = dict(self._requests), dict(self._sums)
            buckets = {route: list(counts) for route, counts in self._buckets.items()}
        lines = [*_head("simsearch_requests_total", "counter", "Requests answered.")]
        for (route, method, status), count in sorted(requests.items()):
            labels = {"route": route, "method": method, "status": str(status)}
            lines.append(_line("simsearch_requests_total", labels, count))
        lines += _head("simsearch_request_seconds", "histogram", "Seconds from a request's head to its answer.")
        for route, counts in sorted(buckets.items()):
            lines += _histogram("simsearch_request_seconds", {"route": route}, counts, sums[route])
        for name, (what, value) in self._gauges.items():
            lines += [*_head(name, "gauge", what), _line(name, {}, value())]
        return "\n".join(lines) + "\n"


def resident_bytes() -> float:
    """Return bytes of this process that are in RAM; 0 where the system does not tell."""
    try:
        return float(int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * getpagesize())
    except OSError:
        return 0.0


def _head(name: str, kind: str, what: str) -> Iterator[str]:
    yield from (f"# HELP {name} {what}", f"# TYPE {name} {kind}")


def _histogram(name: str, labels: Mapping[str, str], counts: list[int], total: float) -> Iterator[str]:
    for bound, below in zip((*map(str, BOUNDS), "+Inf"), accumulate(counts), strict=True):
        yield _line(f"{name}_bucket", {**labels, "le": bound}, below)
    yield _line(f"{name}_sum", labels, total)
    yield _line(f"{name}_count", labels, sum(counts))


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value:.10g}" if inside else f"{name} {value:.10g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
