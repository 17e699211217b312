"""Does normalising a distance by background rows find more copies at one rate of false matches?

    scripts/measure_normalisation.py --data ../shared/data    writes results/decide/normalisation.json

Photographs of strangers/dev are edited by every edit of configs/today.yaml and asked of themselves and of half of
strangers/calibration; the other half is the background. A match counts as found within the distance that a share of
1e-4 and of 1e-5 of the pairs across sources reach. Compared are the bare distance, the distance less its mean to the
query's nearest background rows (as SSCD reports; Pizzi et al., 2022), rows from which the nearest background rows are
subtracted (as in the winning entry of the Image Similarity Challenge 2021), and the expected number of false matches
for this query by its neighbours, as `simsearch query` gives it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from measure_pairs import edits_of, read
from simsearch import load_extractor
from simsearch.decide.density import Density
from simsearch.decide.rate_curve import RateCurve
from simsearch.distance import by_name
from simsearch.library.calibration.comparison import Group, Rule
from simsearch.library.calibration.count import count
from simsearch.runtime.provenance import write_record

RATES = (1e-4, 1e-5)
NEAREST = (1, 3, 10, 30)  # background rows
SHARES = (0.2, 0.35, 0.5)  # of them, that are subtracted

Rows = NDArray[np.float32]


class Photographs(NamedTuple):
    """Rows of photographs and numbers of their sources."""

    rows: Rows
    sources: NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="mini")
    parser.add_argument("--count", type=int, default=200, help="photographs that are edited")
    parser.add_argument("--output", type=Path, default=Path("results/decide/normalisation.json"))
    arguments = parser.parse_args()
    extractor = load_extractor(arguments.model, device="cpu")
    sets = [list(read(arguments.data / "strangers" / f"{name}.tar")) for name in ("dev", "calibration")]
    names = [name.split("_")[0] for photographs in sets for name, _ in photographs]
    numbers = np.unique(names, return_inverse=True)[1].astype(np.int64)
    rows = extractor.embed([image for photographs in sets for _, image in photographs])
    first = len(sets[0])
    half = np.random.default_rng(0).permutation(len(rows) - first) + first
    background = Photographs(rows[half[::2]], numbers[half[::2]])
    places = np.concatenate([np.arange(first), half[1::2]])
    held = Photographs(rows[places], numbers[places])
    own, asked = [], []
    chosen = np.random.default_rng(1).permutation(first)[: arguments.count]
    for i in chosen.tolist():
        copies = [
            edit.apply(sets[0][i][1], np.random.default_rng((i, len(edit.name))))
            for group, edit in edits_of(Path("configs/today.yaml"))
            if group != "paper"
        ]
        asked.append(extractor.embed(copies))
        own += [i] * len(copies)
    queries = Photographs(np.concatenate(asked), numbers[np.array(own)])
    found = {
        metric: compared(queries, np.array(own), held, background, metric) for metric in (extractor.metric, "cosine")
    }
    best = {metric: max(each, key=lambda name: each[name]["1e-05"]) for metric, each in found.items()}
    verdict = "; ".join(
        f"by {metric} at a pair rate of 1e-5: bare {each['bare']['1e-05']:.3f}, best {best[metric]} "
        f"{each[best[metric]]['1e-05']:.3f}"
        for metric, each in found.items()
    )
    write_record(
        arguments.output,
        {"model": extractor.name, "queries": len(own), "held": len(held.rows), "recall": found},
        verdict=verdict,
    )
    print(verdict)


def compared(
    queries: Photographs, own: NDArray[np.int64], held: Photographs, background: Photographs, metric: str
) -> dict[str, dict[str, float]]:
    """Return the share of copies found, by way of scoring and rate."""
    distance = by_name(metric)
    nearest = np.sort(distance(queries.rows, background.rows), axis=1)
    ways: dict[str, NDArray[Any]] = {"bare": distance(queries.rows, held.rows)}
    for k in NEAREST:
        ways[f"less its mean to {k} nearest"] = ways["bare"] - nearest[:, :k].mean(axis=1, keepdims=True)
    group = Group.of(held.rows, sources=held.sources)
    counted = count(group, group, Rule(metric, one_set=True))
    curve, density = counted.curve, counted.density
    if density is not None:
        neighbours = (distance(queries.rows, background.rows) <= density.distance).sum(axis=1)
        ways["expected for this query"] = for_query(ways["bare"], neighbours, len(background.rows), density, curve)
    if metric == "cosine":
        for k in (3, 10):
            for share in SHARES:
                left, right = (without(one, background.rows, k, share) for one in (queries.rows, held.rows))
                ways[f"{share:g} of {k} nearest subtracted"] = distance(left, right)
    strangers = queries.sources[:, None] != held.sources[None]
    return {name: recalls(values, own, strangers) for name, values in ways.items()}


def recalls(values: NDArray[Any], own: NDArray[np.int64], strangers: NDArray[np.bool_]) -> dict[str, float]:
    """Return the share of queries whose own photograph is within the distance of each rate."""
    apart = values[strangers]
    right = values[np.arange(len(own)), own]
    return {f"{rate:g}": float((right <= np.partition(apart, m := int(rate * len(apart)))[m]).mean()) for rate in RATES}


def for_query(
    distances: NDArray[Any], neighbours: NDArray[np.int64], rows: int, density: Density, curve: RateCurve
) -> NDArray[np.float64]:
    """Return the logarithm of the rate for each query, far into the fitted tail."""
    decades = curve.decades(-distances)
    factors = [density.factor(float(near), rows, 10.0**-far) for near, far in zip(neighbours, decades, strict=True)]
    return np.asarray(np.log10(factors) - decades)


def without(rows: Rows, background: Rows, k: int, share: float) -> Rows:
    """Return unit rows less a share of the mean of their nearest background rows."""
    unit, others = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (rows, background))
    near = np.argpartition(-(unit @ others.T), k, axis=1)[:, :k]
    moved = unit - share * others[near].mean(axis=1)
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True))


if __name__ == "__main__":
    main()
