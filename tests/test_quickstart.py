"""The quickstart: what it prints and draws, what it refuses, and how its environment is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
FAKE = "tests.fake:FakeExtractor"
Done = subprocess.CompletedProcess[str]


def quickstart(*arguments: object, model: str = FAKE) -> Done:
    command = [sys.executable, str(ROOT / "scripts" / "quickstart.py"), *map(str, arguments), "--model", model]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def counted(done: Done) -> tuple[int, int]:
    """The "4 of 10" of the last line, and the table's own count of yes."""
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "edited copies led to" in line)
    right, total = int(line.split()[0]), int(line.split()[2])
    verdicts = [line.split()[-1] for line in done.stdout.splitlines() if line.rstrip().endswith((" yes", " no"))]
    assert (verdicts.count("yes"), len(verdicts)) == (right, total)
    return right, total


def test_without_a_folder_it_finds_edited_copies_of_the_packages_photographs(tmp_path: Path) -> None:
    done = quickstart("--output", tmp_path)
    right, total = counted(done)
    assert total == 10
    assert right >= 6  # mean colours find most edits; a network does better
    assert len(list((tmp_path / "photographs").iterdir())) >= 15
    assert len(list((tmp_path / "edited").iterdir())) == total
    with Image.open(tmp_path / "contact-sheet.png") as sheet:
        assert sheet.width > 1000
        assert sheet.height > 200 * total


def test_with_a_folder_it_uses_its_images_and_passes_over_other_files(tmp_path: Path) -> None:
    folder, rng = tmp_path / "[red]mine", np.random.default_rng(1)
    folder.mkdir()
    (folder / "notes.txt").write_text("no picture")
    for i in range(5):
        blocks = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((200, 160), Image.Resampling.NEAREST).save(folder / f"[red]{i}.png")
    for inputs in ("5 added, 0 unchanged", "0 added, 5 unchanged"):
        done = quickstart(folder, "--output", tmp_path / "out")
        assert counted(done)[1] == 5
        assert inputs in done.stdout
        assert "[red]0.png" in done.stdout
        assert "0 rejected, 1 skipped" in done.stdout


def test_misses_are_told_as_misses(tmp_path: Path) -> None:
    right, total = counted(quickstart("--output", tmp_path, model="tests.fake:BlindExtractor"))
    assert right <= total / 2


@pytest.mark.parametrize("where", ["", "below"])
def test_results_do_not_go_into_the_folder_that_is_indexed(tmp_path: Path, where: str) -> None:
    done = quickstart(tmp_path, "--output", tmp_path / where)
    assert done.returncode == 2
    assert "--output" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_without_images_is_an_error_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    done = quickstart(tmp_path / "none", "--output", tmp_path / "out")
    assert done.returncode == 3
    assert "no image" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["quickstart", "test", "check", "environment.sh", "../.ci/run"])
def test_the_shell_scripts_are_valid(name: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / "scripts" / name)], check=True)
    if not name.endswith(".sh"):
        assert os.access(ROOT / "scripts" / name, os.X_OK)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the scripts alone, and a folder for the programs that they may call."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "bin").mkdir()
    for tool in ("dirname", "cat", "cksum", "bash", "mkdir"):
        (root / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    return root


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


def start(checkout: Path, **environment: str) -> Done:
    command = ["bash", str(checkout / "scripts" / "quickstart"), "--help"]
    return subprocess.run(
        command, env={"PATH": str(checkout / "bin"), **environment}, capture_output=True, text=True, check=False
    )


def test_a_python_that_is_too_old_is_said_clearly(checkout: Path) -> None:
    program(checkout / "bin" / "python3", "exit 1")
    done = start(checkout)
    assert done.returncode == 3
    assert "Python 3.11" in done.stderr


def test_an_environment_is_made_once_and_installed_once(checkout: Path) -> None:
    log = checkout / "log"
    stub = f'echo "$@" >> {log}\n'
    inside = checkout / ".venv" / "bin" / "python"
    make = f'if [ "$2" = venv ]; then mkdir -p {inside.parent}; cat {checkout}/stub > {inside}; chmod 755 {inside}; fi'
    (checkout / "stub").write_text(f"#!/bin/bash\n{stub}")
    (checkout / "bin" / "chmod").symlink_to(shutil.which("chmod") or "chmod")
    program(checkout / "bin" / "python3", stub + make)
    for _ in range(2):
        done = start(checkout)
        assert done.returncode == 0, done.stderr
    calls = log.read_text().splitlines()
    assert sum("-m venv" in call for call in calls) == 1
    assert sum("pip install" in call for call in calls) == 1
    assert sum("quickstart.py --help" in call for call in calls) == 2
    (checkout / "pyproject.toml").write_text("changed")
    start(checkout)
    assert sum("pip install" in call for call in log.read_text().splitlines()) == 2


def test_the_active_environment_is_used(checkout: Path, tmp_path: Path) -> None:
    log = checkout / "log"
    program(tmp_path / "own" / "bin" / "python", f'echo "$@" >> {log}')
    done = start(checkout, VIRTUAL_ENV=str(tmp_path / "own"))
    assert done.returncode == 0, done.stderr
    assert "pip install" in log.read_text()
    assert not (checkout / ".venv").exists()
