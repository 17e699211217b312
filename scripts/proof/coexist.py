"""Whether torch with its CUDA and FAISS with another work in one process, in either order of import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from proof.stage import Finding, Run, Stage

ORDERS = ("torch,faiss", "faiss,torch", "faiss")
SAME = 0.99
"""Share of neighbours that must agree: the sums of GPU and CPU differ in their last bits, and ties fall either way."""


def work(run: Run) -> Finding:
    """Run every order in a process of its own; a crash is a finding, not a failure."""
    rows, dimension = run.size(100_000, 2_000), run.size(128, 32)
    cpu = run.device.type != "cuda"
    orders = {
        order: run.part(order.replace(",", "-"), 30, lambda o=order: _child(o, rows, dimension, cpu=cpu))
        for order in ORDERS
    }
    verdict = "; ".join(f"{_label(order)}: {_outcome(report)}" for order, report in orders.items())
    one = any(_works(orders[order]) for order in ORDERS[:2])
    values = {
        "rows": rows,
        "dimension": dimension,
        "on": run.device.type,
        "orders": orders,
        "one_process_works": one,
        "separate_process_works": _works(orders["faiss"]),
    }
    return Finding(verdict, values)


def _child(order: str, rows: int, dimension: int, *, cpu: bool) -> dict[str, Any]:
    script = Path(__file__).with_name("coexist_child.py")
    command = [sys.executable, str(script), order, "--rows", str(rows), "--dimension", str(dimension)]
    command += ["--cpu"] if cpu else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": "nothing after 60 s"}
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"failed": f"exit status {done.returncode}: {last[0][:200]}"}
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _works(report: dict[str, Any]) -> bool:
    if "flat" not in report:
        return False
    return bool(report["torch_unchanged"] and min(report["flat"]["same_ids"], report["ivfpq"]["same_ids"]) >= SAME)


def _outcome(report: dict[str, Any]) -> str:
    if "flat" not in report:
        return str(report.get("failed") or report["not_measured"])
    shares = f"flat {report['flat']['same_ids']:.3f}, IVF-PQ {report['ivfpq']['same_ids']:.3f} of the CPU's neighbours"
    return shares if report["torch_unchanged"] else f"{shares}, but torch gave another product afterwards"


def _label(order: str) -> str:
    return {"faiss": "FAISS alone"}.get(order, order.replace(",", " before "))


STAGE = Stage(
    "coexist",
    "Do torch and FAISS GPU work in one process, or does FAISS need one of its own?",
    "100,000 rows of 128 dimensions, flat and IVF-PQ, both orders of import and FAISS alone",
    minutes=2,
    value=100,
    work=work,
    faiss=True,
)
