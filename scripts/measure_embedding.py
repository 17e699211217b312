"""Measure how fast images become rows on this machine, beside its limits and the usual ways; a JSON record.

On a GPU the stage `embed` of scripts/gpu_proof does the same and more.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from goals import Measured, judge
from measure_js import spread
from proof.embed import NETWORKS, operations_of, path_rates, pixels_of, random_extractor
from proof.stage import Run, attempt, is_measured
from proof.timing import alternate, rate, seconds
from simsearch.distance import js
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.runtime.cpu import default_workers
from simsearch.runtime.provenance import write_record

CPU = torch.device("cpu")
_SIDE = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default="mini,ResNet-50", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=1500, help="read from files by each way")
    parser.add_argument("--output", type=Path, default=Path("results/embedding.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(CPU, False, Path(folder), Path(folder), Path(folder), float("inf"))
        matrix = {name: _matrix_rate(getattr(torch, name), arguments.rounds) for name in ("float32", "bfloat16")}
        networks = {
            name: network(run, name, arguments.batch, arguments.rounds, matrix)
            for name in arguments.networks.split(",")
        }
        with random_extractor(run, *NETWORKS["mini"]) as extractor:
            path = path_rates(run, extractor, (arguments.images, 64, default_workers()))
    values = {
        "goals": [goal.to_dict() for goal in _goals(networks)],
        "threads": torch.get_num_threads(),
        "matrix_flops": matrix,
        "networks": networks,
        "from_files": path,
    }
    told = [f"{name} {each['over']['ours']['eager']['median']:.2f} x eager" for name, each in networks.items()]
    verdict = f"network alone: {', '.join(told)}; from files {path['over_dataloader']:.2f} x PIL and DataLoader"
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def _matrix_rate(dtype: torch.dtype, rounds: int) -> dict[str, float]:
    """Operations a second of a product of matrices."""
    one = torch.ones(_SIDE, _SIDE, dtype=dtype)
    return rate(2 * _SIDE**3, seconds(lambda: one @ one, CPU, repeats=rounds))


def network(run: Run, name: str, batch: int, rounds: int, matrix: dict[str, Any]) -> dict[str, Any]:
    """Images a second of a network with random weights: eager and unfolded, by the compiler, and ours."""
    arguments, preprocessing = NETWORKS[name]
    torch.manual_seed(0)
    from simsearch.extract.networks.resnet import ResNet

    plain = ResNet(arguments).eval()
    operations = operations_of(plain, preprocessing.size)
    with random_extractor(run, arguments, preprocessing, plain) as extractor:
        pixels = torch.from_numpy(pixels_of(extractor, batch))
        ways: dict[str, Callable[[], Tensor]] = {"ours": lambda: extractor.forward(pixels)}
        ways["eager"] = _usual(plain, pixels)
        more = {
            "compiled": attempt(lambda: _compiled(plain, pixels)),
            "ours_compiled": attempt(lambda: _ours_compiled(extractor, pixels)),
        }
        if extractor.dtype != torch.float32:
            single = NeuralExtractor(extractor.card_folder or Path(), device="cpu", dtype="float32")
            more["ours_float32"] = lambda: single.forward(pixels)
        ways |= {way: work for way, work in more.items() if is_measured(work)}
        apart = float(np.quantile(np.diagonal(js(ways["ours"]().numpy(), ways["eager"]().numpy())), 0.99))
        took = alternate(ways, run.device, repeats=rounds)
        dtype = str(extractor.dtype).removeprefix("torch.")
    rates = {way: rate(batch, each) for way, each in took.items()}
    ours = [way for way in ("ours", "ours_compiled") if way in ways]
    ratios = {mine: {way: _ratio(took[way], took[mine]) for way in ways if way not in ours} for mine in ours}
    return {
        "gmac": round(operations / 2e9, 3),
        "batch": batch,
        "dtype": dtype,
        "images_per_second": rates,
        "over": ratios,
        "share_of_matrix_rate": round(rates["ours"]["median"] * operations / matrix[dtype]["median"], 3),
        "js_from_eager_99": apart,
        **{way: reason for way, reason in more.items() if not is_measured(reason)},
    }


def _ratio(theirs: list[float], mine: list[float]) -> dict[str, Any]:
    """How many times as fast as another way, turn by turn."""
    return spread([a / b for a, b in zip(theirs, mine, strict=True)])


def _goals(networks: dict[str, Any]) -> list[Measured]:
    """G16, of ResNet-50, where the CPU multiplies matrices of bfloat16 by itself."""
    found = networks.get("ResNet-50")
    if found is None or not torch.cpu._is_amx_tile_supported() or found["js_from_eager_99"] > 0.02:
        return []
    over = {way: each["eager"]["median"] for way, each in found["over"].items()}
    told = ", ".join(f"{way.replace('_', ' ')} {value:.2f}" for way, value in over.items())
    return [
        judge("G16", max(over.values()), note=f"ResNet-50: {told}; js of 99 % below {found['js_from_eager_99']:.4f}")
    ]


def _usual(plain: nn.Module, pixels: Tensor) -> Callable[[], Tensor]:
    """As most code does it: NCHW, float32, batch norm as a layer."""
    eager = copy.deepcopy(plain)

    @torch.inference_mode()
    def rows() -> Tensor:
        out: Tensor = eager(pixels.permute(0, 3, 1, 2).contiguous().float() / 255)
        return out

    return rows


def _compiled(plain: nn.Module, pixels: Tensor) -> Callable[[], Tensor]:
    """The same by torch.compile; where it cannot compile, it says why."""
    network = torch.compile(copy.deepcopy(plain))

    @torch.inference_mode()
    def rows() -> Tensor:
        out: Tensor = network(pixels.permute(0, 3, 1, 2).contiguous().float() / 255)
        return out

    rows()
    return rows


def _ours_compiled(extractor: NeuralExtractor, pixels: Tensor) -> Callable[[], Tensor]:
    """The folded network by torch.compile, as `embed --compile` runs it."""
    compiled = NeuralExtractor(extractor.card_folder or Path(), device="cpu", dtype=str(extractor.dtype)[6:])
    compiled.compile()
    compiled.forward(pixels)
    return lambda: compiled.forward(pixels)


if __name__ == "__main__":
    main()
