"""Measure a model's recall at a false-positive rate that the strangers support: those of another set of photographs.

Some photographs of one folder are the library, edited in the paper's 58 ways and looked for; the strangers come from a
set of another kind and are edited alike. Intervals are of whole source images drawn again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from compare_models import SIDE
from simsearch.decide import recall_at_fpr, supported
from simsearch.decide.bootstrap import Area, CountStatistic, RecallAtFpr, bootstrap_by_source
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.zoo.find import find_model
from simsearch.images.perturb import PAPER
from simsearch.runtime.provenance import write_record
from simsearch.training.data.images import load_pictures
from simsearch.training.validation.evaluation import Scores, Trial, scores

FPR = 0.005
DRAWS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini", help="name or folder")
    parser.add_argument("--photographs", type=Path, default=Path("../shared/data/bsds500"))
    parser.add_argument("--library", type=int, default=250, help="how many of them are looked for")
    parser.add_argument("--strangers", type=Path, default=Path("../shared/data/strangers/test.tar"))
    parser.add_argument("--most", type=int, help="how many strangers; by default all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("results/mini/strangers.json"))
    arguments = parser.parse_args()
    model = NeuralExtractor(find_model(arguments.model), device=arguments.device)
    own, _ = load_pictures([arguments.photographs], side=SIDE, most=arguments.library, seed=arguments.seed)
    strangers, _ = load_pictures([arguments.strangers], side=SIDE, most=arguments.most, seed=arguments.seed)
    trial = Trial(PAPER, own, strangers, (model.preprocessing,), arguments.seed)
    queries = track(trial.queries(), "edits", total=len(PAPER), console=Console(stderr=True))
    [found] = scores(trial.originals(), queries, [model.embed_pixels], [model.metric])
    values = {
        "model": model.name,
        "weights_sha256": model.card.weights.sha256,
        "metric": model.metric,
        "photographs": arguments.photographs.name,
        "library": len(own),
        "strangers": len(strangers),
        "strangers_from": arguments.strangers.name,
        "edits": len(PAPER),
        "fpr": FPR,
        "supported": supported(FPR, len(strangers)),
        "auc_right_image": estimate(Area(), found, arguments.seed),
        "recall_right_image": estimate(RecallAtFpr(FPR), found, arguments.seed),
        "by_edit": by_edit(found),
    }
    recall, area = values["recall_right_image"], values["auc_right_image"]
    verdict = (
        f"{model.name} by {model.metric}, {len(own)} photographs, {len(strangers):,} strangers of another set: right "
        f"image at FPR {FPR:g} {recall['value']:.3f} ({recall['low']:.3f}-{recall['high']:.3f}), AUC "
        f"{area['value']:.4f} ({area['low']:.4f}-{area['high']:.4f})"
    )
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def by_edit(found: Scores) -> dict[str, float]:
    """The recall of each edit at the threshold of all edits together."""
    threshold = recall_at_fpr(found.right, found.strangers, FPR).threshold
    within = (found.right <= threshold).mean(axis=0)
    return {edit.name: round(float(share), 4) for edit, share in zip(PAPER, within, strict=True)}


def estimate(statistic: CountStatistic, found: Scores, seed: int) -> dict[str, Any]:
    """A number, and its interval when whole source images are drawn again."""
    value = statistic(found.right.ravel(), found.strangers.ravel())
    interval = bootstrap_by_source(
        statistic, found.right, found.strangers, rng=np.random.default_rng(seed), repeats=DRAWS
    )
    return {"value": value, **interval._asdict()}


if __name__ == "__main__":
    main()
