"""A better mini: its recipe from random weights on the device, judged on the dev strangers, then by the paper."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from compare_models import auc_change, trial_of
from measure_training import short
from proof.stage import Finding, Input, Run, Stage, Unfinished
from simsearch.benchmark import Settings, run_benchmark
from simsearch.extract.neural import NeuralExtractor
from simsearch.extract.zoo import find_model
from simsearch.training.checkpoint import Paused
from simsearch.training.finetune import MODEL, Outcome, finetune
from simsearch.training.guard import compare
from simsearch.training.settings import FinetuneConfig, read_config
from simsearch.training.trial import scores

RECIPE = Path("configs/mini_scratch.yaml")
MINUTES, BATCH, RATE = 8.0, 512, 2e-3
FPR = 0.005
MARGIN_S = 20.0
"""Left before the deadline for saving."""
JUDGING_S = 300.0
"""What the models' trials take, at most, once training is over."""


def work(run: Run) -> Finding:
    """Train (going on where a call before stopped), judge beside the mini that is shipped, then by the paper."""
    config = recipe(run)
    outcome = trained(run, config)
    candidate = run.output / "mini"
    shutil.copytree(outcome.folder / MODEL, candidate, dirs_exist_ok=True)
    if not run.toy and run.seconds_left < JUDGING_S:
        raise Unfinished("the model is trained; what it is worth remains")
    dev, bsds = _dev(run, candidate), _paper(run, candidate)
    area = dev["auc_right_image"]
    verdict = (
        f"right-image AUC by js on the dev strangers, shipped mini {area['before']:.4f}, this one {area['after']:.4f} "
        f"({area['low']:+.4f} to {area['high']:+.4f}): {'' if area['low'] > 0 else 'not '}better beyond its interval; "
        f"BSDS500 {bsds['auc_right_image']['mean']:.4f} (goal 0.995), recall at 0.5 % "
        f"{bsds['recall_right_image']['mean']:.3f} (goal 0.95)"
    )
    training = {
        "recipe": config.model_dump(mode="json"),
        "steps": outcome.steps,
        "minutes": round(outcome.seconds / 60, 2),
        "views_a_second": round(2 * config.batch * outcome.steps / max(outcome.seconds, 1e-9)),
        "images": outcome.images,
        "gpu_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if run.device.type == "cuda" else None,
    }
    return Finding(verdict, {"training": training, "dev": dev, "bsds500": bsds})


def recipe(run: Run) -> FinetuneConfig:
    """The recipe, on what was brought along, for a GPU's batch and minutes; three steps in a rehearsal."""
    config = read_config(RECIPE)
    shards = tuple(str(path) for path in sorted((run.inputs / "train").glob("train-*.tar")))
    strangers = {"strangers": (str(run.inputs / "strangers" / "dev.tar"),)}
    changes: dict[str, Any] = {"images": shards, "tensorboard": False}
    if run.toy:
        config = short(config, 3)
        changes |= {"batch": 8, "workers": 0}
    else:
        rate = config.optimiser.model_copy(update={"rate": RATE})
        changes |= {"minutes": MINUTES, "batch": BATCH, "optimiser": rate}
    changes["validation"] = config.validation.model_copy(update=strangers)
    return config.model_copy(update=changes)


def trained(run: Run, config: FinetuneConfig) -> Outcome:
    """The run, from an earlier call or from now.

    Raises:
        Unfinished: The deadline came first; the run is saved.
    """
    try:
        return finetune(
            config,
            run.state / "run",
            device=str(run.device),
            force=True,
            command="scripts/gpu_proof train",
            pause=lambda: run.seconds_left < MARGIN_S,
        )
    except Paused as paused:
        raise Unfinished(f"training: {paused}") from None


def _dev(run: Run, candidate: Path) -> dict[str, Any]:
    """Shipped and new on the dev strangers, paired by source image."""
    models = [NeuralExtractor(folder, device=str(run.device)) for folder in (find_model("mini"), candidate)]
    trial = trial_of(
        run.inputs / "strangers" / "dev.tar",
        *[model.preprocessing for model in models],
        library=run.size(500, 4),
        most=run.size(1200, 8),
        seed=0,
    )
    began = time.monotonic()
    before, after = scores(
        trial.originals(), trial.queries(), [m.embed_pixels for m in models], [m.metric for m in models]
    )
    table = compare(before, after, trial.edits, trained=frozenset(), fpr=FPR, margin=1.0, draws=1000, seed=0)
    return {
        "auc_right_image": auc_change(before, after, seed=0),
        "recall_right_image": asdict(table.overall),
        "families": [asdict(change) for change in table.families],
        "seconds": round(time.monotonic() - began, 1),
    }


def _paper(run: Run, candidate: Path) -> dict[str, Any]:
    """The paper's protocol on BSDS500, means over splits; finished parts are kept between calls."""
    settings = Settings(
        models=(str(candidate),),
        seeds=tuple(range(run.size(5, 1))),
        attacked=run.size(100, 3),
        edits=("jpg_compression_50", "scaling_0.5") if run.toy else ("paper",),
        bootstrap=run.size(1000, 20),
        device=str(run.device),
    )
    workers = 0 if run.toy else None
    [mean] = run_benchmark(run.inputs / "bsds500", settings, run.state / "benchmark", workers=workers).means
    return {
        **{key: asdict(getattr(mean, key)) for key in ("auc", "auc_right_image", "recall", "recall_right_image")},
        "supported": mean.supported,
        "attacks": {attack.name: round(attack.auc_right_image.mean, 4) for attack in mean.attacks},
    }


STAGE = Stage(
    "train",
    "How good does mini become when it sees ten times as many views as on a CPU?",
    "9,410 photographs, 8 minutes of steps of 512 pairs; 58 edits of 1,200 photographs, then BSDS500 in five splits",
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
