"""What the machine can do at most: the ceilings that every other figure is divided by."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter

from proof.stage import Finding, Run, Stage, attempt, is_measured
from proof.timing import memory, rate, seconds, synchronise
from simsearch.images.find import find
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Rejected
from simsearch.images.workers.pool import prepare

SIZE = Preprocessing(224, "squash", 224, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_ROUNDS = 512  # operations of one thread in a chain


@cache
def ceilings(device: torch.device, *, toy: bool) -> dict[str, Any]:
    """The rates of the device that other stages divide by; a few seconds.

    Returns:
        `gemm_bf16_flops`, `copy_bytes` (read plus written), `log2` and `popcount32` (operations), each a second with
        its spread, or why it could not be measured.
    """
    side, cells = (256, 1 << 20) if toy else (8192, 1 << 30)
    return {
        "gemm_bf16_flops": attempt(lambda: gemm(device, side)),
        "copy_bytes": attempt(lambda: copy(device, cells)),
        "log2": attempt(lambda: special(device, "log2", toy=toy)),
        "popcount32": attempt(lambda: special(device, "popcount", toy=toy)),
        "memory": memory(device),
    }


def gemm(device: torch.device, side: int) -> dict[str, float]:
    """Floating-point operations a second of a bf16 product of random square matrices."""
    a, b = (torch.randn((side, side), device=device).to(torch.bfloat16) for _ in range(2))
    return rate(2 * side**3, seconds(lambda: a @ b, device, repeats=10, warm_up=3))


def copy(device: torch.device, cells: int) -> dict[str, float]:
    """Bytes a second of a copy within the device's memory, read plus written."""
    source = torch.randint(0, 256, (cells,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return rate(2 * cells, seconds(lambda: target.copy_(source), device, repeats=10, warm_up=3))


def special(device: torch.device, operation: str, *, toy: bool) -> dict[str, float]:
    """Operations a second of chains of log2 (float32) or popcount (32 bits) that never leave the registers."""
    if device.type != "cuda":
        return _special_on_cpu(operation, 1 << 16 if toy else 1 << 22)
    from proof.chains import run_chain

    out = torch.empty(1 << 22, dtype=torch.float32 if operation == "log2" else torch.int32, device=device)
    run_chain(operation, out, _ROUNDS)
    synchronise(device)
    expected = out[:1].item()
    if not np.isfinite(expected) or (operation == "log2" and abs(expected - _fixed_point()) > 0.01):
        raise ArithmeticError(f"the chain of {operation} gave {expected}")
    return rate(out.numel() * _ROUNDS, seconds(lambda: run_chain(operation, out, _ROUNDS), device))


def _special_on_cpu(operation: str, count: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    if operation == "log2":
        values = rng.random(count, np.float32) + 1
        return rate(count, seconds(lambda: np.log2(values), torch.device("cpu")))
    words = rng.integers(0, 1 << 32, count, dtype=np.uint32)
    return rate(count, seconds(lambda: np.bitwise_count(words), torch.device("cpu")))


def _fixed_point() -> float:
    """Where x -> log2(x) + 2.5 ends."""
    x = 2.0
    for _ in range(200):
        x = float(np.log2(x)) + 2.5
    return x


def decode_all_cores(count: int, size: tuple[int, int]) -> dict[str, Any]:
    """JPEGs a second, decoded and resized by simsearch's own workers, one a core."""
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        for i, content in enumerate(jpegs(16, size)):
            Path(folder, f"{i}.jpg").write_bytes(content)
        sources = [source for source in find([folder]) if not isinstance(source, Rejected)]
        many = [sources[i % len(sources)] for i in range(count)]

        def work() -> None:
            done = sum(not isinstance(result, Rejected) for result in prepare(many, SIZE, workers=cores))
            if done != count:
                raise ArithmeticError(f"{count - done} of {count} images were rejected")

        took = seconds(work, torch.device("cpu"), repeats=3, warm_up=1)
    return {"images": rate(count, took), "cores": cores, "size": list(size)}


def nvjpeg(device: torch.device, count: int, size: tuple[int, int]) -> dict[str, Any]:
    """JPEGs a second, decoded by the device through torchvision."""
    from torchvision.io import decode_jpeg

    contents = jpegs(16, size)
    batch = [torch.from_numpy(np.frombuffer(contents[i % 16], np.uint8).copy()) for i in range(count)]
    decoded = decode_jpeg(batch[:16], device=device)
    with Image.open(io.BytesIO(contents[0])) as image:
        difference = float((decoded[0].float().cpu() - torch.from_numpy(np.array(image)).permute(2, 0, 1)).abs().mean())
    took = seconds(lambda: decode_jpeg(batch, device=device), device, repeats=5)
    return {"images": rate(count, took), "size": list(size), "mean_difference_from_pillow": round(difference, 3)}


def jpegs(count: int, size: tuple[int, int]) -> list[bytes]:
    """JPEG files, quality 90, of smooth random pictures with grain."""
    rng = np.random.default_rng(0)
    files = []
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        values = np.asarray(coarse.filter(ImageFilter.GaussianBlur(2)), np.float32)
        grain = rng.normal(0, 6, values.shape).astype(np.float32)
        buffer = io.BytesIO()
        Image.fromarray(np.clip(values + grain, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    return files


def work(run: Run) -> Finding:
    """Measure all ceilings."""
    size = (125, 94) if run.toy else (500, 375)
    count, device = run.size(20_000, 32), run.device
    values = dict(ceilings(device, toy=run.toy))
    values["decode"] = run.part("decode", 20, lambda: decode_all_cores(count, size))
    on_device: Callable[[], Any] = lambda: nvjpeg(device, run.size(2048, 16), size)  # noqa: E731
    on_gpu = device.type == "cuda"
    values["nvjpeg"] = run.part("nvjpeg", 10, on_device) if on_gpu else {"not_measured": "needs a CUDA device"}
    return Finding("; ".join(_told(values)), values)


def _told(values: dict[str, Any]) -> list[str]:
    units = {
        "gemm_bf16_flops": (1e12, "TFLOP/s bf16"),
        "copy_bytes": (1e12, "TB/s copied"),
        "log2": (1e12, "T log2/s"),
        "popcount32": (1e12, "T popcounts/s"),
    }
    told = [
        f"{values[key]['median'] / unit:.3g} {name}" if is_measured(values[key]) else f"{name}: not measured"
        for key, (unit, name) in units.items()
    ]
    for key, name in (("decode", "JPEGs/s on all cores"), ("nvjpeg", "JPEGs/s by nvJPEG")):
        measured = is_measured(values[key])
        told.append(f"{values[key]['images']['median']:,.0f} {name}" if measured else f"{name}: not measured")
    return told


STAGE = Stage(
    "limits",
    "How fast is this machine at most: matrix products, copies, log2, popcount, JPEG decoding?",
    "8192 x 8192 bf16 products, 1 GiB copies, chains of 2e9 operations, 20,000 JPEGs of 500 x 375",
    minutes=1.5,
    value=50,
    work=work,
)
