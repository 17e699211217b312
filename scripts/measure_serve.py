"""Measure the service over loopback HTTP, and write a JSON record.

Look-ups a second of PDQ codes within 31 bits, one at a time and in batches of 64, exact, the middle of five rounds,
with the memory that it takes; and what it does at four times the load that it can bear. It is the command `simsearch
serve` in a process of its own, on one core where there are two or more; the load comes from this process, on another.
Answers to some codes are compared with a count of differing bits. For the overload a request is 20 ms of work without
Python's lock, one at a time, whatever the library, which is one of 10,000 codes. With --peer-python the PDQ indexes of
`threatexchange` are asked the same of the first --peer-codes, in their own environment, on one core and without HTTP.
The goal is --codes 10000000.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
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

from http_load import Outcome, at_rate, closed, get, post
from serve_process import command_for, resident, serving, told
from simsearch.library import Library
from simsearch.runtime.provenance import write_record

BITS, WITHIN, BATCH, WORK_S, AT_ONCE, FEW, ROUNDS = 256, 31, 64, 0.02, 1 << 17, 10_000, 5
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--lines", type=int, default=8, help="connections")
    parser.add_argument("--queue", type=int, default=16, help="places of the service under overload")
    parser.add_argument("--peer-python", type=Path, help="of an environment that has threatexchange and faiss-cpu")
    parser.add_argument("--peer-codes", type=int, default=1_000_000, help="theirs take minutes to build")
    parser.add_argument("--output", type=Path, default=Path("results/serve/serve.json"))
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        serve_work(arguments.work, arguments.queue)
        return
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir="runs" if Path("runs").is_dir() else None) as folder:
        codes = np.random.default_rng(0).integers(0, 256, (arguments.codes, BITS // 8), np.uint8)
        library = library_of(codes, Path(folder))
        values: dict[str, Any] = {
            "codes": arguments.codes,
            "within_bits": WITHIN,
            "batch": BATCH,
            "lines": arguments.lines,
        }
        values["lookups"] = lookups(library, codes, arguments.seconds, arguments.lines)
        print(json.dumps(values["lookups"]), flush=True)
        (Path(folder) / "few").mkdir()
        values["overload"] = overload(library_of(codes[:FEW], Path(folder) / "few"), arguments.seconds, arguments.queue)
        if arguments.peer_python:
            some = codes[: arguments.peer_codes]
            values["peer_codes"] = len(some)
            values["peers"] = peers(arguments.peer_python, some, Path(folder), arguments.seconds)
    values |= {"cores": sorted(os.sched_getaffinity(0)), "load_before_and_after": [load_before, os.getloadavg()[0]]}
    looked, over = values["lookups"], values["overload"]
    verdict = (
        f"{arguments.codes:,} PDQ codes within {WITHIN} bits, exact, {looked['mib_resident']:,.0f} MiB: "
        f"{looked['single']['lookups_a_second']:,.0f} look-ups a second one at a time, "
        f"{looked['batches']['lookups_a_second']:,.0f} in batches of {BATCH}; at four times its capacity "
        f"{over['goodput_over_peak']:.0%} of the peak, refused within {over['refused_p99_ms']:.0f} ms (99 %)"
    )
    for name, peer in values.get("peers", {}).items():
        rate, mib, found = peer["lookups_a_second"], peer["mib_resident"], peer["found_of_ours"]
        of = f"{values['peer_codes']:,} codes"
        verdict += (
            f"; threatexchange's {name} of {of}, without HTTP: {rate:,.0f}, {mib:,.0f} MiB, {found:.2%} of what we find"
        )
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def library_of(codes: np.ndarray, folder: Path) -> Path:
    """A library of PDQ codes without images."""
    with Library.create(folder / "codes.library", model="pdq", device="cpu") as library:
        channel = library.channel
        kinds = [pa.string(), pa.string(), pa.list_(pa.uint8(), codes.shape[1])]
        names = ["path", "sha256", "embedding"]
        facts = {"model": channel.model, "fingerprint": channel.fingerprint}
        schema = pa.schema(list(zip(names, kinds, strict=True)), facts)
        with pq.ParquetWriter(folder / "codes.parquet", schema) as writer:
            for start in range(0, len(codes), AT_ONCE):
                some = codes[start : start + AT_ONCE]
                numbers = range(start, start + len(some))
                rows = pa.FixedSizeListArray.from_arrays(pa.array(some.reshape(-1)), codes.shape[1])
                columns = [
                    pa.array([f"/codes/{i}" for i in numbers]),
                    pa.array([hashlib.sha256(str(i).encode()).hexdigest() for i in numbers]),
                    rows,
                ]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        library.add_rows(folder / "codes.parquet")
    return folder / "codes.library"


def lookups(library: Path, codes: np.ndarray, seconds: float, lines: int) -> dict[str, Any]:
    """Look-ups a second, and the memory of the service then."""
    asked = questions(codes)
    command = command_for(library)
    batched = [several(some) for some in asked.reshape(-1, BATCH, codes.shape[1])]
    with serving(command) as (process, port):
        singles = [one(code) for code in asked]
        rounds = [
            (closed(port, singles, lines=lines, seconds=seconds), closed(port, batched, lines=lines, seconds=seconds))
            for _ in range(ROUNDS)
        ]
        checked = check(closed(port, [several(asked[:BATCH])], lines=1, seconds=0, keep=1), asked[:BATCH], codes)
        return {
            "single": middle([told(single, 1) for single, _ in rounds]),
            "batches": middle([told(batches, BATCH) for _, batches in rounds]),
            "mib_resident": resident(process.pid),
            "mib_own": resident(process.pid, "RssAnon"),
            "mib_peak": resident(process.pid, "VmHWM"),
            "answers_checked": checked,
        }


def middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The round of the middle rate, with the rates of all."""
    ordered = sorted(rounds, key=lambda one: one["lookups_a_second"])
    return {**ordered[len(ordered) // 2], "rounds": [one["lookups_a_second"] for one in rounds]}


def questions(codes: np.ndarray) -> np.ndarray:
    """Codes to ask for: half of them are near one that is there, the others are strangers."""
    rng = np.random.default_rng(1)
    asked = rng.integers(0, 256, (2048, codes.shape[1]), np.uint8)
    near = codes[rng.integers(0, len(codes), len(asked) // 2)]
    flips = rng.random((len(near), BITS)) < rng.uniform(0, 0.15, (len(near), 1))
    asked[::2] = near ^ np.packbits(flips, axis=1)
    return asked


def peers(python: Path, codes: np.ndarray, folder: Path, seconds: float) -> dict[str, Any]:
    """Look-ups a second of threatexchange's indexes of the same codes, and the share that they find of what we do."""
    asked = questions(codes)
    np.save(folder / "codes.npy", codes)
    np.save(folder / "asked.npy", asked)
    wanted = [near_by_count(codes, code) for code in asked[:BATCH]]
    found = {}
    core = sorted(os.sched_getaffinity(0))[0]
    for name in ("PDQIndex", "PDQIndex2"):
        command = [str(python), str(Path(__file__).with_name("peer_pdq_index.py")), name, str(folder), str(seconds)]
        command = ["taskset", "-c", str(core), *command] if shutil.which("taskset") else command
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peer = json.loads(done.stdout.splitlines()[-1])
        matches = [set(ids) for ids in peer.pop("matches")]
        ours = sum(map(len, wanted))
        both = sum(len(one & other) for one, other in zip(wanted, matches, strict=True))
        found[name] = {**peer, "found_of_ours": round(both / ours, 4) if ours else 1.0}
    return found


def one(code: np.ndarray) -> bytes:
    """A look-up of one code."""
    return post("/v1/search", json.dumps({"code": code.tobytes().hex(), "max_distance": WITHIN / BITS}).encode())


def several(codes: np.ndarray) -> bytes:
    """Look-ups of many codes in one request."""
    body = {"codes": [code.tobytes().hex() for code in codes], "max_distance": WITHIN / BITS}
    return post("/v1/search/batch", json.dumps(body).encode())


def near_by_count(codes: np.ndarray, code: np.ndarray) -> set[int]:
    """The codes within the radius, by counting all bits."""
    return set(np.flatnonzero(np.bitwise_count(codes ^ code).sum(axis=1) <= WITHIN).tolist())


def check(outcome: Outcome, asked: np.ndarray, codes: np.ndarray) -> int:
    """How many answers are those of a count of differing bits in numpy, which all must be."""
    answers = json.loads(outcome.bodies[0])["answers"]
    for code, answer in zip(asked, answers, strict=True):
        wanted = near_by_count(codes, code)
        assert answer["certified"]
        assert not answer["more"]
        assert {match["id"] for match in answer["matches"]} == wanted
    return len(answers)


def overload(library: Path, seconds: float, queue: int) -> dict[str, Any]:
    """What is answered at four times the load that can be borne, and how soon the rest is refused."""
    command = [sys.executable, __file__, "--work", str(library), "--queue", str(queue)]
    request = [get("/v1/work")]
    with serving(command) as (_, port):
        peak = closed(port, request, lines=4, seconds=seconds)
        capacity = peak.rate()
        loaded = at_rate(port, request, rate=4 * capacity, seconds=seconds)
    assert (set(peak.statuses), set(loaded.statuses) <= {200, 503}) == ({200}, True)
    return {
        "work_ms": 1000 * WORK_S,
        "queue": queue,
        "peak_a_second": round(capacity, 2),
        "asked_a_second": round(4 * capacity, 2),
        "goodput_a_second": round(loaded.rate(), 2),
        "goodput_over_peak": round(loaded.rate() / capacity, 4),
        "answered_p99_ms": round(loaded.percentile(0.99), 2),
        "refused": loaded.statuses[503],
        "refused_p50_ms": round(loaded.percentile(0.5, 503), 2),
        "refused_p99_ms": round(loaded.percentile(0.99, 503), 2),
        "asked_late": loaded.late,
    }


def serve_work(library: Path, queue: int) -> None:
    """Serve a library with one more route, of 20 ms of work: hashing, one request at a time."""
    import uvicorn
    from fastapi import APIRouter, Response

    from simsearch.serve.app import ROUTERS, create_app
    from simsearch.serve.held_library import HeldLibrary
    from simsearch.serve.run import address_of, listening
    from simsearch.serve.settings import ServeSettings
    from simsearch.serve.tokens import Tokens

    router, alone, data = APIRouter(), threading.Lock(), bytes(MIB // 4)

    def work() -> None:
        with alone:
            end = time.thread_time() + WORK_S  # of CPU time, whatever else the core does
            while time.thread_time() < end:
                hashlib.sha256(data).digest()

    @router.get("/v1/work")
    async def labour() -> Response:
        await asyncio.to_thread(work)
        return Response(b"{}", media_type="application/json")

    settings, tokens = ServeSettings(queue=queue), Tokens(write=None)
    held = HeldLibrary(Library.open(library, device="cpu"), settings)
    app = create_app(held, settings, tokens, routers=(*ROUTERS, router))
    listener = listening("127.0.0.1", 0)
    print(json.dumps({"url": address_of(listener)}), flush=True)
    config = uvicorn.Config(app, loop="asyncio", http="h11", ws="none", log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
