"""Measure `simsearch index --rows` (performance goal S5), the whole command: time a row, memory, bytes written.

Two files of as many rows of the default model's length: one as `simsearch embed` writes it, and a plain one with a list
column and a single row group. Each is indexed into a new library, from the start of Python to its end. Byte code is
kept from the first run on, which does not count, as that of an installed package is.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from goals import judge
from simsearch.extract.zoo.card import load_card
from simsearch.extract.zoo.find import find_model
from simsearch.runtime.provenance import write_record

AT_ONCE = 4096
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("results/rows.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "runs" if Path("runs").is_dir() else None) as folder:
        files = {"embed": Path(folder) / "embed.parquet", "plain": Path(folder) / "plain.parquet"}
        write(files["embed"], arguments.rows)
        table = pq.read_table(files["embed"], columns=["path", "sha256", "embedding"])
        plain = table.set_column(2, "embedding", table.column("embedding").cast(pa.list_(pa.float32())))
        pq.write_table(plain, files["plain"], row_group_size=arguments.rows)
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in files}
        environment = keeping_byte_code(Path(folder))
        for number in range(arguments.rounds + 1):
            for name, file in files.items():
                run = indexed(file, Path(folder) / "rows.library", arguments.rows, environment)
                runs[name] += [run] if number else []
    values = {
        name: {key: statistics.median(run[key] for run in each) for key in each[0]} for name, each in runs.items()
    }
    worst = {key: max(value[key] for value in values.values()) for key in values["embed"]}
    took, cpu = worst["microseconds_a_row"], worst["cpu_microseconds_a_row"]
    goals = [
        judge("S5", took, part="microseconds a row", note=f"{1e6 / took:,.0f} rows a second; {cpu:.1f} of CPU time"),
        judge("S5", worst["mib_resident"], part="MiB resident"),
        judge("S5", worst["written_over_library"], part="bytes written over the library's"),
    ]
    verdict = f"index --rows: {1e6 / took:,.0f} rows a second, {worst['mib_resident']:.0f} MiB resident, "
    verdict += f"{worst['written_over_library']:.2f} times the library written; the worse of two files"
    told = {"rows": arguments.rows, "goals": [goal.to_dict() for goal in goals], "files": values, "runs": runs}
    write_record(arguments.output, {**told, "load_after": os.getloadavg()[0]}, verdict=verdict)
    print(verdict)


def write(path: Path, count: int) -> None:
    """A file of distinct images' rows: sparse and not negative, as those of a network that ends in a rectifier."""
    card, rng = load_card(find_model("mini")), np.random.default_rng(0)
    row = pa.list_(pa.float32(), card.dimension)
    kinds = [pa.string(), pa.string(), pa.string(), pa.int32(), pa.int32(), pa.int16(), row]
    names = ["path", "path_b64", "sha256", "width", "height", "quality", "embedding"]
    schema = pa.schema(zip(names, kinds, strict=True), {"model": card.name, "fingerprint": card.fingerprint})
    with pq.ParquetWriter(path, schema, write_page_checksum=True) as writer:
        for start in range(0, count, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, count))
            shape = (len(numbers), card.dimension)
            rows = (rng.gamma(0.3, size=shape) * (rng.random(shape) < 0.7)).astype(np.float32)
            columns: list[Any] = [
                [f"/photos/{i // 1000:04d}/{i:08d}.jpg" for i in numbers],
                [None] * len(numbers),
                [hashlib.sha256(str(i).encode()).hexdigest() for i in numbers],
                *([value] * len(numbers) for value in (640, 480, 85)),
            ]
            arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds[:-1], strict=True)]
            arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), card.dimension))
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def keeping_byte_code(folder: Path) -> dict[str, str]:
    """The environment, but that byte code is kept in a folder, whatever it said."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "byte_code")}


def indexed(file: Path, library: Path, count: int, environment: dict[str, str]) -> dict[str, float]:
    """What one command took."""
    subprocess.run(["rm", "-rf", library], check=True)
    os.sync()
    command = [sys.executable, "-m", "simsearch.cli", "index", "--rows", file, "--library", library, "--quiet"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    told: dict[str, int] = {}
    watcher = threading.Thread(target=watch, args=(process.pid, told))
    watcher.start()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    watcher.join()
    assert status == 0
    size = sum(path.stat().st_size for path in library.rglob("*") if path.is_file())
    assert size > 0
    return {
        "microseconds_a_row": round(1e6 * seconds / count, 2),
        "cpu_microseconds_a_row": round(1e6 * (used.ru_utime + used.ru_stime) / count, 2),
        "mib_resident": round(told["VmHWM"] / MIB * 1024, 1),
        "written_over_library": round(told["write_bytes"] / size, 4),
        "library_bytes": size,
    }


def watch(pid: int, told: dict[str, int]) -> None:
    """Keep the bytes that a process has written and the most KiB that it held, as the kernel counts them, to its end.

    The largest size that `wait4` tells is at least that of the process which started it.
    """
    while True:
        try:
            text = Path(f"/proc/{pid}/io").read_text() + Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        facts = dict(line.split(":", 1) for line in text.splitlines())
        if "VmHWM" not in facts:  # it has ended
            return
        for name in ("write_bytes", "VmHWM"):
            told[name] = max(told.get(name, 0), int(facts[name].split()[0]))
        time.sleep(0.02)


if __name__ == "__main__":
    main()
