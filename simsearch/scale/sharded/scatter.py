"""Asking several shards at once, within a time limit; what fails or comes late costs no other shard anything."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from simsearch.errors import InputError, first_line

T = TypeVar("T")
_OVERDUE = 4  # calls that a shard may leave unanswered before it is asked no more until one of them ends


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a shard gave no answer.

    Attributes:
        reason: In words.
        late: Whether it took too long.
    """

    reason: str
    late: bool = False


@dataclass(slots=True)
class _Call(Generic[T]):
    """A call to a shard, and where its outcome is awaited."""

    shard: int
    work: Callable[[], T]
    outcomes: queue.SimpleQueue[tuple[int, T | BaseException]]
    ended: bool = False
    overdue: bool = False


class Scatter:
    """A way to ask shards, each in a thread of its own; one that hangs holds up nobody else, nor the end of Python."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._overdue = Counter[int]()

    def ask(self, works: Mapping[int, Callable[[], T]]) -> dict[int, T | Failure]:
        """Return what each call gives, by the number of its shard, or why it gives nothing.

        Raises:
            InputError: A shard says that it was asked for something wrong, which is no fault of the shard.
        """
        outcomes = queue.SimpleQueue[Any]()
        found: dict[int, T | Failure] = {}
        calls = dict[int, _Call[T]]()
        for shard, work in works.items():
            if self._overdue[shard] >= _OVERDUE:
                found[shard] = Failure(f"{_OVERDUE} searches before this one have not come back", late=True)
                continue
            calls[shard] = _Call(shard, work, outcomes)
            threading.Thread(target=self._run, args=(calls[shard],), daemon=True).start()
        ends = time.monotonic() + self.timeout_s
        while len(found) < len(works):
            try:
                shard, outcome = outcomes.get(timeout=max(0.0, ends - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(outcome, InputError):
                raise outcome
            found[shard] = Failure(first_line(outcome)) if isinstance(outcome, Exception) else outcome
        for shard in calls.keys() - found.keys():
            self._note(calls[shard], overdue=True)
            found[shard] = Failure(f"no answer within {self.timeout_s:g} s", late=True)
        return found

    def _run(self, call: _Call[T]) -> None:
        try:
            outcome: T | BaseException = call.work()
        except Exception as error:
            outcome = error
        finally:
            self._note(call, overdue=False)
        call.outcomes.put((call.shard, outcome))

    def _note(self, call: _Call[Any], *, overdue: bool) -> None:
        """Note that a call has ended, or that nobody waits for it any more."""
        with self._lock:
            if overdue and not call.ended:
                call.overdue = True
                self._overdue[call.shard] += 1
            elif not overdue:
                call.ended = True
                self._overdue[call.shard] -= call.overdue
