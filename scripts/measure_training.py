"""Measure the training loop's images a second, beside the network's own forward and backward pass on ready batches."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from simsearch.runtime.device import choose_device, choose_dtype
from simsearch.runtime.provenance import write_record
from simsearch.training.callback import StepReport
from simsearch.training.config import FinetuneConfig, read_config
from simsearch.training.finetune import finetune
from simsearch.training.loss import koleo, nt_xent, unit
from simsearch.training.network import starting_point

_WARM = 10  # steps before the clock starts: worker processes begin, memory is found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, default=Path("configs/mini.yaml"))
    parser.add_argument("--steps", type=int, default=50, help="timed, after ten that are not")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=Path("results/training.json"))
    arguments = parser.parse_args()
    config = short(read_config(arguments.recipe), _WARM + arguments.steps)
    device = choose_device(arguments.device)
    loop = _loop(config, arguments.device)
    alone = _alone(config, device, max(5, arguments.steps // 5))
    images = 2 * config.batch
    values: dict[str, Any] = {
        "recipe": arguments.recipe.name,
        "batch": config.batch,
        "views_a_step": images,
        "steps": arguments.steps,
        "precision": config.precision,
        "loop_images_a_second": round(images / loop, 1),
        "network_images_a_second": round(images / alone, 1),
        "loop_over_network": round(alone / loop, 3),
    }
    verdict = (
        f"training: {images / loop:.0f} views a second with all augmentation, {alone / loop:.2f} of the network's own "
        "forward and backward pass"
    )
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def short(config: FinetuneConfig, steps: int) -> FinetuneConfig:
    """The recipe for that many steps, without looks and with a guard that judges next to nothing."""
    few = config.validation.model_copy(update={"images": 2, "most_strangers": 2, "every": 0, "patience": 0})
    none = config.guard.model_copy(update={"edits": (), "margin": 1.0, "draws": 1})
    changes = {"steps": steps, "minutes": None, "validation": few, "guard": none, "tensorboard": False}
    return config.model_copy(update=changes)


def _loop(config: FinetuneConfig, device: str) -> float:
    """Seconds of a step of the whole loop, the mean after the first few."""
    times: dict[int, float] = {}

    def note(told: StepReport) -> None:
        times[told.step] = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        finetune(config, Path(folder), device=device, force=True, report=note)
    counted = [step for step in times if step >= _WARM]
    first, last = min(counted), max(counted)
    return (times[last] - times[first]) / (last - first)


def _alone(config: FinetuneConfig, device: torch.device, rounds: int) -> float:
    """Median seconds of a forward and backward pass over views that lie ready."""
    card, network = starting_point(config)
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    bf16 = choose_dtype(config.precision, device) == torch.bfloat16
    similarity = config.loss.similarity or ("js" if card.metric == "js" else "cosine")
    side = card.preprocessing.size
    x = torch.randn(2 * config.batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            rows = network(x)
        first, second = unit(rows.float(), similarity).chunk(2)
        loss = nt_xent(first, second, temperature=config.loss.temperature) + config.loss.koleo * koleo(first)
        loss.backward()
        network.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    main()
