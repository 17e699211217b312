"""Train the embedded default model, write its folder, measure it, and write its README from the measurements."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import deque
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file
from torch import nn

from simsearch.benchmark.record import write_record
from simsearch.extract.card import load_card
from simsearch.extract.networks.resnet import ResNet
from simsearch.training.export import export
from simsearch.training.loop import Recipe, Step
from simsearch.training.mini import NETWORK, TRAINING_DATA, mini_card, train_mini


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/make_mini", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds train/ and bsds500/")
    parser.add_argument("--minutes", type=float, default=88.0, help="of training; a GPU needs far fewer")
    parser.add_argument("--steps", type=int, default=0, help="length of the training in steps instead of minutes")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weights", type=Path, help="a finished run's network; skips training")
    parser.add_argument("--output", type=Path, default=Path("models/mini"))
    parser.add_argument("--results", type=Path, default=Path("results/mini"))
    arguments = parser.parse_args()
    if arguments.weights:
        network: nn.Module = ResNet(NETWORK)
        network.load_state_dict(load_file(arguments.weights))
    else:
        recipe = Recipe(minutes=arguments.minutes, steps=arguments.steps, seed=arguments.seed)
        network = trained(arguments.data / "train", recipe, arguments.device, arguments.results)
    export(network.cpu().eval(), mini_card(TRAINING_DATA), arguments.output)
    from measure_mini import measure, write_readme

    with tempfile.TemporaryDirectory() as folder:
        random = Path(folder) / "random"
        torch.manual_seed(0)
        export(ResNet(NETWORK).eval(), mini_card("nothing: random weights"), random)
        measure(arguments.output, random, arguments.data / "bsds500", arguments.results)
    write_readme(load_card(arguments.output), arguments.results, arguments.output)


def trained(photographs: Path, recipe: Recipe, device: str, results: Path) -> nn.Module:
    """Return the network after training, with a bar; what the run was stands in `training.json`."""
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=Console(stderr=True))
    last: deque[Step] = deque(maxlen=25)
    with bar:
        task = bar.add_task("training", total=1.0)

        def report(step: Step) -> None:
            last.append(step)
            text = f"step {step.number}, loss {step.loss:.3f}, ranked first {step.first:.3f}"
            bar.update(task, completed=min(step.share, 1.0), description=text)

        network = train_mini(sorted(photographs.glob("train-*.tar")), recipe, device=device, report=report)
    scratch = Path("scratch")
    scratch.mkdir(exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, scratch / "mini.safetensors")
    loss, first = (round(statistics.mean(values), 4) for values in zip(*((s.loss, s.first) for s in last), strict=True))
    values = {"recipe": asdict(recipe), "steps": last[-1].number, "minutes": round(last[-1].seconds / 60, 1)}
    verdict = f"{last[-1].number} steps; of the last 25, loss {loss}, share of edited views ranked first {first}"
    write_record(results / "training.json", {**values, "loss": loss, "ranked_first": first}, verdict=verdict)
    return network


if __name__ == "__main__":
    main()
