"""An index over generated rows, from a million to a billion, in the memory of one GPU (goal G23)."""

from __future__ import annotations

from typing import Any

from billion_rows import goals_of, measure, told
from proof.stage import Finding, Run, Stage, is_measured

DIMENSION, CODE = 256, 64
SECONDS = {10**6: 40, 10**7: 40, 10**8: 110, 10**9: 500}
"""What each number of rows may take; the last is for a call of its own, with the others kept from an earlier one."""
TOY = 2000


def work(run: Run) -> Finding:
    """Each number of rows, the smallest first, so that a failure at a billion leaves the others."""
    values: dict[str, Any] = {}
    for count, seconds in SECONDS.items():
        values[f"{count:.0e}".replace("+0", "")] = run.part(f"{count:.0e}", seconds, lambda n=count: _one(run, n))
        if run.toy:
            run.remaining.clear()
            break
    found = [one for one in values.values() if is_measured(one)]
    goals = tuple(goal for one in found if not run.toy for goal in goals_of(one))
    lines = [told(one) if is_measured(one) else f"{name}: {one['not_measured']}" for name, one in values.items()]
    return Finding("; ".join(lines), {"sizes": values}, goals)


def _one(run: Run, count: int) -> dict[str, Any]:
    if run.toy:
        return measure(TOY, 16, 4, run.device)
    return measure(count, DIMENSION, CODE, run.device)


STAGE = Stage(
    "billion",
    "How long does an index over a billion rows take to build in one GPU's memory, and what does it find?",
    "1e6 to 1e9 rows of 256 values, made on the GPU; product codes of 64 bytes, FAISS on the GPU",
    minutes=4,
    value=82,
    work=work,
    faiss=True,
)
