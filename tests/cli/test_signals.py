"""Signals end a command as Ctrl-C does: what was done is kept, no process is left, one line says so."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simsearch.cli import main
from simsearch.extract.embeddings.parquet import read_rows
from simsearch.library import Library
from tests.cli.conftest import Run
from tests.library.helpers import album

SLOW = "tests.cli.slow_job:Slow"
IMAGES = 60
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return album(tmp_path_factory.mktemp("many") / "photos", range(IMAGES))


def started(*arguments: object, told: Path | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "simsearch.cli", *map(str, arguments), "--model", SLOW, "--batch-size", "2"]
    return subprocess.Popen(
        [*command, "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | ({} if told is None else {"TOLD": str(told)}),
    )


def processes_of(session: int) -> list[int]:
    """Those that still run in the session that a command began."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, of = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue
        if int(of) == session and state != "Z":
            found.append(int(folder.name))
    return found


def gone(session: int, seconds: float = 30.0) -> bool:
    until = time.monotonic() + seconds
    while processes_of(session) and time.monotonic() < until:
        time.sleep(0.05)
    return not processes_of(session)


def awaited(child: subprocess.Popen[str], there: Path, pattern: str, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not list(there.glob(pattern)) and child.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


def rows_in(folder: Path) -> list[bytes | None]:
    return [
        path for part in sorted(folder.rglob("part-*.parquet")) for batch in read_rows(part) for path in batch.paths
    ]


def lines_of(err: str) -> list[str]:
    """What was said that is no progress."""
    return [line for line in err.splitlines() if not line.startswith("{")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_index_keeps_what_it_did(number: signal.Signals, many: Path, tmp_path: Path) -> None:
    child = started("index", many, "--library", tmp_path / "l", told=tmp_path / "told")
    awaited(child, tmp_path, "told")
    child.send_signal(number)
    child.send_signal(number)  # a supervisor may say it twice
    out, err = child.communicate(timeout=120)
    assert (child.returncode, out) == (CODES[number], ""), err
    assert len(lines_of(err)) == 1
    assert f"interrupted by {number.name}" in err
    assert gone(child.pid)
    assert main(["verify", "--library", str(tmp_path / "l"), "--deep"]) == 0
    with Library.open(tmp_path / "l") as library:
        assert 0 < len(library) < IMAGES


@pytest.mark.parametrize("to_all", [False, True])
def test_embed_on_several_devices_keeps_what_it_did_and_leaves_nobody(
    run: Run, many: Path, tmp_path: Path, to_all: bool
) -> None:
    rows = tmp_path / "rows"
    command = ("embed", many, "--output", rows, "--device", "cpu,cpu", "--part-rows", "4")
    child = started(*command)
    awaited(child, rows, "*/part-00001.parquet")
    if to_all:
        os.killpg(child.pid, signal.SIGTERM)
    else:
        child.terminate()
    out, err = child.communicate(timeout=120)
    assert (child.returncode, out) == (143, ""), err
    assert len(lines_of(err)) == 1
    assert gone(child.pid, 0.5), "children end before their parent does"
    done = rows_in(rows)
    assert 0 < len(done) < IMAGES
    code, told, err = run(*command, "--model", SLOW, "--workers", 0, "--json")
    assert (code, json.loads(told)["rows"], json.loads(told)["rejected"]) == (0, IMAGES, 0), err
    assert sorted(rows_in(rows)) == sorted({os.fsencode(path) for path in many.iterdir()})


def test_children_end_with_a_parent_that_was_killed(many: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    child = started("embed", many, "--output", rows, "--device", "cpu,cpu", "--part-rows", "4")
    awaited(child, rows, "*/part-00000.parquet")
    assert len(processes_of(child.pid)) > 2
    child.kill()
    child.communicate(timeout=60)
    assert gone(child.pid)
    assert len(rows_in(rows)) < IMAGES


def test_a_pool_of_workers_ends_with_a_parent_that_was_killed() -> None:
    code = (
        "import time\nfrom simsearch.runtime.processes import Pool\nif __name__ == '__main__':\n"
        "    with Pool(2) as pool:\n        list(pool.run(time.sleep, [0.01, 0.01, 60, 60]))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    until = time.monotonic() + 60
    while len(processes_of(child.pid)) < 4 and time.monotonic() < until:  # two, and what multiprocessing starts beside
        time.sleep(0.05)
    time.sleep(0.5)
    child.kill()
    child.wait()
    assert gone(child.pid)


def test_signals_that_are_ignored_from_outside_stay_so(many: Path, tmp_path: Path) -> None:
    """As under nohup."""
    child = subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-m", "simsearch.cli", "index",
         *map(str, many.glob("*0.png")), "--library", str(tmp_path / "l"), "--model", SLOW, "--workers", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    awaited(child, tmp_path / "l", "manifest.sqlite")
    child.send_signal(signal.SIGHUP)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 0, err


def killed_at_random(many: Path, folder: Path, command: list[object], seed: int) -> int | None:
    """Run a command, send it a signal at some moment, and return its exit code; nothing of it is left running."""
    rng = random.Random(seed)
    number = rng.choice([*CODES, signal.SIGKILL])
    child = started(*command)
    time.sleep(rng.uniform(0.5, 6))
    if rng.random() < 0.5:
        child.send_signal(number)
    elif child.poll() is None:
        os.killpg(child.pid, number)
    _, err = child.communicate(timeout=120)
    assert gone(child.pid), (seed, number)
    # Before Python has reached our first line a signal ends the process in its own way.
    assert child.returncode in (0, CODES.get(number), -number), (seed, number, err)
    if child.returncode in CODES.values():
        assert "Traceback" not in err, (seed, number, err)
    return child.returncode


@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 40), marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["index", "embed"])
def test_signals_at_random_moments_lose_nothing(run: Run, many: Path, tmp_path: Path, kind: str, seeds: range) -> None:
    for seed in seeds:
        folder = tmp_path / str(seed)
        target = "--library" if kind == "index" else "--output"
        command: list[object] = [kind, many, target, folder, "--device", "cpu,cpu"]
        killed_at_random(many, folder, command, seed)
        if kind == "index" and folder.exists():
            main(["index", str(many / "0000.png"), "--library", str(folder), "--model", SLOW, "--workers", "0"])
            assert main(["verify", "--library", str(folder), "--deep"]) == 0
        code, out, err = run(*command, "--model", SLOW, "--workers", 0, "--json")
        assert code == 0, err
        if kind == "index":
            assert json.loads(out)["library_size"] == IMAGES
        else:
            assert sorted(rows_in(folder)) == sorted({os.fsencode(path) for path in many.iterdir()})


@pytest.mark.parametrize("number", list(CODES))
@pytest.mark.parametrize("when", ["in the command", "while it is told", "at the very end"])
@pytest.mark.parametrize("command", ["index", "verify", "query"])
def test_the_exit_code_is_that_of_the_first_signal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    when: str,
    command: str,
) -> None:
    """Wherever KeyboardInterrupt comes up, also a second time."""
    from simsearch import cli

    note = cli.terminal.note

    def stopped(arguments: object) -> int:
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            time.sleep(0.2)
        return 0

    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", stopped)
    if when == "while it is told":
        monkeypatch.setattr(cli.terminal, "note", lambda text: (note(text), interrupted()))
    if when == "at the very end":
        monkeypatch.setattr(cli.terminal, "finish", interrupted)
    assert main([command, "x"]) == CODES[number]
    assert ("goes on from there" in capsys.readouterr().err) == (command == "index")
