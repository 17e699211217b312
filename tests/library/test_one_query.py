"""One query of a small library, warm, is the work of one thread: whoever waits for another waits for its turn too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.library.rows import library_of_rows
from tests.search.rows import clustered

CHILD = """
import json, sys, threading
from pathlib import Path
import numpy as np
from simsearch.library import Library

def switches():
    me, found = str(threading.get_native_id()), {}
    for task in Path("/proc/self/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        counts = dict(line.split(":") for line in lines if "ctxt_switches" in line)
        if task.name == me:  # other processes may take its core; to wait is its own doing
            del counts["nonvoluntary_ctxt_switches"]
        found[task.name] = sum(map(int, counts.values()))
    return found

opened, told = [], {}
sys.addaudithook(lambda event, what: opened.append(str(what[0])) if event in ("open", "os.listdir") else None)
for name in sys.argv[2:]:
    queries = np.load(f"{sys.argv[1]}/{name}.npy")
    with Library.open(f"{sys.argv[1]}/{name}", device="cpu", prepare=True) as library:
        for query in queries[:5]:
            found = library.search_rows(query, exact=name != "index")
            assert found[0].certified == (name != "index")
        before = switches()
        opened.clear()
        for query in queries[5:]:
            library.search_rows(query, exact=name != "index")
        during, after = list(opened), switches()
        told[name] = during + [task for task in after if after[task] != before.get(task)]
print(json.dumps(told))
"""


def test_it_wakes_no_thread_waits_for_none_and_opens_no_file(tmp_path: Path) -> None:
    counts = {"small": 330, "index": 330, "larger": 10_000}
    for name, count in counts.items():
        rows = clustered(count, 512, seed=0)
        with library_of_rows(tmp_path / name, rows) as library:
            if name == "index":
                library.optimize(recall=0.8, kind="ivf_flat")
        np.save(tmp_path / f"{name}.npy", rows[:25] * np.float16(1.5))
    command = [sys.executable, "-c", CHILD, str(tmp_path), *counts]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout) == {name: [] for name in counts}
