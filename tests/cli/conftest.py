"""A small world for the command line: six pictures, an exact copy, a file that is none, and a way to run commands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.cli import main

FAKE = "tests.fake:FakeExtractor"
OTHER = "tests.fake:OtherExtractor"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        blocks = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((96, 64), Image.Resampling.NEAREST).save(folder / f"{i}.png")
    shutil.copyfile(folder / "0.png", folder / "copy-of-0.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def library(run: Run, pictures: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "pictures.library"
    code, _, err = run("index", pictures, "--library", folder, "--model", FAKE, "--workers", 0)
    assert code == 0, err
    return folder
