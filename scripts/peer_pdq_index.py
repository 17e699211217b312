"""Ask an index of PDQ codes of `threatexchange`; run by measure_serve.py, in an environment that has it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from threatexchange.signal_type.pdq.pdq_index import PDQIndex
from threatexchange.signal_type.pdq.pdq_index2 import PDQIndex2

CHECKED = 64  # look-ups whose answers are compared
AT_ONCE = 1 << 16


def main() -> None:
    name, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    codes, asked = (np.load(folder / f"{what}.npy") for what in ("codes", "asked"))
    index = {"PDQIndex": PDQIndex, "PDQIndex2": PDQIndex2}[name]()
    began = time.perf_counter()
    for start in range(0, len(codes), AT_ONCE):
        some = codes[start : start + AT_ONCE]
        index.add_all([(code.tobytes().hex(), start + i) for i, code in enumerate(some)])
    built = time.perf_counter() - began
    del codes
    texts = [code.tobytes().hex() for code in asked]
    matches = [[int(match.metadata) for match in index.query(text)] for text in texts[:CHECKED]]
    times, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        begun = time.perf_counter()
        index.query(texts[len(times) % len(texts)])
        times.append(time.perf_counter() - begun)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    told = {
        "build_seconds": round(built, 1),
        "lookups_a_second": round(len(times) / sum(times), 1),
        "p50_ms": round(1000 * float(np.percentile(times, 50)), 3),
        "p99_ms": round(1000 * float(np.percentile(times, 99)), 3),
        "mib_resident": round(int(status["VmRSS"].split()[0]) / 1024, 1),
        "matches": matches,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
