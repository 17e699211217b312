"""Hamming search on the device: one query and a batch over many codes of 96 bits, beside FAISS's binary GPU index."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

from goals import Measured, judge
from proof.limits import ceilings
from proof.stage import Finding, Run, Stage, is_measured
from proof.timing import rate, seconds
from simsearch.search.exact import knn

K, BITS = 10, 96
BATCH = 4096


def work(run: Run) -> Finding:
    """Our rates first, then FAISS's in a process of its own: one failure costs not the other."""
    count, batch, many = run.size(100_000_000, 20_000), run.size(BATCH, 16), run.size(1_000_000_000, 30_000)
    ours = run.part("ours", 20, lambda: _ours(run, count, batch))
    billion = run.part("billion", 15, lambda: _ours(run, many, 1))
    peer = run.part("faiss", 60, lambda: _peer(run, count, batch))
    values = {"codes": count, "bits": BITS, "batch": batch, "k": K, "ours": ours, "billion": billion, "faiss": peer}
    bounds = ceilings(run.device, toy=run.toy)
    goals = () if run.toy else (*_judged(ours, peer), *_bounded(ours, billion, bounds, many))
    told = [f"{goal.goal}: {goal.value:.3g} ({'met' if goal.met else 'missed'})" for goal in goals]
    if is_measured(ours):
        told.append(f"one query {1e3 * ours['one_seconds']:.2f} ms, batch {ours['batch_gpairs']:.1f} G pairs/s")
    return Finding("; ".join(told) or "nothing was measured", values, goals)


def _judged(ours: Any, peer: Any) -> list[Measured]:
    if not (is_measured(ours) and is_measured(peer)):
        return []
    note = f"{peer['batch_queries']} queries by FAISS"
    return [
        judge("G10", peer["one_seconds"] / ours["one_seconds"], note="1e8 codes"),
        judge("G12", ours["batch_gpairs"] / peer["batch_gpairs"], part="over GpuIndexBinaryFlat", note=note),
    ]


def _bounded(ours: Any, billion: Any, bounds: dict[str, Any], count: int) -> list[Measured]:
    """How near our rates come to reading each code once, and to the device's popcounts."""
    goals = []
    if is_measured(billion) and is_measured(bounds["copy_bytes"]):
        read = count * BITS / 8 / billion["one_seconds"] / bounds["copy_bytes"]["median"]
        goals.append(judge("G11", read, note="1e9 codes"))
    if is_measured(ours) and is_measured(bounds["popcount32"]):
        counted = 1e9 * ours["batch_gpairs"] * BITS / 32 / bounds["popcount32"]["median"]
        goals.append(judge("G12", counted, part="over the popcount limit"))
    return goals


def _ours(run: Run, count: int, batch: int) -> dict[str, Any]:
    """Rates with the codes on the device; a planted copy of each query must come first."""
    generator = torch.Generator(run.device).manual_seed(0)
    shape = {"dtype": torch.uint8, "device": run.device, "generator": generator}
    codes = torch.randint(0, 256, (count, BITS // 8), **shape)
    queries = torch.randint(0, 256, (batch, BITS // 8), **shape)
    places = torch.linspace(0, count - 1, batch, device=run.device).long()
    codes[places] = queries
    search = partial(knn, blocks=[codes], k=K, metric="hamming", device=str(run.device))
    found = search(queries)
    right = float((found.positions[:, 0] == places.cpu().numpy()).mean())
    assert right == 1, f"planted copies found first: {right:.4f}"
    one = seconds(lambda: search(queries[:1]), run.device)
    many = seconds(lambda: search(queries), run.device)
    return {
        "planted_found_first": right,
        "one_seconds": statistics.median(one),
        "batch_seconds": statistics.median(many),
        "batch_gpairs": batch * count / statistics.median(many) / 1e9,
        "spread": {"one": rate(1, one), "batch": rate(batch, many)},
    }


def _peer(run: Run, count: int, batch: int) -> dict[str, Any]:
    """The same by GpuIndexBinaryFlat, without torch in the process."""
    command = [sys.executable, str(Path(__file__).with_name("hamming_faiss_child.py"))]
    command += ["--codes", str(count), "--queries", str(batch), "--bits", str(BITS)]
    command += ["--cpu"] if run.device.type == "cpu" else []
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-500:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


STAGE = Stage(
    "hamming",
    "How fast are 96-bit codes compared on the GPU, one query and many, beside FAISS's binary index?",
    "100,000,000 codes of 96 bits made on the device, 1 and 4,096 queries; 1,000,000,000 codes, one query",
    minutes=2,
    value=60,
    work=work,
    faiss=True,
)
