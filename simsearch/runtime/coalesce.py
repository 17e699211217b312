"""Dynamic batching: concurrent calls of several threads are answered together, so that the rows are scanned once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import LibraryError

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


@dataclass(eq=False, slots=True)
class _Call(Generic[Key, Answer]):
    key: Key
    rows: NDArray[Any]
    done: bool = False
    answers: Sequence[Answer] = ()
    error: BaseException | None = None


class Coalescer(Generic[Key, Answer]):
    """A batcher of calls with equal keys; the first caller works for all that wait, the others sleep.

    A call that comes during another waits for its end: then one of the waiting calls takes all of its key.
    """

    def __init__(self, work: Callable[[Key, NDArray[Any]], Sequence[Answer]], *, limit: int = 4096) -> None:
        """Make it.

        Args:
            work: Returns one answer for each of the rows (q, d), independent of the other rows.
            limit: Rows of a batch.
        """
        self._work = work
        self._limit = limit
        self._changed = threading.Condition()
        self._waiting: list[_Call[Key, Answer]] = []
        self._busy = False
        self._closed = False

    def __call__(self, key: Key, rows: NDArray[Any]) -> Sequence[Answer]:
        """Return the answers to these rows, in order.

        Raises:
            LibraryError: It was closed.
            Exception: Whatever the work raised for these very rows.
        """
        mine = _Call[Key, Answer](key, rows)
        with self._changed:
            if self._closed:
                raise LibraryError("the library was closed; open it again")
            self._waiting.append(mine)
            try:
                while self._busy and not mine.done:
                    self._changed.wait()
            except BaseException:  # Ctrl-C: the answer is not needed
                self._waiting = [call for call in self._waiting if call is not mine]
                raise
            if not mine.done:
                self._busy = True
                batch = self._taken(mine)
        if not mine.done:
            try:
                self._answer(batch)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
        if mine.error is not None:
            raise mine.error
        return mine.answers

    def close(self) -> None:
        """Refuse further calls, and return once all pending ones are answered."""
        with self._changed:
            self._closed = True
            while self._busy or self._waiting:
                self._changed.wait()

    def _taken(self, mine: _Call[Key, Answer]) -> list[_Call[Key, Answer]]:
        """Return the batch of this call: itself, and others of its key up to the limit."""
        batch, rows = [mine], len(mine.rows)
        for call in self._waiting:
            if call is not mine and call.key == mine.key and rows + len(call.rows) <= self._limit:
                batch.append(call)
                rows += len(call.rows)
        self._waiting = [call for call in self._waiting if call not in batch]
        return batch

    def _answer(self, batch: Sequence[_Call[Key, Answer]]) -> None:
        try:
            answers = self._work(batch[0].key, np.concatenate([call.rows for call in batch]))
        except BaseException as error:
            if len(batch) == 1:
                batch[0].error, batch[0].done = error, True
                return
            for call in batch:  # so that an error reaches only its own call
                self._answer([call])
            return
        start = 0
        for call in batch:
            call.answers, call.done = answers[start : start + len(call.rows)], True
            start += len(call.rows)
