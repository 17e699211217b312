"""Measure what a network does on edits that its training never showed: each family of edits left out once.

A small network is trained from random weights with every edit of a recipe, and once more without each group of them, by
the same seed and for as many steps. All are tried on the same photographs of another kind, which none was trained on,
edited by the paper's 58 edits, and held to the same false-positive rate on the same strangers, edited alike; intervals
are of the paired difference, when whole source images are drawn again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import track

from compare_models import trial_of
from measure_training import short
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.runtime.provenance import write_record
from simsearch.training.config import Edit, FinetuneConfig, View, read_config
from simsearch.training.data.augmentation_plan import plan_of, trained_families
from simsearch.training.finetune import MODEL, finetune
from simsearch.training.network import starting_point
from simsearch.training.validation.evaluation import Pixels, Scores, Trial, scores
from simsearch.training.validation.regression_guard import GuardTable, compare

FPR = 0.005


class Group(NamedTuple):
    """Beginnings of the names of edits that are left out together, and the paper's families that they resemble."""

    edits: tuple[str, ...]
    families: tuple[str, ...]


GROUPS = {
    "text": Group(("text",), ("text_length",)),
    "compression": Group(("jpg",), ("jpg_compression",)),
    "rotation": Group(("rotation",), ("rotation",)),
    "shearing": Group(("shearing",), ("shearing",)),
    "cropping": Group(("crop",), ("cropping",)),
    "brightness": Group(("brightness",), ("brightness_enhancement",)),
    "contrast": Group(("contrast",), ("contrast_enhancement",)),
    "colour": Group(("color",), ("color_enhancement",)),
    "blur": Group(("blur",), ("gaussian_filter", "median_filter")),
    "noise": Group(("gaussian_noise", "s&p_noise"), ("gaussian_noise", "s&p_noise", "speckle_noise")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, default=Path("configs/mini_scratch.yaml"))
    parser.add_argument("--photographs", type=Path, default=Path("../shared/data/train/train-0.tar"))
    parser.add_argument("--strangers", type=Path, default=Path("../shared/data/strangers/dev.tar"))
    parser.add_argument("--steps", type=int, default=600, help="of each training")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=80, help="side of the square that the network takes, at one scale")
    parser.add_argument("--library", type=int, default=200, help="photographs looked for")
    parser.add_argument("--others", type=int, default=400, help="photographs that are in no library")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--output", type=Path, default=Path("results/mini/left_out.json"))
    arguments = parser.parse_args()
    smaller = {"images": (str(arguments.photographs),), "size": arguments.size, "side": 2 * arguments.size}
    smaller |= {"batch": arguments.batch, "scales": (1.0,)}
    config = short(read_config(arguments.recipe), arguments.steps).model_copy(update=smaller)
    trial = trial_of(
        arguments.strangers,
        starting_point(config)[0].preprocessing,
        library=arguments.library,
        most=arguments.library + arguments.others,
        seed=config.seed,
    )
    queries = list(trial.queries())
    groups = arguments.groups.split(",")
    everything = _scores(config, trial, queries, arguments.device)
    facts = {
        "recipe": arguments.recipe.name,
        "steps": arguments.steps,
        "batch": arguments.batch,
        "size": arguments.size,
        "photographs": arguments.photographs.name,
        "looked_for": arguments.library,
        "strangers": arguments.others,
        "fpr": FPR,
    }
    tables: dict[str, GuardTable] = {}
    for group in track(groups, "left out", console=Console(stderr=True)):
        less = without(config, GROUPS[group].edits)
        families = trained_families(*(plan_of(view, "") for view in (less.views.moderate, less.views.hard)))
        found = _scores(less, trial, queries, arguments.device)
        tables[group] = compare(
            everything, found, trial.edits, trained=families, fpr=FPR, margin=1.0, draws=1000, seed=config.seed
        )
        left_out = {name: _told(table, name) for name, table in tables.items()}
        verdict = _verdict(left_out)
        write_record(arguments.output, {**facts, "left_out": left_out}, verdict=verdict)  # a long run may be cut short
        print(verdict, flush=True)


def _verdict(left_out: dict[str, dict[str, Any]]) -> str:
    worst = min(left_out, key=lambda group: left_out[group]["own"]["after"] - left_out[group]["own"]["before"])
    own = left_out[worst]["own"]
    return (
        f"recall of a family that training never showed against one that it did; the most is lost on {worst}: "
        f"{own['before']:.3f} to {own['after']:.3f}"
    )


def without(config: FinetuneConfig, names: Sequence[str]) -> FinetuneConfig:
    """The recipe without the edits whose names begin like that."""

    def less(view: View) -> View:
        kept: tuple[Edit, ...] = tuple(edit for edit in view.edits if not edit.edit.startswith(tuple(names)))
        return view.model_copy(update={"edits": kept})

    views = config.views
    return config.model_copy(
        update={"views": views.model_copy(update={"moderate": less(views.moderate), "hard": less(views.hard)})}
    )


def _scores(config: FinetuneConfig, trial: Trial, queries: list[tuple[Pixels, ...]], device: str) -> Scores:
    with tempfile.TemporaryDirectory() as folder:
        finetune(config, Path(folder), device=device, force=True)
        extractor = NeuralExtractor(Path(folder) / MODEL, device=device)
    return scores(trial.originals(), queries, [extractor.embed_pixels], [extractor.metric])[0]


def _told(table: GuardTable, group: str) -> dict[str, Any]:
    """The table, and the mean of the families that were left out."""
    lost = [change for change in table.families if change.family in GROUPS[group].families]
    mean = {key: sum(getattr(change, key) for change in lost) / len(lost) for key in ("before", "after")}
    return {"own": mean, "families": [asdict(change) for change in table.families], "overall": asdict(table.overall)}


if __name__ == "__main__":
    main()
