"""The app as a whole: quick help with examples, exit codes, streams, interruption."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import simsearch
from simsearch.cli import main, progress
from tests.cli.conftest import FAKE, Run

COMMANDS = ["index", "remove", "reembed", "info", "verify", "optimize", "query", "compare", "embed"]
COMMANDS += [
    "repair",
    "serve",
    "models list",
    "models show",
    "models pull",
    "models convert",
    "bits fit",
    "bits encode",
    "doctor",
    "duplicates",
    "review confirm",
    "review reject",
    "review undo",
    "review log",
    "review export",
    "check",
    *(
        f"list {verb}"
        for verb in ("create", "add", "remove", "show", "release", "import", "export", "feedback", "calibrate")
    ),
]
HEAVY = {"torch", "faiss", "pyarrow", "numpy", "rich", "yaml", "pydantic_core", "PIL"}
QUICK_SECONDS = 0.5


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(run: Run, command: str) -> None:
    code, out, _ = run(*command.split(), "--help")
    assert code == 0
    assert f"  simsearch {command}" in out
    assert "--json" in out
    assert "--config" in out


def test_the_help_lists_exactly_the_commands(run: Run) -> None:
    out = run("--help")[1].split("Commands:")[1]
    assert [line.split()[0] for line in out.splitlines() if line.strip()] == [
        *(
            "index",
            "remove",
            "reembed",
            "info",
            "verify",
            "repair",
            "optimize",
            "query",
            "compare",
            "duplicates",
            "review",
            "calibrate",
            "accounts",
            "check",
            "list",
            "serve",
            "plan",
            "embed",
            "benchmark",
        ),
        *("finetune", "bits", "models", "doctor"),
    ]


def test_help_loads_nothing_heavy() -> None:
    code = "import sys\nfrom simsearch.cli import main\nmain(['--help'])\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in done.stderr.split()} & HEAVY


def test_help_is_quick() -> None:
    """Processor time, so that other work on the machine does not count."""
    code = "import time\nfrom simsearch.cli import main\nmain(['--help'])\nprint(time.process_time())"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert min(float(done.stdout.splitlines()[-1]) for done in runs) < QUICK_SECONDS


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"simsearch {simsearch.__version__}\n", "")


@pytest.mark.parametrize("arguments", [("no-such-command",), ("--no-such-flag",), ("models", "none"), ("query",)])
def test_wrong_usage_is_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_shows_its_traceback_under_its_own_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("simsearch.extract.zoo.find.list_models", lambda: 1 / 0)
    assert main(["models", "list"]) == 70
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_progress_is_json_on_stderr_and_stdout_holds_results_alone(run: Run, library: Path, pictures: Path) -> None:
    _, out, err = run("query", "--model", FAKE, pictures, "--library", library, "--json")
    lines = [json.loads(line) for line in err.splitlines()]
    assert lines[-1]["progress"] == "query"
    assert lines[-1]["done"] == 8
    assert all("query" in json.loads(line) for line in out.splitlines())


def test_progress_lines_come_at_intervals_with_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with progress.shown("embed") as advance:
        for done in range(1, 21):
            advance(done, 20)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert 2 <= len(lines) < 20
    assert [line["done"] for line in lines] == sorted({line["done"] for line in lines})
    assert lines[-1]["done"] == lines[-1]["total"] == 20
    assert lines[-1]["seconds_left"] == 0
    assert lines[0]["seconds_left"] > 0


def test_on_a_terminal_a_bar_is_drawn_on_stderr_and_results_stay_on_stdout(library: Path, pictures: Path) -> None:
    outside, inside = os.openpty()
    command = [
        sys.executable,
        "-m",
        "simsearch.cli",
        "query",
        "--model",
        FAKE,
        str(pictures),
        "--library",
        str(library),
        "--json",
    ]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=inside, env={**os.environ, "TERM": "xterm"})
    os.close(inside)
    drawn = b""
    with contextlib.suppress(OSError):  # how a terminal ends
        while chunk := os.read(outside, 4096):
            drawn += chunk
    out, _ = child.communicate(timeout=120)
    os.close(outside)
    assert child.returncode == 1
    assert "8/8" in drawn.decode()
    assert len([json.loads(line) for line in out.splitlines()]) == 8


def test_ctrl_c_keeps_what_was_done_and_says_so(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "l"
    command = [sys.executable, "-m", "tests.cli.slow_index", str(pictures), str(folder)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    until = time.monotonic() + 120
    while not (tmp_path / "l" / "embedding").exists() and time.monotonic() < until and child.poll() is None:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted" in err
    assert out == ""
    facts = main(["verify", "--library", str(folder), "--deep"])
    assert facts == 0


def test_a_name_that_the_terminal_cannot_show_does_not_end_a_command(pictures: Path, tmp_path: Path) -> None:
    own = tmp_path / "図"
    own.symlink_to(pictures)
    command = [sys.executable, "-m", "simsearch.cli", "compare", str(own / "0.png"), str(own / "nothing.png")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*command, "--model", FAKE], capture_output=True, env=environment, check=False)
    assert done.returncode == 3
    assert rb"\u56f3" in done.stderr
