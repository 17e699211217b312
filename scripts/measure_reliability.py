"""Try a library hard from outside: mutants, kills, readers beside a writer, full disks, hostile files.

Every section can be run alone and is merged into the record when it ends. A count of what must not happen is 0 in each;
the exit status is 1 where it is not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from simsearch.library import Library  # noqa: E402
from simsearch.runtime.provenance import provenance, write_record  # noqa: E402
from tests.fake import FakeExtractor  # noqa: E402
from tests.library.full_disks import COMMANDS, fill, small_disk, trial  # noqa: E402
from tests.library.helpers import HERE, album, live_paths, make  # noqa: E402
from tests.library.mutant_run import run  # noqa: E402
from tests.library.test_crash import Trial  # noqa: E402

READERS = 8
ROOMS = (0, 512, *(4096 * n for n in (1, 4, 8, 9, 12, 16, 20, 24, 32, 48, 64)))  # bytes left on the full disk
SPOKEN_ROOMS = (0, 32 << 10)
SPOKEN = {  # of the command line, which names an error in its last line
    "index": ["index", "{photos}", "--model", "dhash", "--rescan"],
    "remove": ["remove", "{photos}/0003.png"],
    "purge": ["remove", "{photos}/0004.png", "--purge"],
    "optimize": ["optimize", "--recall", "0.5", "--kind", "flat"],
}
PATIENCE_S = 600
SHOWN = 20
KEPT = {"added", "unchanged", "exact_copies", "replaced", "rejected"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--mutants", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60, help="how long readers look")
    parser.add_argument("--data", type=Path, help="a folder of hostile images; without it that section is left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("results/reliability.json"))
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"no section is called {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    bad = 0
    for name in arguments.sections or SECTIONS:
        if name == "hostile" and arguments.data is None:
            told("hostile: left out, since no --data is given")
            continue
        began = time.perf_counter()
        values = SECTIONS[name](arguments)
        values |= {"seconds": round(time.perf_counter() - began), "measured": provenance()}
        bad += values["bad"]
        keep(arguments.output, name, values)
        told(f"{name}: {values['bad']} bad; kept in {arguments.output}")
    raise SystemExit(bad > 0)


def keep(path: Path, name: str, values: dict[str, Any]) -> None:
    """Merge one section into the record."""
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    sections = {key: record[key] for key in SECTIONS if key in record} | {name: values}
    verdict = "; ".join(f"{key}: {one['tried']:,} tried, {one['bad']} bad" for key, one in sections.items())
    write_record(path, sections, verdict=verdict)


def mutants(arguments: argparse.Namespace) -> dict[str, Any]:
    """Libraries with one byte run, file or value wrong, looked at in every way."""
    done = run(arguments.mutants, seed=arguments.seed, tell=every(100, "mutants", arguments.mutants))
    wrong = [one for one in done if one["wrong"]]
    text = [str(one["wrong"]) for one in wrong]
    return {
        "tried": len(done),
        "bad": len(wrong),
        "crashes": sum("crash: exit" in line for line in text),
        "hangs": sum("'hang " in line for line in text),
        "tracebacks": sum("Error: " in line and "crash" not in line for line in text),
        "kinds": dict(Counter(one["what"].split(":")[0] for one in done)),
        "first_noticed_by": dict(Counter(one.get("noticed", "died") for one in done)),
        "of_them": wrong[:SHOWN],
    }


def kills(arguments: argparse.Namespace) -> dict[str, Any]:
    """A writer killed at random moments; after each kill nothing acknowledged may be missing, doubled or torn."""
    rng, failures = np.random.default_rng(arguments.seed), []
    tell = every(50, "kills", arguments.kills)
    with in_memory() as place:
        (place / "photos").mkdir()
        writer = Trial(place)
        for number in range(arguments.kills):
            try:
                writer.run(until=writer.done + int(rng.integers(3)), share=float(rng.uniform(0, 1.5)))
                writer.check(deep=number % 10 == 9)
            except Exception as error:
                failures.append(f"kill {number}: {type(error).__name__}: {str(error)[:300]}")
            tell(number + 1)
        return {
            "tried": arguments.kills,
            "bad": len(failures),
            "operations": writer.done + 1,
            "of_them": failures[:SHOWN],
        }


def readers(arguments: argparse.Namespace) -> dict[str, Any]:
    """Readers in processes of their own beside a library that is written, pruned and merged all the time.

    Items come and go in pairs, so that every commit holds an even number, each path once.
    """
    context = multiprocessing.get_context("spawn")
    with in_memory() as place:
        library = make(place / "library")
        library.add(album(place / "first", (1000, 1001)), settings=HERE)
        stop, ready, answers = context.Event(), context.Semaphore(0), context.Queue()
        given = (place / "library", stop, ready, answers)
        children = [context.Process(target=read, args=given) for _ in range(READERS)]
        for child in children:
            child.start()
        for _ in children:
            assert ready.acquire(timeout=PATIENCE_S), "a reader did not start"
        end, commits = time.monotonic() + arguments.seconds, 0
        while time.monotonic() < end:
            pair = album(place / "pairs" / str(commits), (2 * commits, 2 * commits + 1))
            library.add(pair, settings=HERE)
            if commits % 3 == 2:
                library.remove(pair)
            if commits % 5 == 4:
                library.optimize()
            commits += 1
        stop.set()
        told_by = [answers.get(timeout=PATIENCE_S) for _ in children]
        for child in children:
            child.join()
    failures = [line for _, lines in told_by for line in lines]
    looks = sum(count for count, _ in told_by)
    return {
        "tried": looks,
        "bad": len(failures),
        "readers": READERS,
        "writes": commits,
        "of_them": failures[:SHOWN],
    }


def read(folder: Path, stop: Any, ready: Any, answers: Any) -> None:
    """Look until told to stop; also search, and verify now and then."""
    looks, failures = 0, []
    extractor = FakeExtractor()
    row = extractor.embed([np.full((9, 9, 3), 77, np.uint8)])
    Library.open(folder, device="cpu").search_rows(row, k=5)  # which also imports and compiles
    ready.release()
    while not stop.is_set():
        looks += 1
        try:
            with Library.open(folder, extractor=extractor, device="cpu") as library:
                paths = live_paths(library)
                found = library.search_rows(row, k=5)
                if len(paths) % 2 or len(set(paths)) != len(paths):
                    failures.append(f"{len(paths)} items, {len(set(paths))} paths")
                if len(found[0].matches) != min(5, len(paths)):
                    failures.append(f"{len(found[0].matches)} matches of {len(paths)} items")
                if looks % 20 == 0 and (problems := library.verify()):
                    failures.append(f"verify: {problems[0]}")
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
    answers.put((looks, failures))


def disks(_: argparse.Namespace) -> dict[str, Any]:
    """Every write on a disk with little or no room: done, or refused by its name; then nothing is lost."""
    failures: list[str] = []
    ends = Counter[str]()
    with in_memory() as place:
        for command in COMMANDS:
            for room in ROOMS:
                try:
                    ends[trial(place / f"{command}-{room}", command, room)] += 1
                except PermissionError as error:
                    return {"tried": 0, "bad": 0, "left_out": str(error)}
                except Exception as error:
                    failures.append(f"{command} with {room} bytes left: {type(error).__name__}: {str(error)[:300]}")
            told(f"disks: {command}: {dict(ends)}, {len(failures)} bad")
        sound = place / "sound"
        photos = album(place / "photos", range(30))
        assert simsearch(["index", str(photos), "--model", "dhash"], sound).returncode == 0
        for name, words in SPOKEN.items():
            for room in SPOKEN_ROOMS:
                with small_disk(place / "spoken") as disk:
                    end, wrong = on_full_disk([word.format(photos=photos) for word in words], sound, disk, room)
                ends[f"exit {end}"] += 1
                failures += [f"simsearch {name} with {room} bytes left: {line}" for line in wrong]
            told(f"disks: simsearch {name}: {len(failures)} bad")
    tried = len(COMMANDS) * len(ROOMS) + len(SPOKEN) * len(SPOKEN_ROOMS)
    return {"tried": tried, "bad": len(failures), "ends": dict(ends), "of_them": failures[:SHOWN]}


def on_full_disk(words: list[str], sound: Path, disk: Path, room: int) -> tuple[int, list[str]]:
    """The exit status of a command on a disk with so many bytes left, and what is wrong with it and afterwards."""
    library, ballast = disk / "library", disk / "ballast"
    shutil.copytree(sound, library)
    fill(ballast, room)
    said = simsearch(words, library)
    ballast.unlink()
    wrong = []
    last = (said.stderr.strip().splitlines() or [""])[-1]
    if said.returncode not in (0, 3) or "Traceback" in said.stderr or (said.returncode == 3 and "room" not in last):
        wrong.append(f"exit {said.returncode}: {last[:300]}")
    for step in ([] if said.returncode == 0 else [words]) + [["verify", "--deep"]]:
        again = simsearch(step, library)
        gone = words[0] == "remove" and "has no" in again.stderr  # a purge that had removed before there was no room
        if again.returncode != 0 and not gone:
            wrong.append(f"with room again {step[0]}: exit {again.returncode}: {(again.stdout + again.stderr)[-300:]}")
    return said.returncode, wrong


def hostile(arguments: argparse.Namespace) -> dict[str, Any]:
    """Images made to break decoders: each is a row or a reject, and the library is sound."""
    failures: list[str] = []
    with in_memory() as place:
        words = ["index", str(arguments.data.resolve()), "--model", "dhash", "--json"]
        said = simsearch(words, place / "library", patience=6 * PATIENCE_S)
        if said.returncode != 0:
            failures.append(f"exit {said.returncode}: {said.stderr.strip()[-300:]}")
        counts = json.loads(said.stdout.splitlines()[-1]) if said.stdout.strip() else {}
        files = sum(map(images_in, arguments.data.rglob("*")))
        ended = sum(counts.get(key, 0) for key in KEPT) + counts.get("skipped", 0)
        if ended != files:
            failures.append(f"{ended} outcomes of {files} files")
        if simsearch(["verify", "--deep"], place / "library").returncode != 0:
            failures.append("the library is not sound")
    return {"tried": files, "bad": len(failures), "counts": counts, "of_them": failures}


def images_in(path: Path) -> int:
    """How many inputs a path is: a tar has as many as members, other files are one."""
    if not path.is_file() or path.name.startswith("."):
        return 0
    if path.suffix == ".tar" and tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            return sum(member.isfile() for member in archive)
    return 1


def simsearch(words: list[str], library: Path, *, patience: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    """Run a command on a library."""
    command = [sys.executable, "-m", "simsearch.cli", *words, "--library", str(library)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=patience, check=False)


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder whose files need not be waited for."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as place:
        yield Path(place)


def every(step: int, what: str, of: int) -> Callable[[int], None]:
    """A callable that tells progress."""
    return lambda count: told(f"{what}: {count:,} of {of:,}") if count % step == 0 else None


def told(line: str) -> None:
    """Print a line that is no result."""
    print(line, file=sys.stderr, flush=True)


SECTIONS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "mutants": mutants,
    "kills": kills,
    "readers": readers,
    "disks": disks,
    "hostile": hostile,
}

if __name__ == "__main__":
    main()
