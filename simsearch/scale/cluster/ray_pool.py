"""Workers as actors of Ray: started where there is room, given two shards each, replaced when they die."""

from __future__ import annotations

import importlib
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

from simsearch.errors import DependencyMissing, ProcessFailed, SimsearchError, first_line
from simsearch.scale.cluster.placement import Machine, Seat
from simsearch.scale.cluster.shard import EmbedJob, Shard
from simsearch.scale.cluster.worker import Usage, Worker, require_same_version

DEEP = 2
"""Shards at one worker: while one is embedded the next is there already."""
ATTEMPTS = 30
"""Deaths of workers with one shard after which it is given up: no image alone can kill a worker, a machine can."""
START_S = 300.0
"""Seconds without any worker, alive or starting, that answers."""

_LOCAL = "local"
_LISTEN_S = 20.0  # for a cluster to answer at all
_OBJECT_STORE = 200_000_000  # bytes: only names travel
_QUIET = {"log_to_driver": False, "logging_level": "ERROR"}


@dataclass(slots=True)
class _Actor:
    """A worker: what it waits for, and what it has used."""

    handle: Any
    seat: Seat
    starting: Any
    calls: dict[Any, Shard] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took, of workers that died as far as they had told.

    Attributes:
        cpu_seconds: Used by workers, after start-up.
        gpu_seconds: For which GPUs were held.
        workers: How many there were.
        deaths: How many of them died.
    """

    cpu_seconds: float
    gpu_seconds: float
    workers: int
    deaths: int

    def per_million(self, images: int) -> dict[str, float]:
        """Return the seconds for a million images, by what these cost here."""
        share = 1e6 / images if images else 0.0
        return {"cpu_seconds": self.cpu_seconds * share, "gpu_seconds": self.gpu_seconds * share}


class RayPool:
    """The workers of a job on a cluster that `connected` has joined; they end when the block does.

    Args:
        job: What is embedded how.
        ledger: Where outcomes go; seen by all machines.
        seats: What each worker takes.
        decoders: Decoding processes beside each; None is one for each of its cores.
    """

    def __init__(self, job: EmbedJob, ledger: str, seats: Sequence[Seat], *, decoders: int | None = None) -> None:
        self._ray, self._job, self._ledger, self._seats, self._decoders = _ray(), job, ledger, seats, decoders
        self._actors: list[_Actor] = []
        self._queue = deque[Shard]()
        self._deaths = Counter[int]()  # by shard
        self._died = self._started = 0
        self._past = Usage()  # of workers that are gone
        self._held = 0.0  # GPU seconds of these
        self._alive = time.monotonic()

    def __enter__(self) -> Self:
        for seat in self._seats:
            self._start(seat)
        return self

    def __exit__(self, *_: object) -> None:
        for actor in self._actors:
            with suppress(Exception):  # it has died, or the whole cluster has
                self._ray.kill(actor.handle)

    @property
    def room(self) -> int:
        """How many shards may be handed in before one is waited for."""
        return DEEP * len(self._seats) - len(self._queue) - sum(len(actor.calls) for actor in self._actors)

    def submit(self, shard: Shard) -> None:
        """Have a shard embedded."""
        self._queue.append(shard)
        self._feed()

    def wait(self) -> list[tuple[int, str]]:
        """Return the shards that were done meanwhile, each with its file in the ledger; at least one.

        Raises:
            ProcessFailed: Workers die again and again, or none can be started.
        """
        while True:
            self._feed()
            pending = {actor.starting: actor for actor in self._actors if actor.starting is not None}
            pending |= {call: actor for actor in self._actors for call in actor.calls}
            ready, _ = self._ray.wait([*pending], num_returns=1, timeout=1.0)
            if ready:  # all that is there by now
                ready, _ = self._ray.wait([*pending], num_returns=len(pending), timeout=0)
            done = [one for call in ready for one in self._answered(pending[call], call)]
            if done:
                return done
            if time.monotonic() - self._alive > START_S and not any(actor.calls for actor in self._actors):
                raise ProcessFailed(
                    f"no worker could be started within {START_S:.0f} s: each needs {self._seats[0]}; see `ray status`"
                )

    def cost(self) -> Cost:
        """Return what the run took so far."""
        cpu = self._past.cpu_seconds + sum(actor.usage.cpu_seconds for actor in self._actors)
        gpu = self._held + sum(actor.seat.gpus * actor.usage.seconds for actor in self._actors)
        return Cost(cpu, gpu, self._started, self._died)

    def _start(self, seat: Seat) -> None:
        decoders = seat.cpus if self._decoders is None else self._decoders
        placed = self._ray.remote(num_cpus=seat.cpus, num_gpus=seat.gpus, max_restarts=0, max_concurrency=DEEP + 1)
        handle = placed(Worker).remote(self._job, self._ledger, decoders)
        self._actors.append(_Actor(handle, seat, handle.begin.remote()))

    def _feed(self) -> None:
        """Hand out what waits, the next always to who has least."""
        while self._queue:
            there = [actor for actor in self._actors if actor.starting is None and len(actor.calls) < DEEP]
            if not there:
                return
            actor, shard = min(there, key=lambda one: len(one.calls)), self._queue.popleft()
            actor.calls[actor.handle.embed.remote(shard)] = shard

    def _answered(self, actor: _Actor, call: Any) -> Iterator[tuple[int, str]]:
        """Yield the shard that an answer is of; replace a worker that died, and queue its shards again, first."""
        if actor not in self._actors:  # it died by another answer
            return
        try:
            answer = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from error
        except self._ray.exceptions.RayError as error:
            self._bury(actor, error)
            return
        self._alive = time.monotonic()
        if call == actor.starting:
            require_same_version(answer)
            actor.starting, self._started = None, self._started + 1
            return
        name, actor.usage = answer
        yield actor.calls.pop(call).number, name

    def _bury(self, actor: _Actor, error: Exception) -> None:
        self._actors.remove(actor)
        with suppress(Exception):
            self._ray.kill(actor.handle)
        self._died += 1
        self._past = Usage(self._past.cpu_seconds + actor.usage.cpu_seconds, 0.0)
        self._held += actor.seat.gpus * actor.usage.seconds
        for shard in reversed([*actor.calls.values()]):
            self._deaths[shard.number] += 1
            if self._deaths[shard.number] >= ATTEMPTS:
                raise ProcessFailed(
                    f"{ATTEMPTS} workers died one after the other with the shard from {shard.sources[0].printable}: "
                    f"{first_line(error)}; perhaps for want of memory: give a smaller --batch-size or fewer --workers"
                )
            self._queue.appendleft(shard)
        self._start(actor.seat)


def _cause(error: Exception) -> Exception:
    """Return what a worker raised, as it would have been raised here."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, SimsearchError) else ProcessFailed(f"a worker failed: {_last_line(error)}")


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]


@contextmanager
def connected(address: str, *, cpus: int | None = None) -> Iterator[list[Machine]]:
    """Join a cluster for the block, and yield its machines.

    Args:
        address: As of `ray.init`; `local` starts one on this machine, reached by a token that nobody else has, without
            a dashboard and without reports of usage to Ray's makers.
        cpus: Cores of a local one.

    Raises:
        DependencyMissing: Ray is not installed.
        ProcessFailed: The cluster cannot be joined.
    """
    if address == _LOCAL:
        be_private()
    _require_listener(address)
    ray, terminated = _ray(), signal.getsignal(signal.SIGTERM)
    own = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": _OBJECT_STORE}
    try:
        ray.init(address=address, **_QUIET, **(own if address == _LOCAL else {}))
    except Exception as error:  # of many kinds
        raise ProcessFailed(f"the Ray cluster {address} cannot be joined: {first_line(error)}") from error
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, terminated)  # Ray puts its own there
        yield machines_of(ray.nodes())
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    """Refuse an address at which nobody listens: Ray would try for minutes.

    Raises:
        ProcessFailed: It is one.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_LISTEN_S).close()
    except OSError as error:
        raise ProcessFailed(f"the Ray cluster {address} cannot be joined: {error.strerror or error}") from error


def machines_of(nodes: Sequence[Mapping[str, Any]]) -> list[Machine]:
    """Return the machines that are alive, by what Ray tells of its nodes."""
    told = [node.get("Resources", {}) for node in nodes if node.get("Alive")]
    return [Machine(int(each.get("CPU", 0)), int(each.get("GPU", 0))) for each in told]


def be_private() -> None:
    """Set what Ray takes from the environment alone, for this process and those that it starts.

    A token only where Ray is not loaded yet, which reads there whether there is to be one.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise DependencyMissing('--ray needs Ray: pip install -e ".[scale]"') from error
