"""Times and rates, synchronised, warmed up, as medians with their spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch


def seconds(work: Callable[[], Any], device: torch.device, *, repeats: int = 7, warm_up: int = 2) -> list[float]:
    """Seconds of each run of `work`, ended by a synchronisation of the device."""
    for _ in range(warm_up):
        work()
    synchronise(device)
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        synchronise(device)
        took.append(time.perf_counter() - began)
    return took


def rate(count: float, took: list[float]) -> dict[str, float]:
    """Things a second: median, lowest and highest of the runs."""
    rates = [count / each for each in took]
    return {"median": statistics.median(rates), "lowest": min(rates), "highest": max(rates)}


def alternate(ways: dict[str, Callable[[], Any]], device: torch.device, *, repeats: int) -> dict[str, list[float]]:
    """Seconds of each way, run in turns so that a change of the machine meets all alike."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for work in ways.values():
        work()
    for _ in range(repeats):
        for name, work in ways.items():
            took[name] += seconds(work, device, repeats=1, warm_up=0)
    return took


def synchronise(device: torch.device) -> None:
    """Wait for all that was given to the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def memory(device: torch.device) -> dict[str, float]:
    """GiB of the device: in all, and free now."""
    if device.type != "cuda":
        return {}
    free, total = torch.cuda.mem_get_info(device)
    return {"total_gib": round(total / 2**30, 2), "free_gib": round(free / 2**30, 2)}
