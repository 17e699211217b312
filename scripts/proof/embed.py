"""How fast images become rows on the device: the networks alone, and the whole path from files."""

from __future__ import annotations

import copy
import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from goals import Measured, judge
from proof.limits import ceilings, jpegs
from proof.stage import Finding, Run, Stage, attempt, is_measured
from proof.timing import alternate, rate, seconds
from simsearch.extract.networks.build import build_network
from simsearch.extract.networks.resnet import ResNet, ResNetArguments
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.pipeline import embed_sources
from simsearch.extract.zoo.card import ModelCard, Weights, load_card
from simsearch.extract.zoo.find import find_model
from simsearch.images.find import find
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Limits, Rejected, Source
from simsearch.images.workers.pool import prepare
from simsearch.runtime.cpu import default_workers
from simsearch.training.export import export

MINI = load_card(find_model("mini"))
SIMCLR = Preprocessing(224, "crop", 256, "lanczos", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
WIDE = (128, 256, 512, 1024)
NETWORKS = {
    "mini": (build_network(MINI).arguments, MINI.preprocessing),
    "ResNet-50": (ResNetArguments(), SIMCLR),
    "ResNet-50 2x": (ResNetArguments(widths=WIDE, stem_width=128), SIMCLR),
    "ResNet-50 2x SK": (ResNetArguments(widths=WIDE, stem_width=128, sk_ratio=0.0625), SIMCLR),
    "ResNet-101 2x SK": (ResNetArguments(depths=(3, 4, 23, 3), widths=WIDE, stem_width=128, sk_ratio=0.0625), SIMCLR),
}
TOYS = {"mini": (ResNetArguments("basic", (1, 1, 1, 1), (8, 8, 8, 16), "d", 8, "d", 0.0625, 20), MINI.preprocessing)}
BATCHES = (128, 512)
COMPILED = "ResNet-50"


def work(run: Run) -> Finding:
    """The path from files to rows, then each network in several ways, those with goals first."""
    bounds = ceilings(run.device, toy=run.toy)
    networks = TOYS if run.toy else NETWORKS
    values: dict[str, Any] = {"path": run.part("path", 40, lambda: _path(run, *networks["mini"])), "networks": {}}
    goals: list[Measured] = []
    for name, (arguments, preprocessing) in networks.items():
        took = 45 if name == COMPILED else 12
        found = run.part(name, took, lambda n=name, a=arguments, p=preprocessing: _network(run, n, a, p, bounds))
        values["networks"][name] = found
        if is_measured(found):
            goals += _judged(run, name, found)
    if is_measured(values["path"]) and not run.toy:
        path = values["path"]
        goals.append(judge("G18", path["share_of_slowest_stage"], part="GPU", note=path["slowest"]))
        goals.append(judge("G19", path["over_dataloader"], note=f"{path['workers']} workers each"))
    told = [f"{g.goal} {g.part}: {g.value:.3g} ({'met' if g.met else 'missed'})" for g in goals]
    return Finding("; ".join(told) or "a rehearsal: no figure means anything", values, tuple(goals))


def _judged(run: Run, name: str, found: dict[str, Any]) -> list[Measured]:
    if run.toy:
        return []
    goals = []
    if name in ("ResNet-50", "ResNet-50 2x") and "share_of_matrix_rate" in found:
        goals.append(judge("G14", found["share_of_matrix_rate"], part=name, note="pixels on the device"))
    if name == COMPILED and is_measured(found["over"].get("eager")):
        goals.append(judge("G15", found["over"]["eager"], part="over eager NCHW AMP", note=name))
    if name == COMPILED and is_measured(found["over"].get("compiled")):
        goals.append(judge("G15", found["over"]["compiled"], part="over plain torch.compile", note=name))
    return goals


def _path(run: Run, arguments: ResNetArguments, preprocessing: Preprocessing) -> dict[str, Any]:
    count, batch, workers = run.size(12_000, 24), run.size(256, 8), run.size(default_workers(), 1)
    with random_extractor(run, arguments, preprocessing) as extractor:
        return path_rates(run, extractor, (count, batch, workers))


def _network(
    run: Run, name: str, arguments: ResNetArguments, preprocessing: Preprocessing, bounds: dict[str, Any]
) -> dict[str, Any]:
    """Images a second of one network with random weights, by every way, at its best batch."""
    torch.manual_seed(0)
    plain = ResNet(arguments).eval()
    operations = operations_of(plain, preprocessing.size)
    with random_extractor(run, arguments, preprocessing, plain) as extractor:
        tried = {batch: _ours(run, extractor, batch) for batch in ((4,) if run.toy else BATCHES)}
        best = max(tried, key=lambda batch: tried[batch]["median"])
        rates = _rates(run, extractor, plain, best, compiled=name == COMPILED)
    ours = rates["ours"]["median"]
    others = {name: each["median"] for name, each in rates.items() if name != "ours" and is_measured(each)}
    found = {
        "gmac": round(operations / 2e9, 3),
        "batch": best,
        "images_per_second": rates,
        "over": {name: round(ours / other, 3) for name, other in others.items()},
        "by_batch": {batch: round(each["median"], 1) for batch, each in tried.items()},
    }
    if is_measured(bounds["gemm_bf16_flops"]):
        found["share_of_matrix_rate"] = round(ours * operations / bounds["gemm_bf16_flops"]["median"], 4)
    return found


def _ours(run: Run, extractor: NeuralExtractor, batch: int) -> dict[str, float]:
    pixels = torch.from_numpy(pixels_of(extractor, batch)).to(run.device)
    return rate(batch, seconds(lambda: extractor.forward(pixels), run.device, repeats=run.size(10, 1)))


def pixels_of(extractor: NeuralExtractor, batch: int) -> np.ndarray:
    side = extractor.preprocessing.size
    return np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)


def _rates(run: Run, extractor: NeuralExtractor, plain: nn.Module, batch: int, *, compiled: bool) -> dict[str, Any]:
    """Images a second from uint8 pixels: ours, and the same weights in the ways of the field."""
    host = pixels_of(extractor, batch)
    pixels = torch.from_numpy(host).to(run.device)
    eager = eager_rows(copy.deepcopy(plain).to(run.device), run.device)
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: extractor.forward(pixels),
        "ours_from_host": lambda: extractor.embed_pixels(host),
        "eager": lambda: eager(pixels),
    }
    if run.device.type == "cuda":
        ways["ours_unrecorded"] = lambda: extractor.unrecorded(pixels)
        if compiled:
            ways |= _compiled_ways(run, extractor, plain, pixels)
    if not np.allclose(_cosines(extractor.forward(pixels), eager(pixels)), 1, atol=2e-2):
        raise ArithmeticError("the ways to be compared give different rows")
    took = alternate(ways, run.device, repeats=run.size(15, 2))
    return {name: rate(batch, each) for name, each in took.items()}


def _compiled_ways(
    run: Run, extractor: NeuralExtractor, plain: nn.Module, pixels: Tensor
) -> dict[str, Callable[[], Any]]:
    """What may be faster still: the compiler, which takes most of a minute. What fails is left out."""
    ways: dict[str, Callable[[], Any]] = {}
    compiled = eager_rows(torch.compile(copy.deepcopy(plain).to(run.device)), run.device)
    folded = torch.compile(extractor.unrecorded)
    for name, way in (("compiled", compiled), ("ours_compiled", folded)):
        if is_measured(attempt(lambda way=way: [way(pixels) for _ in range(3)])):
            ways[name] = lambda way=way: way(pixels)
    return ways


def eager_rows(network: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The usual way: NCHW, float32 weights under autocast, batch norm unfolded."""

    @torch.inference_mode()
    def rows(pixels: Tensor) -> Tensor:
        x = pixels.permute(0, 3, 1, 2).contiguous().float() / 255
        with torch.autocast(device.type, torch.bfloat16):
            out: Tensor = network(x)
        return out.float()

    return rows


def _cosines(a: Tensor, b: Tensor) -> np.ndarray:
    return torch.nn.functional.cosine_similarity(a.float(), b.float(), dim=1).cpu().numpy()


def operations_of(network: nn.Module, side: int) -> float:
    """Floating-point operations of one image: two for each multiplication with its addition."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, side, side))
    return float(counter.get_total_flops())


@contextmanager
def random_extractor(
    run: Run, arguments: ResNetArguments, preprocessing: Preprocessing, network: nn.Module | None = None
) -> Iterator[NeuralExtractor]:
    """Our extractor of a network with random weights, from a model folder that is removed again.

    Neither side normalises (mean 0, deviation 1), so that the ways compared do the same.
    """
    neutral = replace(preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    card = ModelCard(
        name="random",
        summary="random weights, to measure speed",
        status="unverified",
        network="resnet",
        arguments=asdict(arguments),
        dimension=arguments.dimension,
        non_negative=True,
        metric="js",
        preprocessing=neutral,
        weights=Weights(file="weights.safetensors", sha256="0" * 64, licence="Apache-2.0"),
        training_data="none",
        reference="none",
        limits="random weights",
    )
    with tempfile.TemporaryDirectory() as folder:
        export(network or ResNet(arguments).eval(), card, Path(folder))
        yield NeuralExtractor(Path(folder), device=str(run.device))


def path_rates(run: Run, extractor: NeuralExtractor, size: tuple[int, int, int]) -> dict[str, Any]:
    """Files to rows: our pipeline, each of its stages alone, and a PIL + DataLoader reader with the same network.

    Args:
        run: Where.
        extractor: The network.
        size: Images, images at once, and decoding processes.
    """
    count, batch, workers = size
    with tempfile.TemporaryDirectory() as folder:
        for i, content in enumerate(jpegs(min(count, 64), (125, 94) if run.toy else (500, 375))):
            Path(folder, f"{i:03}.jpg").write_bytes(content)
        found = [source for source in find([folder]) if not isinstance(source, Rejected)]
        sources = [found[i % len(found)] for i in range(count)]
        files = [sorted(Path(folder).iterdir())[i % len(found)] for i in range(count)]
        pixels = pixels_of(extractor, batch)
        ways: dict[str, Callable[[], int]] = {
            "decode": lambda: sum(1 for _ in prepare(sources, extractor.preprocessing, workers=workers)),
            "network": lambda: sum(len(extractor.embed_pixels(pixels)) for _ in range(0, count, batch)),
            "pipeline": lambda: sum(1 for _ in embed_sources(extractor, sources, batch_size=batch, workers=workers)),
            "dataloader": lambda: _dataloader(files, extractor, batch, workers),
        }
        if run.device.type == "cuda" or run.toy:
            ways |= _on_device(extractor, sources, batch, workers)
        took = alternate(ways, run.device, repeats=3 if run.device.type == "cpu" and not run.toy else 1)
    rates = {name: rate(count, each) for name, each in took.items()}
    alone = min(("decode", "network"), key=lambda name: rates[name]["median"])
    return {
        "images": count,
        "workers": workers,
        "images_per_second": rates,
        "slowest": f"slowest stage alone: {alone}",
        "share_of_slowest_stage": round(rates["pipeline"]["median"] / rates[alone]["median"], 3),
        "over_dataloader": round(rates["pipeline"]["median"] / rates["dataloader"]["median"], 3),
    }


def _on_device(
    extractor: NeuralExtractor, sources: list[Source], batch: int, workers: int
) -> dict[str, Callable[[], int]]:
    """The same with JPEGs decoded and resized where the network runs."""
    other = NeuralExtractor(extractor.card_folder or Path(), device=str(extractor.device))
    other.decode_on_device()
    limits = Limits()
    return {
        "decode_on_device": lambda: sum(1 for _ in other.prepare(sources, workers=workers, limits=limits)),
        "pipeline_on_device": lambda: sum(1 for _ in embed_sources(other, sources, batch_size=batch, workers=workers)),
    }


class _Reader(Dataset[Tensor]):
    """The usual reader: Pillow decodes, resizes and makes a float tensor, one image at a time."""

    def __init__(self, files: list[Path], side: int) -> None:
        self.files, self.side = files, side

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> Tensor:
        with Image.open(io.BytesIO(self.files[i].read_bytes())) as image:
            small = image.convert("RGB").resize((self.side, self.side), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255


def _dataloader(files: list[Path], extractor: NeuralExtractor, batch: int, workers: int) -> int:
    loader = DataLoader(
        _Reader(files, extractor.preprocessing.size),
        batch_size=batch,
        num_workers=workers,
        pin_memory=extractor.device.type == "cuda",
    )
    done = 0
    for x in loader:
        on_device = (255 * x.to(extractor.device, non_blocking=True)).to(torch.uint8).permute(0, 2, 3, 1)
        done += len(extractor.forward(on_device).cpu())
    return done


STAGE = Stage(
    "embed",
    "How fast do images become rows, beside what the device could do and beside the ways of the field?",
    "mini and four SimCLR v2 networks with random weights, batches of 128 and 512; 12,000 JPEGs of 500 x 375",
    minutes=2,
    value=85,
    work=work,
)
