"""A stage of the proof: the question it settles, what it must be given, and the work that answers it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from goals import Measured

CARRY_MIB = 46.0
"""Most that may be carried in one call, beside the checkout."""
PARTS = "parts.json"
"""Holds what parts of stages found; one file, since few may come back."""
FILE_MIB = 15.0
"""Most that a file which a stage writes may weigh."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file or folder that a stage needs.

    Attributes:
        path: Below the data folder, as `train/train-0.tar`.
        mib: How much it weighs, at most.
    """

    path: str
    mib: float


@dataclass(frozen=True, slots=True)
class Run:
    """Where, how large and how long a stage may work.

    Attributes:
        device: Where; "cpu" in a rehearsal.
        toy: Whether sizes are small enough for a rehearsal of seconds.
        inputs: The folder that holds the stage's inputs under their paths.
        state: A folder that outlives this call, for what a later one goes on from; the stage's own.
        output: The folder for files that come back, beside the record.
        deadline: `time.monotonic()` by which the stage ends; what it has not done by then is `remaining`.
        remaining: Parts for which there was no time.
    """

    device: torch.device
    toy: bool
    inputs: Path
    state: Path
    output: Path
    deadline: float
    remaining: list[str] = field(default_factory=list)

    @property
    def seconds_left(self) -> float:
        """Until the deadline."""
        return self.deadline - time.monotonic()

    def size(self, real: int, toy: int) -> int:
        """The real size, or that of a rehearsal."""
        return toy if self.toy else real

    def part(self, name: str, seconds: float, work: Callable[[], Any]) -> Any:
        """The result of a part of the stage, as JSON gives it back: of an earlier call, or of now if there is time.

        Args:
            name: Of the part. Its result is kept, and comes back in the output's `parts.json`.
            seconds: What it takes on one H100 or H200. It is not begun with less time left, but in a rehearsal.
            work: Measures it. A failure costs no other part, and is tried again by the next call.
        """
        kept = read_parts(self.state)
        if name not in kept:
            if not self.toy and self.seconds_left < seconds:
                self.remaining.append(name)
                return {"not_measured": f"no time was left for it: about {seconds:g} s"}
            kept[name] = attempt(work)
            if not is_measured(kept[name]):
                return kept[name]
            write_parts(self.state, kept)
        write_parts(self.output, read_parts(self.output) | {self.state.name: kept})
        return read_parts(self.state)[name]


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
        minutes: What it may take of a call with several stages; alone it takes all. On one H100 or H200 it is enough.
        value: How much hangs on the answer; the plan takes high values first.
        work: Answers the question, part by part.
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


def read_parts(folder: Path) -> dict[str, Any]:
    """Results of parts by their names: in a stage's state; in an output of all stages, by the names of these."""
    file = folder / PARTS
    found: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
    return found


def write_parts(folder: Path, parts: dict[str, Any]) -> None:
    """Keep them there."""
    (folder / PARTS).write_text(json.dumps(parts), encoding="utf-8")


def attempt(work: Callable[[], Any]) -> Any:
    """The result, or why there is none: on a machine that is lent by the minute one failure must not cost the rest."""
    try:
        return work()
    except Exception as error:
        return {"not_measured": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}


def is_measured(value: Any) -> bool:
    """Whether `attempt` came back with a result."""
    return not (isinstance(value, dict) and "not_measured" in value)
