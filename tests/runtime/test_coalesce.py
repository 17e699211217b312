"""Laws of answering calls together: answers are those of single calls, and an error reaches only its own call."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from simsearch.errors import InputError, LibraryError
from simsearch.runtime.coalesce import Coalescer


class Work:
    """Doubles rows, slowly; refuses negative ones."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.inside = 0

    def __call__(self, key: str, rows: NDArray[np.float64]) -> Sequence[float]:
        self.inside += 1
        assert self.inside == 1, "one at a time"
        self.calls.append((key, len(rows)))
        time.sleep(0.02)
        self.inside -= 1
        if (rows < 0).any():
            raise InputError(f"negative: {rows.min()}")
        return [float(2 * row[0]) for row in rows]


def row(value: float) -> NDArray[np.float64]:
    return np.array([[float(value)]])


def test_many_threads_get_their_own_answers_in_few_calls() -> None:
    work = Work()
    together = Coalescer(work)
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda i: together("a", row(i)), range(100)))
    assert answers == [[2.0 * i] for i in range(100)]
    assert sum(n for _, n in work.calls) == 100
    assert len(work.calls) < 50, "calls that came together were answered together"


def test_other_keys_are_not_mixed() -> None:
    work = Work()
    together = Coalescer(work)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: together("ab"[i % 2], row(i)), range(40)))
    assert {key for key, _ in work.calls} == {"a", "b"}
    assert sum(n for key, n in work.calls if key == "a") == 20


def test_an_error_reaches_only_its_own_call() -> None:
    together = Coalescer(Work())

    def ask(i: int) -> object:
        try:
            return together("a", row(i if i != 7 else -7))
        except InputError as error:
            return str(error)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(30)))
    assert answers == [[2.0 * i] if i != 7 else "negative: -7.0" for i in range(30)]


def test_no_more_rows_than_allowed_are_worked_on_together() -> None:
    work = Work()
    together = Coalescer(work, limit=4)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: together("a", np.full((3, 1), i)), range(12)))
    assert {n for _, n in work.calls} == {3}
    assert together("a", np.ones((9, 1))) == [2.0] * 9, "a large call is never refused"


def test_closing_waits_for_what_came_and_refuses_what_comes() -> None:
    work = Work()
    together = Coalescer(work)
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(together, "a", row(i)) for i in range(8)]
        while not work.calls:
            time.sleep(0.001)
        together.close()
        assert all(one.done() or one.result(timeout=1) for one in running)
        assert work.inside == 0
    with pytest.raises(LibraryError, match="closed"):
        together("a", row(1))


def test_an_interrupt_in_one_thread_leaves_the_others_alive() -> None:
    class Interrupted:
        first = True

        def __call__(self, key: str, rows: NDArray[np.float64]) -> Sequence[float]:
            time.sleep(0.02)
            if Interrupted.first:
                Interrupted.first = False
                raise KeyboardInterrupt
            return [float(r[0]) for r in rows]

    together = Coalescer(Interrupted())
    outcomes: list[object] = []

    def ask(i: int) -> None:
        try:
            outcomes.append(together("a", row(i)))
        except KeyboardInterrupt:
            outcomes.append("interrupted")

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(outcomes) == 6
    assert outcomes.count("interrupted") <= 1
