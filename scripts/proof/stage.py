"""A stage of the proof: the question it settles, what it must be given, and the work that answers it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from simsearch.benchmark.goals import Measured

PART_MIB = 55.0
"""Most that one part of a stage's inputs may weigh, so that it can be carried in one call."""
FILE_MIB = 15.0
"""Most that a file which a stage writes may weigh."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file or folder that a stage needs.

    Attributes:
        path: Below the data folder, as `train/train-0.tar`.
        mib: How much it weighs, at most.
        part: Inputs of one part are brought together; parts may come in any order, one call after another.
    """

    path: str
    mib: float
    part: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """Where, how large and how long a stage may work.

    Attributes:
        device: Where; "cpu" in a rehearsal.
        toy: Whether sizes are small enough for a rehearsal of seconds.
        inputs: The folder that holds the stage's inputs under their paths.
        state: A folder that outlives this call, for what a later one goes on from; the stage's own.
        output: The folder for files that come back, beside the record.
        deadline: `time.monotonic()` by which a long stage saves what it has and raises `Unfinished`.
    """

    device: torch.device
    toy: bool
    inputs: Path
    state: Path
    output: Path
    deadline: float

    @property
    def seconds_left(self) -> float:
        """Until the deadline."""
        return self.deadline - time.monotonic()

    def size(self, real: int, toy: int) -> int:
        """The real size, or that of a rehearsal."""
        return toy if self.toy else real


@dataclass(frozen=True, slots=True)
class Finding:
    """What a stage found.

    Attributes:
        verdict: One line, losses included.
        values: The figures, JSON types only.
        goals: Those that were measured against a stated goal.
    """

    verdict: str
    values: dict[str, Any]
    goals: tuple[Measured, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """One question that only a GPU can answer.

    Attributes:
        name: As on the command line.
        question: What it settles, in one sentence.
        size: What it works on, in words.
        minutes: How long it takes on one H100 or H200, all parts together.
        value: How much hangs on the answer; the plan takes high values first.
        work: Answers the question; raises `Unfinished` when it must go on in another call.
        inputs: What must be brought.
        faiss: Whether it needs faiss-gpu, which such machines lack.
    """

    name: str
    question: str
    size: str
    minutes: float
    value: int
    work: Callable[[Run], Finding] = field(repr=False)
    inputs: tuple[Input, ...] = ()
    faiss: bool = False

    @property
    def parts(self) -> dict[int, tuple[Input, ...]]:
        """The inputs by part."""
        return {part: tuple(i for i in self.inputs if i.part == part) for part in sorted({i.part for i in self.inputs})}


class Unfinished(Exception):
    """The stage saved what it has; the message says what the next call does."""


def attempt(work: Callable[[], Any]) -> Any:
    """The result, or why there is none: on a machine that is lent by the minute one failure must not cost the rest."""
    try:
        return work()
    except Exception as error:
        return {"not_measured": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}


def is_measured(value: Any) -> bool:
    """Whether `attempt` came back with a result."""
    return not (isinstance(value, dict) and "not_measured" in value)
