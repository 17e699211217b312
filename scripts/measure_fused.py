"""Join the witnesses of `measure_pairs` into one rate, and write what is found at one expected false match.

Rates are counted on the first sample (strangers/calibration), recall on the second (strangers/test), where the false
matches that the rates predict are compared with those that are there. Pairs of one source are look-alikes, counted
apart. Known copies among the strangers are named by --copies.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.known_rates import KnownRates
from simsearch.decide.pair_rate import FEWEST_PAIRS
from simsearch.decide.rate_curve import JointRate, Sides
from simsearch.runtime.provenance import write_record
from simsearch.spatial.points import Points

LIBRARIES = (10_000, 100_000, 1_000_000)
DRAWS = 1000


class Sample:
    """The pairs of files of `measure_pairs`, the shards of one library."""

    def __init__(self, paths: Sequence[Path], copies: set[frozenset[str]]) -> None:
        shards = [dict(np.load(path)) for path in paths]
        held = shards[0] | {
            name: np.concatenate([shard[name] for shard in shards]) for name in ("own", "edits", "distances", "places")
        }
        self.names: list[str] = held["names"].tolist()
        sources, numbers = np.unique([name.split("_")[0] for name in self.names], return_inverse=True)
        self.own, self.edits = held["own"], held["edits"].tolist()
        self.distances, self.places = held["distances"].astype(np.float64), held["places"].astype(np.float64)
        self.model, self.fingerprint, self.bytes = str(held["model"]), str(held["fingerprint"]), int(held["bytes"])
        self.sources = sources.tolist()
        seen = self.places >= 0
        alike = numbers[self.own][:, None] == numbers[None]
        stems = [Path(name).stem for name in self.names]
        known = {i: {j for j in range(len(stems)) if frozenset((stems[i], stems[j])) in copies} for i in set(self.own)}
        for line, i in enumerate(self.own.tolist()):
            seen[line, [i, *known[i]]] = False
            if self.edits[line].endswith("/none"):
                seen[line, :i] = False  # as it is asked from the other side
        self.strangers, self.look_alikes = seen & ~alike, seen & alike

    def strengths(self, chosen: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
        """Return what each witness says of some pairs."""
        return {"row": -self.distances[chosen], "points": self.places[chosen]}

    def sides(self, chosen: NDArray[np.bool_]) -> Sides:
        """Return the photographs of some pairs."""
        lines, right = np.nonzero(chosen)
        return Sides(self.own[lines], right, (len(self.names),))

    def of_originals(self) -> dict[str, NDArray[np.float64]]:
        """Return what each witness says of every query and its own original."""
        lines = np.arange(len(self.own))
        return {"row": -self.distances[lines, self.own], "points": self.places[lines, self.own]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=Path, nargs="+", required=True, help="the sample that rates are counted on")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="the sample that recall is reported on")
    parser.add_argument("--copies", type=Path, help="a text with the stems of two copies a line")
    parser.add_argument("--output", type=Path, default=Path("results/spatial/fused.json"))
    parser.add_argument("--keep", type=Path, help="where the package keeps rates; those of others stay")
    arguments = parser.parse_args()
    lines = arguments.copies.read_text().splitlines() if arguments.copies else []
    copies = {frozenset(line.split()) for line in lines}
    sample, test = (Sample(paths, copies) for paths in (arguments.rates, arguments.test))
    joint = JointRate.of(sample.strengths(sample.strangers), sample.sides(sample.strangers))
    if arguments.keep:
        keep(arguments.keep, joint, sample)
    originals = test.of_originals()
    rates = {"fused": joint.rate(originals), **{n: joint.alone[n].rate(originals[n]) for n in originals}}
    record = {
        "rates": {
            "pairs": int(sample.strangers.sum()),
            "sources": sample.sources,
            "queries": len(sample.own),
            "supported": FEWEST_PAIRS / float(sample.strangers.sum()),
        },
        "photographs": len(set(test.own.tolist())),
        "copies": sorted(sorted(pair) for pair in copies),
        "model": sample.model,
        "bytes": sample.bytes,
        "recall": {name: {str(n): recall(test, rate * n <= 1) for n in LIBRARIES} for name, rate in rates.items()},
        "by_edit": {name: by_edit(test, rate * LIBRARIES[1] <= 1) for name, rate in rates.items()},
        "false_matches": {
            kind: {str(n): mistakes(joint, test, chosen, n) for n in LIBRARIES}
            for kind, chosen in (("strangers", test.strangers), ("look_alikes", test.look_alikes))
        },
    }
    found = {name: record["recall"][name][str(LIBRARIES[1])] for name in rates}
    verdict = (
        f"One false match expected among {LIBRARIES[1]:,}: of today's copies {found['fused']['today']['mean']:.1%} are "
        f"found by {sample.model} and {sample.bytes} bytes of keypoints together, {found['row']['today']['mean']:.1%} "
        f"by {sample.model} alone, {found['points']['today']['mean']:.1%} by keypoints alone; of the paper's "
        f"{found['fused']['paper']['mean']:.1%}, {found['row']['paper']['mean']:.1%} and "
        f"{found['points']['paper']['mean']:.1%}."
    )
    write_record(arguments.output, record, verdict=verdict)
    print(verdict)


def keep(path: Path, joint: JointRate, sample: Sample) -> None:
    """Put rates into the package's, by fingerprints, in place of those of the same models."""
    names = {"row": sample.fingerprint, "points": Points(bytes=sample.bytes).fingerprint}
    models = {"row": sample.model, "points": Points(bytes=sample.bytes).name}
    strangers, sides = sample.strengths(sample.strangers), sample.sides(sample.strangers)
    alone = JointRate.of({"points": strangers["points"]}, sides)  # beside rows of any other model
    known = [
        KnownRates(
            {names[key]: models[key] for key in rate.alone},
            JointRate({names[key]: curve for key, curve in rate.alone.items()}, rate.joint),
            int(sample.strangers.sum()),
        )
        for rate in (joint, alone)
    ]
    before = [KnownRates.from_dict(one) for one in json.loads(path.read_text())["rates"]] if path.exists() else []
    counted = [one.names.keys() for one in known]
    known = [one for one in before if one.names.keys() not in counted] + known
    path.write_text(json.dumps({"rates": [one.to_dict() for one in known]}, indent=1) + "\n")


def recall(test: Sample, found: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the share found of each group, the mean over its edits, with intervals by photograph."""
    groups: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for line, edit in enumerate(test.edits):
        group, _, name = edit.partition("/")
        groups[group][name].append(line)
    rng, told = np.random.default_rng(0), dict[str, Any]()
    photographs = np.unique(test.own)
    for group, edits in groups.items():
        table = np.stack([found[lines][np.argsort(test.own[lines])] for lines in edits.values()])
        draws = rng.integers(0, len(photographs), (DRAWS, len(photographs)))
        means = table.mean(axis=0)[draws].mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975)).round(4).tolist()
        told[group] = {"mean": round(float(table.mean()), 4), "low": low, "high": high}
    return told


def by_edit(test: Sample, found: NDArray[np.bool_]) -> dict[str, float]:
    """Return the share found of each edit."""
    names = np.array(test.edits)
    return {str(name): round(float(found[names == name].mean()), 3) for name in np.unique(names)}


def mistakes(joint: JointRate, test: Sample, chosen: NDArray[np.bool_], library: int) -> dict[str, Any]:
    """Return how many pairs that are no copies count as matches in a library of that size, of how many."""
    strengths = test.strengths(chosen)
    threshold = 1 / library
    predicted = threshold * int(chosen.sum())
    by_row = joint.alone["row"].rate(strengths["row"]) <= threshold
    return {
        "pairs": int(chosen.sum()),
        "predicted_at_most": round(predicted, 2),
        "fused": int((joint.rate(strengths) <= threshold).sum()),
        "row": int(by_row.sum()),
    }


if __name__ == "__main__":
    main()
