"""What a command does not need is not loaded: torch where no network is run, heavy packages by a query."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from simsearch.library import Library
from tests.library.helpers import HERE, album, paint

HEAVY = {
    "torch._dynamo",
    "torch._inductor",
    "torchvision",
    "timm",
    "numba",
    "scipy",
    "sklearn",
    "pyarrow.dataset",
    "pyarrow.compute",
}


def modules_after(*arguments: object) -> set[str]:
    """The modules that a command has loaded when it ends."""
    code = (
        "import sys; from simsearch.cli import main; code = main(sys.argv[1:]); print(*sys.modules, file=sys.stderr); "
    )
    code += "sys.exit(code)"
    command = [sys.executable, "-c", code, *map(str, arguments), "--json", "--quiet"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return set(run.stderr.split())


@pytest.mark.parametrize("model", ["mini", "dhash"])
def test_only_what_is_needed_is_loaded(tmp_path: Path, model: str) -> None:
    photos = album(tmp_path / "photos", range(3))
    with Library.create(tmp_path / "l", model=model, device="cpu") as library:
        library.add(photos, settings=HERE)
    where = ("--library", tmp_path / "l")
    commands: dict[str, tuple[object, ...]] = {"index": (photos, *where), "info": where, "verify": where}
    if torch.cuda.is_available():
        where = (*where, "--device", "cpu")
    commands["query"] = (paint(tmp_path / "new.png", 9), *where)
    rows = {"mini": {"query"}, "dhash": set[str]()}[model]  # what makes rows by a network
    for command, arguments in commands.items():
        loaded = modules_after(command, *arguments)
        assert "simsearch.library.format.manifest" in loaded
        assert sorted(HEAVY & loaded) == [], command
        assert "numpy.ma" not in loaded or command == "verify"  # `np.unique` of one array loads it
        assert ("torch" in loaded) == (command in rows), command
