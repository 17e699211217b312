"""Looks at mutants in child processes, so that a crash or a hang is one of the outcomes."""

from __future__ import annotations

import json
import resource
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.library.mutants import judge, look, make_sound, mutate

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0  # for one mutant; the first also waits for imports
_BLOAT = 1 << 20  # KiB that no mutant of a small library may add to the memory


Told = dict[str, Any]


def run(count: int, *, seed: int = 0, first: int = 0, tell: Callable[[int], None] = lambda _: None) -> list[Told]:
    """Look at mutants `first` to `first + count` and return what each was, and what must not have come of it."""
    with tempfile.TemporaryDirectory(dir=_memory()) as place:
        folder = Path(place)
        make_sound(folder / "sound")
        done: list[Told] = []
        while len(done) < count:
            at = first + len(done)
            for one in _child(folder, seed, at, first + count):
                done.append(one)
                tell(len(done))
        return done


def _child(folder: Path, seed: int, at: int, end: int) -> Iterator[Told]:
    """What one child says, and that it died or hung if it did."""
    command = [sys.executable, "-m", "tests.library.mutant_run", str(folder), str(seed), str(at), str(end)]
    with (folder / "stderr").open("wb") as errors:
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors)
    assert child.stdout is not None
    with child, selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while at < end:
            ready = selector.select(PATIENCE_S)
            line = child.stdout.readline() if ready else b""
            if not line:
                child.kill()
                child.wait()
                what = f"crash: exit {child.returncode}" if ready else "hang"
                said = (folder / "stderr").read_text(errors="replace").strip().splitlines()[-1:]
                yield {"number": at, "what": _named(folder, seed, at), "wrong": [f"{what} {said}"]}
                return
            yield json.loads(line)
            at += 1


def _named(folder: Path, seed: int, number: int) -> str:
    shutil.rmtree(folder / "again", ignore_errors=True)
    shutil.copytree(folder / "sound", folder / "again")
    return mutate(folder / "again", np.random.default_rng([seed, number]))


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main() -> None:
    folder, seed, at, end = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    mutant = folder / "mutant"

    def fresh() -> Path:
        shutil.rmtree(mutant, ignore_errors=True)
        shutil.copytree(folder / "sound", mutant)
        return mutant

    sound = look(fresh())
    for number in range(at, end):
        what = mutate(fresh(), np.random.default_rng([seed, number]))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seen = look(mutant)
        wrong = judge(seen, sound)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > _BLOAT:
            wrong.append("it took more than a gigabyte of memory")
        by = {"search": seen["exact"][0] == "named", "verify": bool(seen["verify"][1]), "deep": bool(seen["deep"][1])}
        noticed = next((way for way, found in by.items() if found), "none")
        print(json.dumps({"number": number, "what": what, "noticed": noticed, "wrong": wrong}), flush=True)


if __name__ == "__main__":
    main()
