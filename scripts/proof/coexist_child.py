"""One process that loads torch and FAISS in a given order, searches with both, and prints what it saw as JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import time
from typing import Any

import numpy as np

K = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("order", choices=("torch,faiss", "faiss,torch", "faiss"))
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--dimension", type=int, required=True)
    parser.add_argument("--cpu", action="store_true", help="no GPU: both sides on the CPU, to rehearse")
    arguments = parser.parse_args()
    modules = {name: importlib.import_module(name) for name in arguments.order.split(",")}
    faiss, torch = modules["faiss"], modules.get("torch")
    report: dict[str, Any] = {"order": arguments.order, "faiss": faiss.__version__}
    if not arguments.cpu:
        report["faiss_gpus"] = faiss.get_num_gpus()
    before = _busy(torch, cpu=arguments.cpu)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((arguments.rows, arguments.dimension), np.float32)
    queries = rows[:100] + 0.1 * rng.standard_normal((100, arguments.dimension), np.float32)
    report["flat"] = _flat(faiss, rows, queries, cpu=arguments.cpu)
    report["ivfpq"] = _ivfpq(faiss, rows, queries, cpu=arguments.cpu)
    after = _busy(torch, cpu=arguments.cpu)
    report["torch_unchanged"] = before == after  # the same product before and after FAISS worked
    if torch is not None and not arguments.cpu:
        free, total = torch.cuda.mem_get_info()
        report["device_gib_used"] = round((total - free) / 2**30, 2)
    print(json.dumps(report))


def _flat(faiss: Any, rows: np.ndarray, queries: np.ndarray, *, cpu: bool) -> dict[str, Any]:
    exact = faiss.IndexFlatL2(rows.shape[1])
    exact.add(rows)
    expected, ids = exact.search(queries, K)
    index = faiss.IndexFlatL2(rows.shape[1]) if cpu else faiss.GpuIndexFlatL2(_resources(faiss), rows.shape[1])
    index.add(rows)
    began = time.perf_counter()
    distances, found = index.search(queries, K)
    return {
        "same_ids": float((found == ids).mean()),
        "largest_relative_difference": float(np.abs(distances / expected - 1).max()),
        "seconds": round(time.perf_counter() - began, 4),
    }


def _ivfpq(faiss: Any, rows: np.ndarray, queries: np.ndarray, *, cpu: bool) -> dict[str, Any]:
    quantiser = faiss.IndexFlatL2(rows.shape[1])
    trained = faiss.IndexIVFPQ(quantiser, rows.shape[1], 32, 8, 8)
    trained.train(rows)
    trained.add(rows)
    trained.nprobe = 8
    _, ids = trained.search(queries, K)
    index = trained if cpu else faiss.index_cpu_to_gpu(_resources(faiss), 0, trained)
    index.nprobe = 8
    began = time.perf_counter()
    _, found = index.search(queries, K)
    return {"same_ids": float((found == ids).mean()), "seconds": round(time.perf_counter() - began, 4)}


def _resources(faiss: Any) -> Any:
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(256 << 20)
    return resources


def _busy(torch: Any, *, cpu: bool) -> list[float]:
    """A product and a convolution in torch, so that cuBLAS and cuDNN are loaded and used."""
    if torch is None:
        return []
    device = "cpu" if cpu else "cuda"
    a = torch.arange(64 * 64, dtype=torch.float32, device=device).reshape(64, 64) / 4096
    image = (a @ a.T)[None, None]
    kernel = torch.ones((1, 1, 3, 3), device=device)
    return [float(image.sum()), float(torch.nn.functional.conv2d(image, kernel).sum())]


if __name__ == "__main__":
    main()
