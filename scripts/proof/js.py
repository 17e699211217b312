"""Search by Jensen-Shannon on the device: tensor cores, exact kernel, certified map, and a published job."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goals import Measured, judge
from proof.js_faiss_child import positive_queries, positive_rows
from proof.limits import ceilings
from proof.stage import Finding, Run, Stage, attempt, is_measured
from proof.timing import alternate, rate, seconds, synchronise
from simsearch.search.exact import knn
from simsearch.search.metrics.base import UNIT, minus_product
from simsearch.search.metrics.js import JensenShannonScore
from simsearch.search.metrics.js_log_sums import log_sums
from simsearch.search.results import Neighbours

K = 10
PUBLISHED = {"seconds": 800.0, "device": "NVIDIA A100", "queries": 43_660, "rows": 500_000, "dimension": 4096}
PAPER_SECONDS = 4.0
TILES = ((16, 32, 16, 8), (16, 64, 8, 4), (32, 64, 8, 8))


def work(run: Run) -> Finding:
    """Rounding of products, kernel, map against cosine and FAISS, and the published job."""
    bounds = ceilings(run.device, toy=run.toy)
    products = run.part("products", 5, lambda: _products(run))
    kernel = run.part("kernel", 20, lambda: _kernel(run, bounds))
    certified = run.part("certified", 50, lambda: _certified(run))
    paper = run.part("paper", 30, lambda: _paper(run))
    values = {"k": K, "products": products, "kernel": kernel, "certified": certified, "paper": paper}
    goals = () if run.toy else tuple(_judged(kernel, certified))
    told = [f"{g.goal} {g.part}: {g.value:.3g} ({'met' if g.met else 'missed'})".replace(" :", ":") for g in goals]
    if is_measured(products) and not run.toy:
        share = products["largest_share_of_margin"]
        told.append(
            f"products err by {share:.3f} of their margin{'' if share <= 1 else ': certificates are NOT valid'}"
        )
    if is_measured(paper) and not run.toy:
        took = paper["resident"]["seconds"]["median"]
        told.append(
            f"published job in {took:.2f} s, all certified, {PUBLISHED['seconds'] / took:.0f} x the published A100"
            f" ({'under' if took < PAPER_SECONDS else 'not under'} {PAPER_SECONDS:g} s)"
        )
    return Finding("; ".join(told) or "a rehearsal: no figure means anything", values, goals)


def _judged(kernel: Any, certified: Any) -> list[Measured]:
    goals = []
    if is_measured(kernel) and "share_of_log2_rate" in kernel:
        goals.append(judge("G5", kernel["share_of_log2_rate"], note=f"tile {kernel['best']}"))
    if is_measured(certified):
        if "over_faiss" in certified:
            note = f"{certified['faiss']['queries']} queries by FAISS, the same rows in float32"
            goals.append(judge("G4", certified["over_faiss"], note=note))
        goals.append(judge("G6", certified["over_cosine"]["median"], part="GPU", note="1e6 x 2048, 1,000 queries"))
    return goals


def _products(run: Run) -> dict[str, Any]:
    """How far products of float16 rows, summed in float32 by tensor cores, are from float64, over what scores allow.

    A score allows 2 u for each term and the sum of the terms' sizes. Beside random rows the rows here are made to lose
    most: one large term among many that are below its last place, and large ones that cancel around small ones.
    """
    shares = {}
    for d in (64, 512, 2048, 4096):
        for name, (a, b) in _hard_rows(d, run.device).items():
            exact = -a.double() @ b.double().T
            allowed = (d + 1) * 2 * UNIT * (a.double().abs() @ b.double().abs().T)
            wrong = (minus_product(a, b).double() - exact).abs()
            shares[f"{name}, {d} terms"] = float((wrong / allowed).max())
    return {"largest_share_of_margin": max(shares.values()), "shares": shares}


def _hard_rows(d: int, device: torch.device) -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs of float16 rows (64, d) and (128, d) whose products are hard to sum."""
    maker = torch.Generator(device).manual_seed(d)
    a, b = (torch.randn((n, d), generator=maker, device=device) for n in (64, 128))
    places = torch.randint(d, (64,), generator=maker, device=device)
    large = torch.full((64, d), 2.0**-12, device=device)
    large[torch.arange(64, device=device), places] = 1.0
    signs = 1.0 - 2.0 * (torch.arange(d, device=device) % 2)
    cancelling = torch.where(torch.arange(d, device=device) % 8 < 2, 256.0 * signs, 2.0**-6 * a)
    pairs = {
        "random": (a, b),
        "positive": (a.abs(), b.abs()),
        "one large": (large, (2.0**-12 + 0 * b).copysign(b).index_fill_(1, places[:1], 1.0)),
        "one large, all positive": (large, torch.where(b.abs() > 0, large.repeat(2, 1), large.repeat(2, 1))),
        "cancelling": (cancelling, torch.where(torch.arange(d, device=device) % 8 < 2, 256.0, 2.0**-6 * b)),
    }
    return {name: (x.half(), y.half()) for name, (x, y) in pairs.items()}


def _kernel(run: Run, bounds: dict[str, Any]) -> dict[str, Any]:
    """Coordinates a second of exact js, beside the rate of log2 alone."""
    q, n, d = run.size(1024, 5), run.size(65_536, 300), run.size(2048, 40)
    p, r = (JensenShannonScore().prepare(_features(run, count, d, seed)).rows for seed, count in enumerate((q, n)))
    sample = log_sums(p[:8], r[:500]).double()
    exact = torch.xlogy(total := p[:8, None].double() + r[None, :500].double(), total).sum(dim=2)
    wrong = float((sample - exact).abs().max())
    if not wrong <= JensenShannonScore().error(d, (0.0, 0.0)):
        raise ArithmeticError(f"the kernel is wrong by {wrong}")
    rates = {"default": rate(q * n * d, seconds(lambda: log_sums(p, r), run.device))}
    if run.device.type == "cuda":
        from simsearch.search.metrics.js_triton import Tile, fused_log_sums

        for tile in (Tile(*each) for each in TILES):
            timed = partial(fused_log_sums, p, r, tile)
            rates[str(tuple(tile))] = attempt(lambda f=timed: rate(q * n * d, seconds(f, run.device)))
    best = max((name for name in rates if is_measured(rates[name])), key=lambda name: rates[name]["median"])
    found = {"shape": [q, n, d], "coordinates_per_second": rates, "best": best, "largest_error": wrong}
    if is_measured(bounds["log2"]):
        found["share_of_log2_rate"] = round(rates["default"]["median"] / bounds["log2"]["median"], 4)
    return found


def _certified(run: Run) -> dict[str, Any]:
    """Queries a second of certified js, of our cosine and of FAISS's js on the same positive rows."""
    n, d, q = run.size(1_000_000, 1500), run.size(2048, 32), run.size(1000, 20)
    values, found = _against_cosine(run, n, d, q)
    if run.device.type == "cuda":
        torch.cuda.empty_cache()  # for the other process
    values["faiss"] = attempt(lambda: _faiss(run, n, d, q, found))
    if is_measured(values["faiss"]):
        ours = values["queries_per_second"]["js"]["median"]
        values["over_faiss"] = round(ours / values["faiss"]["queries_per_second"]["median"], 2)
    return values


def _against_cosine(run: Run, n: int, d: int, q: int) -> tuple[dict[str, Any], Neighbours]:
    on_host = positive_rows(n, d)
    asked = positive_queries(q, on_host)
    rows, queries = (torch.from_numpy(values).to(run.device) for values in (on_host, asked))
    ways = {metric: (lambda m=metric: _knn(queries, rows, run, m)) for metric in ("js", "cosine")}
    found = ways["js"]()
    _check(found, queries, rows, range(0, q, max(1, q // 20)))
    took = alternate(ways, run.device, repeats=run.size(7, 2))
    over = [c / j for j, c in zip(took["js"], took["cosine"], strict=True)]
    values = {
        "shape": [q, n, d],
        "queries_per_second": {name: rate(q, each) for name, each in took.items()},
        "over_cosine": {"median": round(statistics.median(over), 4), "all": [round(each, 4) for each in over]},
        "rows_measured_per_query": float(found.measured.mean()),
    }
    return values, found


def _faiss(run: Run, n: int, d: int, q: int, ours: Neighbours) -> dict[str, Any]:
    """FAISS's brute force in a process of its own, whose CUDA need not get on with torch's."""
    ids, script = run.output / "js_faiss.npy", Path(__file__).with_name("js_faiss_child.py")
    command = [sys.executable, str(script), str(ids), "--rows", str(n), "--dimension", str(d), "--queries", str(q)]
    command += ["--cpu"] if run.device.type != "cuda" else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise RuntimeError(f"exit status {done.returncode}: {last[0][:200]}")
    report = json.loads(done.stdout.splitlines()[-1])
    theirs = np.load(ids)
    ids.unlink()
    same = float((theirs == ours.positions[: len(theirs)]).mean())
    if same < 0.99:  # its float32 sums order near-equal rows otherwise
        raise ArithmeticError(f"FAISS gives the same row in {same:.4f} of all places only")
    return {
        "queries": report["queries"],
        "queries_per_second": rate(report["queries"], report["seconds"]),
        "same_ids": same,
        "version": report["faiss"],
    }


def _paper(run: Run) -> dict[str, Any]:
    """The published job: rows on the device, and, apart, rows and queries on the host."""
    q, n = run.size(PUBLISHED["queries"], 40), run.size(PUBLISHED["rows"], 1500)
    d = run.size(PUBLISHED["dimension"], 64)
    values, found, (queries, rows) = _resident(run, q, n, d)
    began = time.perf_counter()
    again = knn(queries, [rows], k=K, metric="js", device=str(run.device))
    synchronise(run.device)
    values["with_upload_seconds"] = time.perf_counter() - began
    if not (np.array_equal(again.positions, found.positions) and np.array_equal(again.distances, found.distances)):
        raise ArithmeticError("rows from the host give another answer")
    return values


def _resident(run: Run, q: int, n: int, d: int) -> tuple[dict[str, Any], Neighbours, list[np.ndarray]]:
    """Rows and queries on the device: figures, the answer, and both on the host."""
    rows = _features(run, n, d, 0)
    queries = torch.cat([_copies(rows[: q // 2]), _features(run, q - q // 2, d, 1)])
    found = _knn(queries, rows, run, "js")  # warms up, too
    _check(found, queries, rows, range(0, q, max(1, q // 20)))
    copies = float((found.positions[: q // 2, 0] == np.arange(q // 2)).mean())
    if run.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(run.device)
    took = seconds(lambda: _knn(queries, rows, run, "js"), run.device, repeats=run.size(2, 1), warm_up=0)
    values = {
        "shape": [q, n, d],
        "published": PUBLISHED,
        "resident": {"seconds": {"median": statistics.median(took), "all": took}},
        "pairs_per_second": q * n / statistics.median(took),
        "certified": bool(found.certified.all()),
        "rows_measured_per_query": {"mean": float(found.measured.mean()), "most": int(found.measured.max())},
        "copies_found_first": copies,
        "zeros": float((rows[:1000] == 0).double().mean()),
        "peak_gib": torch.cuda.max_memory_allocated(run.device) / 2**30 if run.device.type == "cuda" else None,
    }
    return values, found, [values.cpu().numpy() for values in (queries, rows)]


def _knn(queries: Tensor, rows: Tensor, run: Run, metric: str) -> Neighbours:
    return knn(queries, [rows], k=K, metric=metric, device=str(run.device))


def _features(run: Run, count: int, dimension: int, seed: int) -> Tensor:
    """Rows (count, dimension), float16, as pooled features are: non-negative, sparse, around one of many centres."""
    maker = torch.Generator(run.device).manual_seed(100)
    latent = torch.randn((10_000, 32), generator=maker, device=run.device)
    mix = torch.randn((32, dimension), generator=maker, device=run.device) * (1.5 / math.sqrt(32))
    maker.manual_seed(seed)
    out = torch.empty((count, dimension), dtype=torch.float16, device=run.device)
    for start in range(0, count, 1 << 15):
        size = min(1 << 15, count - start)
        centres = latent[torch.randint(len(latent), (size,), generator=maker, device=run.device)]
        noise = torch.randn(centres.shape, generator=maker, device=run.device)
        out[start : start + size] = torch.addmm(
            torch.full((), -1.0, device=run.device), centres + 0.5 * noise, mix
        ).relu_()
    out[:, 0] += 0.01  # so that no row is all zeros
    return out


def _copies(rows: Tensor) -> Tensor:
    maker = torch.Generator(rows.device).manual_seed(7)
    noise = torch.randn(rows.shape, generator=maker, device=rows.device)
    return (rows.float() * (1 + 0.1 * noise)).relu_().half()


def _check(found: Neighbours, queries: Tensor, rows: Tensor, sample: range) -> None:
    """Compare a sample of answers with divergences of all rows in float64, written down once more."""
    if not found.certified.all():
        raise ArithmeticError("an answer is not certified")
    chosen = torch.tensor(list(sample), device=rows.device)
    step = max(1, (1 << 24) // rows.shape[1])
    p = queries[chosen].double()
    p /= p.sum(dim=1, keepdim=True)
    distances = torch.empty((len(p), len(rows)), dtype=torch.float64, device=rows.device)
    for start in range(0, len(rows), step):
        r = rows[start : start + step].double()
        r /= r.sum(dim=1, keepdim=True)
        entropy = torch.xlogy(r, r).sum(dim=1)
        for i, line in enumerate(p):
            total = line + r
            nats = math.log(2) + (torch.xlogy(line, line).sum() + entropy - torch.xlogy(total, total).sum(dim=1)) / 2
            distances[i, start : start + len(r)] = (nats / math.log(2)).clamp_min_(0).sqrt_()
    exact, ids = torch.topk(distances, K, dim=1, largest=False)
    wrong = float((exact.cpu() - torch.from_numpy(found.distances[list(sample)])).abs().max())
    same = float((ids.cpu().numpy() == found.positions[list(sample)]).mean())
    if wrong > 1e-6 or same < 0.999:
        raise ArithmeticError(f"answers differ from float64 by {wrong}, the same rows in {same:.4f} of all places")


STAGE = Stage(
    "js",
    "How fast and how exact is search by Jensen-Shannon on a GPU: products, kernel, certified map, a published job?",
    "1,024 x 65,536 x 2048 by the kernel; 1,000 queries x 1e6 x 2048; 43,660 queries x 500,000 x 4096; at most 40 GiB",
    minutes=2,
    value=90,
    work=work,
    faiss=True,
)
