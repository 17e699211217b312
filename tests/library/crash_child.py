"""The child of test_crash: works through an endless, seeded list of operations and says which are done."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from simsearch.errors import InputError
from simsearch.library import AddSettings, Library
from simsearch.library.format.atomic_files import Step
from tests.fake import BlindExtractor, FakeExtractor
from tests.library.helpers import paint

SLOTS = 40
MODELS = [FakeExtractor(), BlindExtractor()]
SETTINGS = AddSettings(workers=0, batch_size=4, commit_every=2)


def operation(number: int) -> tuple[str, dict[str, int | None]]:
    """Return what operation `number` does: its kind, and the content (None: gone) of the slots that it touches."""
    rng = np.random.default_rng(number)
    slots = [f"{slot:02d}.png" for slot in rng.choice(SLOTS, 4, replace=False)]
    kind = str(rng.choice(["add", "remove", "optimize"], p=[0.7, 0.2, 0.1]))
    if kind == "add":
        return kind, {slot: number * 10 + i for i, slot in enumerate(slots)}
    return kind, {slots[0]: None} if kind == "remove" else {}


def perform(library: Library, folder: Path, number: int) -> None:
    kind, touched = operation(number)
    if kind == "optimize":
        library.optimize()
    elif kind == "add":
        for slot, seed in touched.items():
            paint(folder / f".{slot}", seed or 0).rename(folder / slot)
        library.add(folder, settings=SETTINGS)
    else:
        for slot in touched:
            (folder / slot).unlink(missing_ok=True)
            with suppress(InputError):  # it may never have been there
                library.remove(folder / slot)


def killer(step: str, count: int) -> Callable[[Step], Any]:
    """Return a callable that kills this process at the count-th time of a step."""
    left = [count]

    def on_step(now: Step) -> None:
        left[0] -= now == step
        if now == step and left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_step


def main() -> None:
    place, start, step, count = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    library = Library.create(place / "library", model=MODELS, device="cpu", on_step=killer(step, count))
    print("ready", flush=True)
    number = start
    while True:
        perform(library, place / "photos", number)
        print(number, flush=True)
        number += 1


if __name__ == "__main__":
    main()
