"""Kill workers and drivers of `embed --ray` on three nodes and count rows; measure what Ray costs beside; write JSON.

The rows of a run that was killed again and again are compared with those of one machine: lost, doubled, different. The
overhead is in CPU-seconds of all processes, Ray's own included, between a run of few and one of many images.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from simsearch.runtime.provenance import write_record
from simsearch.scale.cluster.ray_pool import be_private

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux
_WORKER = "ray::Worker"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="a folder of photographs")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--kills", type=int, default=20, help="half of workers, half of drivers")
    parser.add_argument("--every", type=float, default=8.0, help="seconds between kills, about")
    parser.add_argument("--shard-inputs", type=int, default=16)
    parser.add_argument("--few", type=int, default=64, help="images of the short run of the overhead; 0 leaves it out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("results/scale/ray.json"))
    arguments = parser.parse_args()
    be_private()
    with tempfile.TemporaryDirectory() as folder:
        values = _measured(arguments, Path(folder))
    write_record(arguments.output, values, verdict=_verdict(values))
    print(json.dumps(values, indent=1))


def _measured(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    embed = ["embed", str(arguments.images.absolute()), "--model", arguments.model, "--workers", "1", "--device", "cpu"]
    subprocess.run(_simsearch(*embed, "--output", folder / "one"), check=True, stdout=subprocess.DEVNULL)
    truth = rows_of(folder / "one")
    values: dict[str, Any] = {"images": len(truth), "settings": _settings(arguments)}

    def command(address: str) -> list[str]:
        told = ["--ray", address, "--shard-inputs", str(arguments.shard_inputs)]
        return _simsearch(*embed, "--output", folder / "many", *told)

    kills = Kills(arguments.kills, arguments.every, arguments.seed)
    with cluster(3) as address:
        told = killed_run(lambda: command(address), kills, _WORKER)
    values["killed"] = {**told, **compared(truth, rows_of(folder / "many"))}
    if arguments.few:
        values["overhead"] = _overhead(arguments, embed, folder)
    return values


class Kills:
    """When whom to kill: workers and drivers in turn, at random moments."""

    def __init__(self, count: int, every: float, seed: int) -> None:
        self.left, self._every, self._random = count, every, random.Random(seed)
        self.done = Counter[str]()

    def pause(self) -> float:
        """Return the seconds until the next."""
        return self._every * self._random.uniform(0.5, 1.5)

    def next(self) -> str:
        """Return whom: worker or driver."""
        return ("worker", "driver")[self.done.total() % 2]

    def choose(self, among: Sequence[int]) -> int:
        """Return one of several."""
        return self._random.choice(list(among))

    def note(self, what: str) -> None:
        """Count one."""
        self.done[what] += 1
        self.left -= 1


def killed_run(command: Callable[[], list[str]], kills: Kills, worker: str) -> dict[str, Any]:
    """Run a command to its end, killing it and its workers meanwhile, and start it again when it was killed."""
    starts, began = 0, time.monotonic()
    while True:
        starts += 1
        with tempfile.TemporaryFile() as said:
            driver = subprocess.Popen(command(), stdout=subprocess.DEVNULL, stderr=said)
            killed = _harassed(driver, kills, worker)
            if driver.returncode == 0:
                return {"kills": dict(kills.done), "starts": starts, "seconds": round(time.monotonic() - began, 1)}
            if not killed:
                said.seek(0)
                raise SystemExit(f"the driver ended by itself: {said.read()[-2000:].decode(errors='replace')}")


def _harassed(driver: subprocess.Popen[bytes], kills: Kills, worker: str) -> bool:
    """Kill workers until the driver ends or it is the driver's turn; return whether it was killed."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            driver.wait(kills.pause() if kills.left else None)
            return False
        if not (found := workers(worker)):  # it has hardly begun
            continue
        if kills.next() == "driver":
            driver.kill()
            driver.wait()
            kills.note("driver")
            return True
        os.kill(kills.choose(found), signal.SIGKILL)
        kills.note("worker")


def workers(name: str) -> list[int]:
    """Return the processes with such a title among those that descend from this one."""
    parents, titles = dict[int, int](), dict[int, str]()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, IndexError, ValueError):
                number = int(entry.name)
                parents[number] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                titles[number] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return sorted(one for one, title in titles.items() if title.startswith(name) and _descends(one, parents))


def _descends(number: int, parents: dict[int, int]) -> bool:
    while number > 1:
        number = parents.get(number, 0)
        if number == os.getpid():
            return True
    return False


@contextmanager
def cluster(nodes: int, *, cpus: int = 1) -> Iterator[str]:
    """Run a cluster of several nodes on this machine, and yield its address."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": cpus, "object_store_memory": 80_000_000}
    running = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            running.add_node(**node)
        running.wait_for_nodes()
        yield running.address
    finally:
        running.shutdown()


def rows_of(folder: Path) -> list[tuple[str, str, str]]:
    """Return path, content and row of every row in a folder, as written."""
    found = []
    for path in sorted(folder.rglob("*.parquet")):
        table = pq.read_table(path)
        if "embedding" in table.column_names:
            columns = (table.column(name).to_pylist() for name in ("path", "sha256", "embedding"))
            found += [(path, sha256, str(row)) for path, sha256, row in zip(*columns, strict=True)]
    return found


def compared(truth: Sequence[tuple[str, ...]], found: Sequence[tuple[str, ...]]) -> dict[str, int]:
    """Return how many rows are lost, doubled and different."""
    times, rows = Counter(one[0] for one in found), {one[0]: one for one in truth}
    return {
        "lost": sum(path not in times for path in rows),
        "doubled": sum(count - 1 for count in times.values()),
        "different": sum(one[0] not in rows or rows[one[0]] != one for one in found),
    }


def _overhead(arguments: argparse.Namespace, embed: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return CPU-seconds of a local run and of one by Ray on one core, each between few and all images."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)  # Ray's daemons come to this process when their driver ends
    few = folder / "few"
    few.mkdir()
    for path in sorted(path for path in arguments.images.rglob("*") if path.is_file())[: arguments.few]:
        shutil.copyfile(path, few / path.name)
    used: dict[str, dict[str, float]] = {}
    for runner, flags in (("local", []), ("ray", ["--ray", "local", "--shard-inputs", "128"])):
        used[runner] = {}
        for size, images in (("few", few), ("all", arguments.images.absolute())):
            output = folder / f"{runner}-{size}"
            command = _simsearch("embed", images, *embed[2:], "--output", output, *flags)
            used[runner][size] = round(_cpu_seconds(["taskset", "-c", "0", *command]), 2)
    after = {runner: each["all"] - each["few"] for runner, each in used.items()}
    return {"cpu_seconds": used, "share": round(after["ray"] / after["local"] - 1, 4), "goal": 0.10}


def _cpu_seconds(command: Sequence[str]) -> float:
    before = _children()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _simsearch(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "simsearch.cli", *map(str, arguments), "--quiet"]


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("model", "kills", "every", "shard_inputs", "few", "seed")
    return {"nodes": 3, "cpus_a_node": 1, **{name: getattr(arguments, name) for name in names}}


def _verdict(values: dict[str, Any]) -> str:
    killed = values["killed"]
    told = [
        f"{killed['lost']} rows lost, {killed['doubled']} doubled, {killed['different']} different after "
        f"{sum(killed['kills'].values())} kills of workers and drivers on three nodes"
    ]
    if "overhead" in values:
        told.append(f"overhead of Ray {values['overhead']['share']:.1%} of CPU-seconds (goal 10 %)")
    return "; ".join(told)


if __name__ == "__main__":
    main()
