"""Compare two models on photographs that neither was trained on: the paper's 58 edits, paired by source image.

Some photographs are the library, the others strangers; every one is edited in all 58 ways. Each model is held to the
same false-positive rate on the same strangers. Intervals are of the difference when whole source images, own and
strange, are drawn again for both models together.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from simsearch.decide.bootstrap import Area, bootstrap_difference
from simsearch.decide.roc_curve import auc
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.zoo.find import find_model
from simsearch.images.perturb import PAPER
from simsearch.images.preprocess import Preprocessing
from simsearch.runtime.provenance import write_record
from simsearch.training.data.images import load_pictures
from simsearch.training.validation.evaluation import Scores, Trial, scores
from simsearch.training.validation.regression_guard import compare

FPR = 0.005
DRAWS = 1000
SIDE = 480  # photographs larger than this are made smaller first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", help="name or folder of a model")
    parser.add_argument("after", help="name or folder of a model")
    parser.add_argument("--photographs", type=Path, default=Path("../shared/data/strangers/dev.tar"))
    parser.add_argument("--library", type=int, default=500, help="how many of them are looked for")
    parser.add_argument("--most", type=int, default=1200, help="how many are used in all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("results/mini/dev.json"))
    arguments = parser.parse_args()
    models = [
        NeuralExtractor(find_model(name), device=arguments.device) for name in (arguments.before, arguments.after)
    ]
    trial = trial_of(
        arguments.photographs,
        *[model.preprocessing for model in models],
        library=arguments.library,
        most=arguments.most,
        seed=arguments.seed,
    )
    found = scores(
        trial.originals(), _shown(trial), [model.embed_pixels for model in models], [model.metric for model in models]
    )
    before, after = found
    table = compare(before, after, PAPER, trained=frozenset(), fpr=FPR, margin=1.0, draws=DRAWS, seed=arguments.seed)
    areas = auc_change(before, after, seed=arguments.seed)
    values = {
        "photographs": arguments.photographs.name,
        "library": len(trial.own),
        "strangers": len(trial.strangers),
        "edits": len(PAPER),
        "fpr": FPR,
        "models": [{"name": model.name, "weights_sha256": model.card.weights.sha256} for model in models],
        "auc_right_image": areas,
        "recall_right_image": asdict(table.overall),
        "supported": table.supported,
        "families": [asdict(change) for change in table.families],
        "by_edit": {edit.name: _by_edit(found, i) for i, edit in enumerate(PAPER)},
    }
    verdict = (
        f"right image, {len(trial.strangers)} strangers: AUC {areas['before']:.4f} to {areas['after']:.4f} "
        f"({areas['low']:+.4f} to {areas['high']:+.4f}), recall at FPR {FPR:g} {table.overall.before:.3f} to "
        f"{table.overall.after:.3f} ({table.overall.low:+.3f} to {table.overall.high:+.3f})"
    )
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def trial_of(photographs: Path, *hows: Preprocessing, library: int, most: int, seed: int) -> Trial:
    """The paper's edits of photographs, of which some, by chance, are the library and the others strangers."""
    pictures, _ = load_pictures([photographs], side=SIDE, most=most, seed=seed)
    order = np.random.default_rng(seed).permutation(len(pictures)).tolist()
    return Trial(PAPER, pictures.part(order[:library]), pictures.part(order[library:]), hows, seed)


def _shown(trial: Trial) -> Iterator[Any]:
    yield from track(trial.queries(), "edits", total=len(trial.edits), console=Console(stderr=True))


def auc_change(before: Scores, after: Scores, *, seed: int) -> dict[str, float]:
    """The area under the ROC curve of the right image for both, and the interval of the difference, over sources."""
    sides = [(one.right, one.strangers) for one in (before, after)]
    change = bootstrap_difference(Area(), *sides, rng=np.random.default_rng(seed), repeats=DRAWS)
    once = [auc(near.ravel(), far.ravel()) for near, far in sides]
    return {"before": once[0], "after": once[1], "low": change.low, "high": change.high}


def _by_edit(found: list[Scores], i: int) -> dict[str, float]:
    """Each model's area on one edit, against the strangers under that edit."""
    names = ("before", "after")
    areas = [auc(scores.right[:, i], scores.strangers[:, i]) for scores in found]
    return {name: round(area, 5) for name, area in zip(names, areas, strict=True)}


if __name__ == "__main__":
    main()
