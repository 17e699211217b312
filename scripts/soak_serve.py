"""Ask a service of pictures many times, of all kinds, and record the memory that it takes; write a JSON record.

Look-ups by item, uploads, facts of items, small pictures, checks against a list, pages, and requests that are refused,
over several connections. The goal is --requests 100000: after the first tenth the memory must not grow.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from http_load import closed, get, post
from serve_process import command_for, resident, serving
from simsearch.library import Library
from simsearch.runtime.provenance import write_record

PICTURES, ROUNDS, WARM = 200, 50, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--lines", type=int, default=4, help="connections")
    parser.add_argument("--output", type=Path, default=Path("results/serve/soak.json"))
    arguments = parser.parse_args()
    began, statuses, memory = time.perf_counter(), Counter[int](), []
    with tempfile.TemporaryDirectory(dir="runs" if Path("runs").is_dir() else None) as folder:
        library = library_of(Path(folder))
        requests, each = mixed(Path(folder)), max(1, arguments.requests // ROUNDS)
        with serving(command_for(library, "--device", "cpu")) as (process, port):
            for _ in range(ROUNDS):
                done = closed(port, requests, lines=arguments.lines, seconds=float("inf"), most=each)
                statuses += done.statuses
                memory.append(resident(process.pid, "RssAnon"))
                np.random.default_rng(len(memory)).shuffle(requests)
    values: dict[str, Any] = {
        "requests": sum(statuses.values()),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "seconds": round(time.perf_counter() - began, 1),
        "mib_own": memory,
        **growth(memory, each),
        "cores": sorted(os.sched_getaffinity(0)),
    }
    verdict = (
        f"{values['requests']:,} requests, {statuses[500]} faults: {values['mib_warm']:,.0f} MiB after a tenth, "
        f"{values['mib_last']:,.0f} at the end, {values['mib_a_thousand_requests']:+.3f} a thousand requests"
    )
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def growth(memory: list[float], each: int) -> dict[str, float]:
    """The memory after the first tenth, at the end, and its slope between, of rounds of so many requests."""
    warm = memory[int(WARM * len(memory)) :]
    slope = float(np.polyfit(np.arange(len(warm)), warm, 1)[0]) if len(warm) > 1 else 0.0
    return {"mib_warm": warm[0], "mib_last": memory[-1], "mib_a_thousand_requests": round(1000 * slope / each, 4)}


def picture(seed: int) -> Image.Image:
    """A small picture of coloured fields."""
    fields = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(fields).resize((320, 240), Image.Resampling.BICUBIC)


def library_of(folder: Path) -> Path:
    """A library of pictures with a block list."""
    (folder / "pictures").mkdir()
    for seed in range(PICTURES):
        picture(seed).save(folder / "pictures" / f"{seed}.jpg", quality=85)
    with Library.create(folder / "library", model="mini", device="cpu") as library:
        library.add(folder / "pictures")
        library.create_list("blocked", "block")
        library.add_to_list("blocked", [folder / "pictures" / "0.jpg"])
    return folder / "library"


def mixed(folder: Path) -> list[bytes]:
    """Requests of all kinds."""
    found = []
    for i in range(PICTURES):
        data = (folder / "pictures" / f"{i}.jpg").read_bytes()
        buffer = BytesIO()
        picture(i + PICTURES).save(buffer, "PNG")
        found += [
            *(post("/v1/search", json.dumps({"id": i, "k": k}).encode()) for k in (1, 10)),
            post("/v1/search/batch", json.dumps({"ids": [i, (i + 7) % PICTURES]}).encode()),
            post("/v1/search?k=3", data, "image/jpeg"),
            get(f"/v1/items/{i}"),
            get(f"/v1/items/{i}/thumbnail?side={64 + i}"),
        ]
        if i % 4 == 0:
            found += [
                post("/v1/search", buffer.getvalue(), "image/png"),
                post("/v1/check?max_distance=0.1", data, "image/jpeg"),
                post("/v1/search", b"no picture", "image/jpeg"),
                post("/v1/search", b"{", "application/json"),
                post("/v1/search", b'{"id": 999999}', "application/json"),
                post("/v1/items", data, "image/jpeg"),
                *(get(path) for path in ("/", "/library", "/metrics", "/readyz", "/none", "/openapi.json")),
            ]
    return found


if __name__ == "__main__":
    main()
