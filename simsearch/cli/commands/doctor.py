"""`simsearch doctor`: is this installation sound? Versions, wheels, devices, workers, memory, models are looked at."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from simsearch.cli import terminal
from simsearch.cli.exit_codes import FAILED
from simsearch.cli.options import AsJson, command
from simsearch.cli.terminal import size

if TYPE_CHECKING:
    from simsearch.extract.zoo.card import ModelCard

app = typer.Typer(rich_markup_mode=None)
PYTHON = (3, 11)
PACKAGES = ("torch", "torchvision", "faiss", "numpy", "scipy", "PIL", "pyarrow", "safetensors")
CLASHES = (("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs"), ("opencv-python", "opencv-python-headless",
           "opencv-contrib-python", "opencv-contrib-python-headless"))  # fmt: skip
"""Wheels that write into one folder: whichever was installed last wins, in part."""
SHARED_MEMORY = "/dev/shm"
SHARED_MEMORY_WANTED = 256 << 20


class Health(StrEnum):
    """The result of a check; only BROKEN makes `doctor` fail."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding, with its remedy when it is bad."""

    name: str
    health: Health
    detail: str


@command(app, "doctor", "doctor --json")
def doctor(as_json: AsJson = False) -> None:
    """Check this installation.

    Looks at versions, clashing wheels, GPUs, shared memory and decoding, and whether each model gives its golden rows.
    Exits with 3 when something is broken.
    """
    broken = 0
    for check in run_checks():
        broken += check.health is Health.BROKEN
        if as_json:
            terminal.show_json(asdict(check))
        else:
            terminal.show(f"{check.health:8} {check.name:16} {check.detail}")
    if broken:
        terminal.note(f"error: {broken} of the checks above found something broken")
        raise typer.Exit(FAILED)


def run_checks() -> Iterator[Check]:
    """Yield every finding, the quick ones first."""
    from importlib import metadata

    yield python_version(sys.version_info[:3])
    yield from map(package, PACKAGES)
    yield from clashing(dist.name for dist in metadata.distributions() if dist.name)
    yield guarded("devices", devices)
    yield guarded("shared memory", shared_memory)
    yield guarded("decoding worker", decoding_worker)
    yield from models()


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """Return the finding of a check, or BROKEN with its exception."""
    try:
        return check()
    except Exception as error:
        return Check(name, Health.BROKEN, f"{type(error).__name__}: {error}")


def python_version(version: tuple[int, ...]) -> Check:
    """Return whether this Python is new enough."""
    text = ".".join(map(str, version))
    if version[:2] < PYTHON:
        return Check("Python", Health.BROKEN, f"{text}; simsearch needs 3.11 or later")
    return Check("Python", Health.OK, text)


def package(name: str) -> Check:
    """Return whether a package imports, and its version."""

    def check() -> Check:
        return Check(name, Health.OK, str(importlib.import_module(name).__version__))

    return guarded(name, check)


def clashing(installed: Iterable[str]) -> list[Check]:
    """Return the wheels to uninstall where some overwrite each other."""
    names = {name.lower().replace("_", "-") for name in installed}
    found = []
    for family in CLASHES:
        both = [name for name in family if name in names]
        if len(both) > 1:
            advice = f"{' and '.join(both)} overwrite each other; pip uninstall all of them, then install one again"
            found.append(Check("wheels", Health.BROKEN, advice))
    return found or [Check("wheels", Health.OK, "none that overwrite each other")]


def devices() -> Check:
    """Return the CUDA devices."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        return Check("devices", Health.OK, f"cpu, {os.cpu_count()} cores; no CUDA device")
    names = [torch.cuda.get_device_properties(i) for i in range(count)]
    return Check(
        "devices", Health.OK, ", ".join(f"cuda:{i} {d.name}, {size(d.total_memory)}" for i, d in enumerate(names))
    )


def shared_memory() -> Check:
    """Return how much shared memory is free for decoded pictures."""
    status = os.statvfs(SHARED_MEMORY)
    free = status.f_bavail * status.f_frsize
    if free < SHARED_MEMORY_WANTED:
        advice = f"{size(free)} free, {size(SHARED_MEMORY_WANTED)} wanted; in a container use --shm-size=1g"
        return Check("shared memory", Health.WARNING, advice)
    return Check("shared memory", Health.OK, f"{size(free)} free")


def decoding_worker() -> Check:
    """Return whether a decoding process starts and decodes a picture."""
    import tempfile
    from pathlib import Path

    from PIL import Image

    from simsearch.images import Preprocessing, Rejected, find, prepare

    picture = io.BytesIO()
    Image.linear_gradient("L").save(picture, "PNG")
    preprocessing = Preprocessing(64, "squash", 64, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "picture.png").write_bytes(picture.getvalue())
        (outcome,) = prepare(find([folder]), preprocessing, workers=1)
    if isinstance(outcome, Rejected):
        return Check("decoding worker", Health.BROKEN, f"{outcome.code}: {outcome.message}")
    return Check("decoding worker", Health.OK, "starts and decodes")


def models() -> Iterator[Check]:
    """Yield whether each model whose weights are here loads and gives its golden rows on this machine."""
    from simsearch.errors import SimsearchError
    from simsearch.extract.zoo.find import find_model, has_weights, list_models

    try:
        cards = list_models()
    except SimsearchError as error:
        yield Check("models", Health.BROKEN, str(error))
        return
    if not cards:
        yield Check("models", Health.BROKEN, "none installed; install simsearch again")
    here = [card for card in cards if has_weights(find_model(card.name))]
    for card in here:
        yield guarded(f"model {card.name}", lambda card=card: model(card))  # type: ignore[misc]
    if absent := len(cards) - len(here):
        yield Check("other models", Health.OK, f"{absent} without their weights here: simsearch models list")


def model(card: ModelCard) -> Check:
    """Return whether a model loads and gives its golden rows within the card's tolerance."""
    from simsearch.extract.load import load_extractor
    from simsearch.extract.zoo.find import find_model
    from simsearch.extract.zoo.golden import check_golden, has_golden

    name, extractor, folder = f"model {card.name}", load_extractor(card.name), find_model(card.name)
    if not has_golden(card, folder):
        return Check(name, Health.OK, "loads; unverified, without golden rows to be held to")
    worst = check_golden(extractor, folder)
    said = f"golden rows within {worst:.2g} ({card.metric}), {card.tolerance:g} allowed"
    if not worst <= card.tolerance:
        return Check(name, Health.BROKEN, f"{said}: this machine does not reproduce it; install simsearch again")
    return Check(name, Health.OK, f"{said}; {card.status}")
