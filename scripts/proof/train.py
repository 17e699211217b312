"""Training mini's recipe from random weights on the device, judged beside the mini that is shipped."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from compare_models import auc_change, trial_of
from measure_training import short
from proof.stage import Finding, Input, Run, Stage, is_measured
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.zoo.find import find_model
from simsearch.training.checkpoint import Paused
from simsearch.training.config import FinetuneConfig, read_config
from simsearch.training.finetune import MODEL, Outcome, finetune
from simsearch.training.validation.evaluation import scores
from simsearch.training.validation.regression_guard import compare

RECIPE = Path("configs/mini_scratch.yaml")
MOST_MINUTES, BATCH, RATE = 8.0, 512, 2e-3
FPR = 0.005
MARGIN_S = 15.0
"""Left before the deadline for saving."""
JUDGING_S = 50.0
"""What loading, exporting and the two models' trials take besides training."""


def work(run: Run) -> Finding:
    """Train (going on where a call before stopped), then judge beside the mini that is shipped."""
    minutes = run.part("minutes", 0, lambda: min(MOST_MINUTES, max(0.3, (run.seconds_left - JUDGING_S) / 60)))
    config = recipe(run, minutes)
    outcome = trained(run, config)
    if outcome is None:
        run.remaining.append("training")
        return Finding("training is saved half done", {"minutes_of_training": minutes})
    candidate = run.output / "mini"
    shutil.copytree(outcome.folder / MODEL, candidate, dirs_exist_ok=True)
    training = {
        "steps": outcome.steps,
        "minutes": round(outcome.seconds / 60, 2),
        "views_a_second": round(2 * config.batch * outcome.steps / max(outcome.seconds, 1e-9)),
        "images": outcome.images,
        "gpu_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if run.device.type == "cuda" else None,
    }
    told = f"{training['views_a_second']:,} views a second for {training['minutes']} minutes"
    dev = run.part("dev", 30, lambda: _dev(run, candidate))
    if is_measured(dev):
        area = dev["auc_right_image"]
        told += (
            f"; right-image AUC by js on dev strangers: shipped mini {area['before']:.4f}, this one {area['after']:.4f}"
            f" ({area['low']:+.4f} to {area['high']:+.4f})"
        )
    return Finding(told, {"training": training, "dev": dev})


def recipe(run: Run, minutes: float) -> FinetuneConfig:
    """The recipe without looks in between, on what was brought along, for a GPU's batch; three steps in a rehearsal."""
    config = short(read_config(RECIPE), 3)
    shards = tuple(str(path) for path in sorted((run.inputs / "train").glob("train-*.tar")))
    strangers = {"strangers": (str(run.inputs / "strangers" / "dev.tar"),)}
    changes: dict[str, Any] = {"images": shards, "validation": config.validation.model_copy(update=strangers)}
    if run.toy:
        changes |= {"batch": 8, "workers": 0}
    else:
        rate = config.optimiser.model_copy(update={"rate": RATE})
        changes |= {"steps": None, "minutes": minutes, "batch": BATCH, "optimiser": rate}
    return config.model_copy(update=changes)


def trained(run: Run, config: FinetuneConfig) -> Outcome | None:
    """The run, from an earlier call or from now; None where the deadline came first, with the run saved."""
    try:
        return finetune(
            config,
            run.state / "run",
            device=str(run.device),
            force=True,
            command="scripts/gpu_proof train",
            pause=lambda: run.seconds_left < (0 if run.toy else MARGIN_S),
        )
    except Paused:
        return None


def _dev(run: Run, candidate: Path) -> dict[str, Any]:
    """Shipped and new on the dev strangers, paired by source image."""
    models = [NeuralExtractor(folder, device=str(run.device)) for folder in (find_model("mini"), candidate)]
    trial = trial_of(
        run.inputs / "strangers" / "dev.tar",
        *[model.preprocessing for model in models],
        library=run.size(50, 4),
        most=run.size(120, 8),
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


STAGE = Stage(
    "train",
    "How fast does mini's recipe train on a GPU, and how good is the model after as long as there was?",
    "3,100 photographs, steps of 512 pairs for the time there is but 50 s; 58 edits of 120 photographs",
    minutes=2,
    value=75,
    work=work,
    inputs=(Input("train/train-0.tar", 26.4), Input("strangers/dev.tar", 11.8)),
)
