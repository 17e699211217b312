"""A better mini: trained on the device from the shards, judged on the dev strangers, then by the paper's protocol."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from proof.stage import Finding, Input, Run, Stage, Unfinished
from simsearch.benchmark.paper import Protocol, run_paper
from simsearch.extract.extractor import Extractor
from simsearch.extract.load import load_extractor
from simsearch.extract.networks.resnet import ResNet
from simsearch.images.perturb import by_name, dejavu_sans_bold, paper
from simsearch.training.checkpoint import Checkpoint, Paused
from simsearch.training.export import export
from simsearch.training.loop import Recipe, Step
from simsearch.training.mini import NETWORK, TEXTS, TRAINING_DATA, mini_card, train_mini

RECIPE = Recipe(minutes=8.0, batch=512, rate=2e-3)
TOY = Recipe(steps=3, batch=8)
SPLITS = (0, 1, 2, 3, 4)
FIGURES = ("auc", "auc_right_image", "recall", "recall_right_image", "right_image_first")
MARGIN_S = 20.0
"""Left before the deadline for saving."""


def work(run: Run) -> Finding:
    """Train (going on where a call before stopped), export, judge beside the mini that is shipped."""
    network, training = _trained(run)
    candidate = run.output / "mini"
    export(network.cpu().eval(), mini_card(TRAINING_DATA), candidate)
    extractors = [load_extractor(candidate, device=str(run.device)), load_extractor("mini", device=str(run.device))]
    extractors[0].name, extractors[1].name = "candidate", "shipped"
    dev = _scored(run, extractors, "strangers/dev.tar")
    better = dev["candidate"]["auc_right_image"]["low"] > dev["shipped"]["auc_right_image"]["value"]
    bsds = _scored(run, extractors[:1], "bsds500")
    verdict = (
        f"right-image AUC by js on the dev strangers {_told(dev['candidate'])}, shipped mini {_told(dev['shipped'])}: "
        f"{'better' if better else 'not better'} beyond its interval; BSDS500 {_told(bsds['candidate'])} (goal 0.995)"
    )
    values = {"training": training, "dev": dev, "bsds500": bsds, "better_beyond_interval": better}
    return Finding(verdict, values)


def _trained(run: Run) -> tuple[nn.Module, dict[str, Any]]:
    """The finished network, from an earlier call or from now."""
    weights, told = run.state / "network.safetensors", run.state / "training.json"
    if told.exists():
        network: nn.Module = ResNet(NETWORK)
        network.load_state_dict(load_file(weights))
        return network, json.loads(told.read_text())
    steps: list[Step] = []
    began = time.monotonic()
    recipe = TOY if run.toy else RECIPE
    checkpoint = Checkpoint(run.state / "run.safetensors", pause=lambda: run.seconds_left < MARGIN_S)
    try:
        shards = sorted((run.inputs / "train").glob("train-*.tar"))
        network = train_mini(
            shards,
            recipe,
            device=str(run.device),
            report=steps.append,
            checkpoint=checkpoint,
            texts=run.size(TEXTS, 16),
        )
    except Paused as paused:
        raise Unfinished(f"training: {paused}") from None
    training = {
        "recipe": asdict(recipe),
        "steps": steps[-1].number,
        "minutes": round(steps[-1].seconds / 60, 2),
        "minutes_of_this_call": round((time.monotonic() - began) / 60, 2),
        "images_per_second": round(2 * recipe.batch * steps[-1].number / steps[-1].seconds),
        "loss": round(statistics.mean(step.loss for step in steps[-25:]), 4),
        "ranked_first": round(statistics.mean(step.first for step in steps[-25:]), 4),
        "curve": [[step.number, round(step.loss, 4)] for step in steps[:: max(1, len(steps) // 200)]],
        "gpu_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if run.device.type == "cuda" else None,
    }
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, weights)
    told.write_text(json.dumps(training))
    return network, training


def _scored(run: Run, extractors: Sequence[Extractor], photographs: str) -> dict[str, dict[str, Any]]:
    """The paper's figures as means over splits, by extractor; finished splits are kept between calls."""
    edits = [by_name("jpg_compression_50"), by_name("scaling_0.5")] if run.toy else paper(dejavu_sans_bold())
    results: dict[str, list[dict[str, Any]]] = {extractor.name: [] for extractor in extractors}
    slowest = 0.0
    for seed in SPLITS[: run.size(len(SPLITS), 1)]:
        kept = run.state / f"{Path(photographs).stem}-{seed}.json"
        if not kept.exists():
            if run.seconds_left < 1.3 * slowest + MARGIN_S:
                raise Unfinished(f"{photographs}: splits from {seed} on")
            began = time.monotonic()
            protocol = Protocol(seed=seed, n_attacked=run.size(100, 3), edits=edits, repeats=run.size(1000, 20))
            found = run_paper(extractors, run.inputs / photographs, metric="js", protocol=protocol)
            kept.write_text(json.dumps([result.to_dict() for result in found]))
            slowest = max(slowest, time.monotonic() - began)
        for result in json.loads(kept.read_text()):
            results[result["extractor"]].append(result)
    return {name: _means(of_one) for name, of_one in results.items()}


def _means(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over splits of each figure and of both ends of its interval, and the AUC of each edit."""
    means: dict[str, Any] = {
        figure: {
            end: round(statistics.mean(result[figure][end] for result in results), 4)
            for end in ("value", "low", "high")
        }
        for figure in FIGURES
    }
    attacks = [attack["name"] for attack in results[0]["attacks"]]
    means["supported"] = all(result["supported"] for result in results)
    means["attacks"] = {
        name: round(statistics.mean(result["attacks"][i]["auc_right_image"] for result in results), 4)
        for i, name in enumerate(attacks)
    }
    return means


def _told(means: dict[str, Any]) -> str:
    figure = means["auc_right_image"]
    return f"{figure['value']:.4f} ({figure['low']:.4f}-{figure['high']:.4f})"


STAGE = Stage(
    "train",
    "How good does mini become when it sees ten times as many views as on a CPU?",
    "9,410 photographs, 8 minutes of steps of 512 pairs; 58 edits of 200 photographs, five splits, dev and BSDS500",
    minutes=17,
    value=100,
    work=work,
    inputs=(
        Input("train/train-0.tar", 26.4, part=1),
        Input("train/train-1.tar", 26.2, part=1),
        Input("train/train-2.tar", 26.2, part=2),
        Input("strangers/dev.tar", 11.8, part=2),
        Input("bsds500", 35.3, part=3),
    ),
)
