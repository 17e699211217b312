"""Libraries with near pairs: photographs of which each has an edited copy."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simsearch.library import Library
from tests.library.helpers import HERE, make
from tests.serve.conftest import Served

NEAR = 0.05
"""Within which a photograph and its copy lie, and no two others."""


def copied(folder: Path, count: int) -> Path:
    """Write photographs and a slightly darker copy of each."""
    folder.mkdir(parents=True)
    for seed in range(count):
        pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), np.uint8)
        Image.fromarray(pixels).resize((120, 144), Image.Resampling.NEAREST).save(folder / f"{seed:03d}.png")
        Image.fromarray((pixels * 0.97).astype(np.uint8)).save(folder / f"{seed:03d}-copy.png")
    return folder


def library_of_pairs(folder: Path, count: int) -> Path:
    """A library of such photographs beside them, in `folder / "library"`."""
    with make(folder / "library") as made:
        made.add(copied(folder / "photographs", count), settings=HERE)
    return folder / "library"


def filled(served: Served, token: str, *, within: float = NEAR) -> dict[str, Any]:
    """Fill the queue of a service, and return how the review stands then."""
    begun = served.ask("POST", "/v1/review", {"max_distance": within}, token=token)
    assert begun.status == 202, begun.body
    return ended(served, "/v1/review", token)


def ended(served: Served, path: str, token: str) -> dict[str, Any]:
    """What a path tells once its search has ended."""
    deadline = time.monotonic() + 60
    while True:
        told: dict[str, Any] = served.ask("GET", path, token=token).json
        search = told.get("search") if isinstance(told.get("search"), dict) else told
        if search is not None and search["state"] != "running":
            return told
        assert time.monotonic() < deadline, json.dumps(told)
        time.sleep(0.02)


def verdicts_of(library: Path) -> list[tuple[str, str]]:
    """Who decided what, in the order of the log."""
    with Library.open(library) as opened:
        return [(entry.by, entry.decision) for entry in opened.verdicts()]
