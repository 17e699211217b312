"""P1, P12: whatever moment a writer is killed at, nothing that it acknowledged is missing, doubled or torn."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simsearch.library import Library
from simsearch.library.format.atomic_files import Step
from tests.library.crash_child import MODELS, operation
from tests.library.helpers import paint

ROOT = Path(__file__).parents[2]
NEVER = ("never", 0)


@cache
def content_of(seed: int) -> tuple[bytes, NDArray[np.float16]]:
    """SHA-256 and stored rows (c, d) of the image of a seed, by another route than the library's."""
    import hashlib

    pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), np.uint8)
    image, file = Image.fromarray(pixels), BytesIO()
    image.save(file, format="PNG")
    rows = np.concatenate([extractor.rows([image]) for extractor in MODELS]).astype(np.float16)
    return hashlib.sha256(file.getvalue()).digest(), rows


@dataclass
class Trial:
    """A library under fire: what was acknowledged, and the checks after each kill."""

    place: Path
    done: int = -1
    pace: float = 0.1
    expected: dict[str, int | None] = field(default_factory=dict)

    def run(self, *, at: tuple[str, int] = NEVER, until: int | None = None, share: float = 0) -> None:
        """Start a child at the first operation that is not acknowledged, and let it be killed.

        Args:
            at: The step at which it kills itself, and the how manieth.
            until: The operation after which it is killed from outside.
            share: How far into the next operation that is, in times that the last one took.
        """
        command = [
            sys.executable,
            "-m",
            "tests.library.crash_child",
            str(self.place),
            str(self.done + 1),
            at[0],
            str(at[1]),
        ]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            before = time.monotonic()
            for line in child.stdout:
                if line.strip().isdigit():
                    self.acknowledge(int(line))
                    self.pace, before = time.monotonic() - before, time.monotonic()
                if until is not None and self.done >= until:
                    time.sleep(share * self.pace)
                    child.kill()
                    until = None
        assert child.returncode == -9

    def acknowledge(self, number: int) -> None:
        assert number == self.done + 1
        self.done = number
        self.expected |= operation(number)[1]

    def check(self, *, deep: bool = False) -> None:
        """Missing, phantom, duplicate, torn = 0."""
        library = Library.open(self.place / "library", extractor=MODELS, device="cpu")
        assert library.verify(deep=deep) == []
        _, in_flight = operation(self.done + 1)
        found: dict[str, int] = {}
        counts: Counter[str] = Counter()
        for place, path in library.snapshot.paths():
            assert path is not None
            slot = Path(path.decode()).name
            counts[slot] += 1
            candidates = [self.expected.get(slot), in_flight.get(slot)]
            sha256 = library.snapshot.segments[place.segment].content(place.position)
            rows = library.snapshot.rows(place)
            for seed in candidates:
                if seed is not None and content_of(seed)[0] == sha256:
                    assert rows is not None
                    np.testing.assert_array_equal(rows, content_of(seed)[1], err_msg="torn rows")
                    found[slot] = seed
            assert slot in found, f"phantom {slot}"
        assert not [slot for slot, count in counts.items() if count > 1], "duplicates"
        for slot, seed in self.expected.items():
            if seed is not None and in_flight.get(slot, seed) is not None:
                assert slot in found, f"missing {slot}"
            if slot not in in_flight:
                assert found.get(slot) == seed


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """In memory where there is such a place: flushing costs nothing there, so that a kill finds more work to hit."""
    memory = Path("/dev/shm")
    parent = memory if memory.is_dir() and os.access(memory, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=parent) as place:
        (Path(place) / "photos").mkdir()
        yield Trial(Path(place))


@pytest.mark.parametrize("step", list(Step))
def test_a_kill_at_every_named_step_loses_nothing(trial: Trial, step: Step) -> None:
    if step is Step.RECOVERY:
        trial.run(at=(Step.SEGMENT_RENAMED, 4))
        trial.check()
        assert len(list((trial.place / "library" / "segments").iterdir())) == 4, "there is something to recover"
        trial.run(at=(step, 1))
    else:
        trial.run(at=(step, 3 if step in {Step.SEGMENT_WRITTEN, Step.SEGMENT_RENAMED} else 1))
    trial.check(deep=True)
    before = trial.done
    trial.run(until=before + 3)
    trial.check(deep=True)
    assert trial.done >= before + 3, "the next writer goes on"


def _kill_at_random(trial: Trial, kills: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for number in range(kills):
        trial.run(until=trial.done + int(rng.integers(3)), share=float(rng.uniform(0, 1.5)))
        trial.check(deep=number % 10 == 9)
    assert trial.done >= kills / 2, "the kills fell into work"


def test_twenty_random_kills_lose_nothing(trial: Trial) -> None:
    _kill_at_random(trial, 20, seed=1)


@pytest.mark.slow
def test_a_thousand_random_kills_lose_nothing(trial: Trial) -> None:
    _kill_at_random(trial, 1000, seed=2)


def test_the_oracle_of_contents_is_the_file(tmp_path: Path) -> None:
    import hashlib

    assert content_of(7)[0] == hashlib.sha256(paint(tmp_path / "7.png", 7).read_bytes()).digest()
