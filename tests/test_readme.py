"""The README is true: its Python and its shell session run as printed, after the quickstart that it names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND_SECONDS = 600


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def session() -> list[tuple[str, str]]:
    """The commands of the shell sessions, each with the output shown under it."""
    found: list[tuple[str, str]] = []
    for line in "".join(blocks("console")).splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:].strip(), ""))
        else:
            found[-1] = (found[-1][0], found[-1][1] + line)
    return found


def masked(text: str) -> str:
    """Text without its numbers and spacing, which differ between machines."""
    return re.sub(r"\s+", " ", re.sub(r"[\d.,]+", "#", text)).strip()


def run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the quickstart has run."""
    folder = tmp_path_factory.mktemp("readme")
    run([sys.executable, str(ROOT / "scripts" / "quickstart.py")], folder)
    return folder


def test_the_two_commands_stand_first_and_exist() -> None:
    commands = [line.split()[0] for line in blocks("sh")[0].splitlines()]
    assert commands == ["scripts/quickstart", "scripts/test"]
    assert README.index("```sh") < 600
    for command in commands:
        assert os.access(ROOT / command, os.X_OK)


def test_the_first_program_is_short() -> None:
    lines = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(lines) <= 12


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_python_runs(place: Path, number: int) -> None:
    out = run([sys.executable, "-W", "error", "-c", blocks("python")[number]], place)
    assert out
    if number == 0:
        assert "china.jpg" in out


def test_the_shell_session_runs(place: Path) -> None:
    for command, shown in session():
        out = run(["bash", "-c", command], place)
        for line in filter(str.strip, shown.splitlines()):
            assert masked(line) in masked(out), f"{command} prints\n{out}and not\n{line}"


def test_every_command_of_the_app_is_in_the_session_or_its_help() -> None:
    named = {shlex.split(command)[1] for command, _ in session()}
    assert {"index", "query", "compare", "embed", "info", "verify", "doctor"} <= named
