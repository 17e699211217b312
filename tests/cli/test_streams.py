"""Whoever reads the streams may go, or never have been there: commands end quietly, never with a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from simsearch.cli.app import app
from tests.cli.conftest import FAKE, Run

CLI = f"{sys.executable} -m simsearch.cli"


def shell(line: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which the command is "$@"."""
    command = ["bash", "-c", f"set -o pipefail; {line}", "bash", sys.executable, "-m", "simsearch.cli"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("reader", ["head -1", "true"])
@pytest.mark.parametrize("command", ["long", "help", "info"])
def test_a_reader_who_goes_ends_a_command_quietly(library: Path, pictures: Path, reader: str, command: str) -> None:
    images = [pictures / f"{i}.png" for i in range(6)]
    arguments: dict[str, list[Any]] = {
        "long": ["query", *images * 60, "--library", library, "--model", FAKE, "--json"],
        "help": ["query", "--help"],
        "info": ["info", "--library", library],
    }
    if command != "long" and reader != "true":
        pytest.skip("one way is enough for what comes at once")
    done = shell(f'"$@" | {reader}', *arguments[command])
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("{") for line in done.stderr.splitlines()), done.stderr


@pytest.mark.parametrize("closed", ["2>&1 >/dev/null | true", "0<&- 2>&-"])
def test_stderr_may_be_closed(library: Path, pictures: Path, closed: str) -> None:
    done = shell(f'"$@" {closed}', "query", pictures / "1.png", "--library", library, "--model", FAKE, "--json")
    assert done.returncode == 0
    if "/dev/null" not in closed:
        assert [line[:12] for line in done.stdout.splitlines()] == ['{"schema": 1']


def test_notes_that_nobody_reads_cost_no_exit_code() -> None:
    """What stderr still holds when its reader goes must not fail once more at exit, which Python tells by 120."""
    code = (
        "import os; r, w = os.pipe(); os.dup2(w, 2); os.close(w); os.close(r); from simsearch.cli import terminal; "
        "terminal.open_streams(); terminal.note('one'); terminal.note('two')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0


def test_stdout_may_be_closed_and_files_do_not_take_its_place(pictures: Path, tmp_path: Path) -> None:
    command = ("index", pictures, "--library", tmp_path / "l", "--model", FAKE, "--workers", 0)
    assert shell('"$@" >&- 2>&- <&-', *command).returncode == 0
    assert shell('"$@"', "verify", "--library", tmp_path / "l", "--deep").returncode == 0


def test_results_that_cannot_be_written_are_told(library: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    done = shell('"$@" >/dev/full', "info", "--library", library)
    assert done.returncode == 3
    assert "results cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def commands() -> list[tuple[str, ...]]:
    """Every command of the app, by its words."""
    root = typer.main.get_command(app)
    found: list[tuple[str, ...]] = []

    def walk(command: Any, words: tuple[str, ...]) -> None:
        inner = getattr(command, "commands", None)
        if inner is None:
            found.append(words)
        for name, one in (inner or {}).items():
            walk(one, (*words, name))

    walk(root, ())
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_can_be_quiet(run: Run, command: tuple[str, ...]) -> None:
    assert "--quiet" in run(*command, "--help")[1]


def test_quiet_says_results_alone(run: Run, pictures: Path, tmp_path: Path) -> None:
    common = ("--model", FAKE, "--workers", 0, "--quiet")
    for arguments in (
        ("index", pictures, "--library", tmp_path / "l", *common),
        ("embed", pictures, "--output", tmp_path / "rows", *common),
        ("query", pictures / "1.png", "--library", tmp_path / "l", "--model", FAKE, "--quiet"),
        ("models", "list", "--quiet"),
    ):
        code, out, err = run(*arguments)
        assert (code, err) == (0, ""), arguments
        assert out
    config = tmp_path / "flags.yaml"
    config.write_text("quiet: true\n")
    assert run("embed", pictures, "--output", tmp_path / "rows", "--model", FAKE, "--config", config)[2] == ""
    assert run("embed", pictures, "--output", tmp_path / "more", "--model", FAKE, "--workers", 0)[2] != "", "only once"


def test_what_stands_last_is_a_result(library: Path, pictures: Path) -> None:
    done = shell('"$@" 2>&1', "query", pictures, "--library", library, "--model", FAKE)
    assert "progress" in done.stdout
    assert "progress" not in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_flags(kind: str) -> None:
    environment = {
        **os.environ,
        "_SIMSEARCH_COMPLETE": f"complete_{kind}",
        "COMP_WORDS": "simsearch ind",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "simsearch ind",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    command = [sys.executable, "-m", "simsearch.cli"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "index" in done.stdout, done.stderr) == (0, True, "")


def test_the_help_tells_of_completion(run: Run) -> None:
    out = run("--help")[1]
    assert "--install-completion" in out
    assert "--show-completion" in out
