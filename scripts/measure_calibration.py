"""Measure whether intervals of rates of false matches hold, and what a small sample says of rates beyond it.

    scripts/measure_calibration.py --photographs FOLDER   writes results/decide/calibration.json

The photographs are many (120,000 thumbnails here), of which all near pairs are found, so that the rates of the whole
are known. Small samples are drawn, a curve is fitted to the pairs among them, and its interval of the rate at a
distance is compared with the share of pairs of all *other* photographs within it: no image is shared. Rows and pairs
are kept below --cache.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch import load_extractor
from simsearch.decide.rate_curve import RateCurve, Sides
from simsearch.distance import by_name
from simsearch.images.find import find
from simsearch.runtime.provenance import write_record
from simsearch.search.range_search import within

CHANNELS = {
    "dhash": ("dhash", "hamming"),
    "phash": ("phash", "hamming"),
    "pdq": ("pdq", "hamming"),
    "mini, js": ("mini", "js"),
    "mini, cosine": ("mini", "cosine"),
    "mini, 96 bits": ("mini(bits=96)", "hamming"),
}
SAMPLES = (550, 2200)
RATES = (1e-3, 1e-4, 1e-5)  # a pair: a tenth, a hundredth, a thousandth of the queries of a library of 100
BEYOND = (1e-6, 1e-7, 1e-8)
KEPT = 2e-3  # share of the pairs that are found
AT_ONCE = 1000


@dataclass(frozen=True)
class NearPairs:
    """The nearest pairs of all photographs, each once, nearest first."""

    distances: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    images: int

    @property
    def total(self) -> float:
        """All pairs of photographs, near or far."""
        return self.images * (self.images - 1) / 2

    def starts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pairs in the order of their left image, and where each image's begin."""
        order = np.argsort(self.left, kind="stable")
        return order, np.searchsorted(self.left[order], np.arange(self.images + 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True, help="a folder of many")
    parser.add_argument("--channels", default=";".join(CHANNELS), help="names, with semicolons between them")
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--cache", type=Path, default=Path("runs/calibration"))
    parser.add_argument("--output", type=Path, default=Path("results/decide/calibration.json"))
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    channels = {}
    for name in arguments.channels.split(";"):
        began = time.perf_counter()
        pairs = near_pairs(name, arguments.photographs, arguments.cache)
        channels[name] = measured(pairs, arguments.resamples)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        show(name, channels[name])
    cells = [cell for channel in channels.values() for cell in channel["cells"]]
    covered = [cell["covered"] for cell in cells]
    twofold = min(
        cell["within_twofold"] for cell in cells if cell["asked"] == RATES[1] and cell["images"] == SAMPLES[0]
    )
    verdict = (
        f"The 95 % interval held in {min(covered):.1%} to {max(covered):.1%} of {arguments.resamples:,} resamples over "
        f"{len(cells)} cells ({sum(0.93 <= one <= 0.97 for one in covered)} within 93 to 97 %); from {SAMPLES[0]} "
        f"images a pair rate of 1e-4 was told within a factor of two in {twofold:.1%} at least."
    )
    write_record(arguments.output, {"resamples": arguments.resamples, "channels": channels}, verdict=verdict)
    print(verdict)


def measured(pairs: NearPairs, resamples: int) -> dict[str, Any]:
    """Return how often intervals hold, and what is said beyond the sample."""
    levels = np.unique(pairs.distances)
    counts = np.searchsorted(pairs.distances, levels, side="right")

    def level_of(rate: float) -> float:
        return float(levels[np.argmin(np.abs(np.log(counts / pairs.total / rate)))])

    rng = np.random.default_rng(0)
    cells, said = [], []
    for size in SAMPLES:
        curves, chosen, minima = drawn(pairs, size, resamples, rng)
        for rate in RATES:
            at = level_of(rate)
            truth = rates_of_others(pairs, chosen, at)
            low, high = (np.array(ends) for ends in zip(*(curve.interval(-at) for curve in curves), strict=True))
            values = np.array([float(curve.rate(-at)) for curve in curves])
            ratio = values / truth
            cells.append(
                {
                    "images": size,
                    "asked": rate,
                    "distance": at,
                    "rate": float(truth.mean()),
                    "covered": float(((low <= truth) & (truth <= high)).mean()),
                    "too_low": float((high < truth).mean()),
                    "within_twofold": float(((ratio >= 0.5) & (ratio <= 2)).mean()),
                    "median_ratio": float(np.median(ratio)),
                }
            )
        if size == SAMPLES[0]:
            reached = [rate for rate in BEYOND if counts[0] <= 2 * rate * pairs.total]
            said = [beyond(pairs, curves, minima, level_of(rate)) for rate in reached]
    return {"photographs": pairs.images, "cells": cells, "beyond": said}


def beyond(
    pairs: NearPairs, curves: Sequence[RateCurve], minima: Sequence[tuple[float, float]], at: float
) -> dict[str, Any]:
    """Return what small samples say of a rate they cannot hold: by exceedances, by minima of images, by both."""
    found = int(np.searchsorted(pairs.distances, at, side="right"))
    exceedances = np.array([-float(curve.decades(-at)) for curve in curves])
    of_minima = np.array([(level + slope * at) / np.log(10) for level, slope in minima])
    ways = {"exceedances": exceedances, "minima": of_minima, "both": (exceedances + of_minima) / 2}
    highs = np.array([float(curve.interval(-at)[1]) for curve in curves])
    return {
        "distance": at,
        "found": found,
        "rate": found / pairs.total,
        "said": float(np.median([float(curve.rate(-at)) for curve in curves])),
        "upper_end": float(np.median(highs)),
        "upper_end_held": float((highs >= found / pairs.total).mean()),
        "beyond_calibration": float(np.mean([bool(curve.is_beyond(-at)) for curve in curves])),
        "fitted": {way: (10 ** np.quantile(values, (0.05, 0.5, 0.95))).tolist() for way, values in ways.items()},
        "decades_off": {
            way: float(np.sqrt(np.mean((values - np.log10(found / pairs.total)) ** 2))) for way, values in ways.items()
        },
    }


def drawn(
    pairs: NearPairs, size: int, resamples: int, rng: np.random.Generator
) -> tuple[list[RateCurve], list[NDArray[np.int64]], list[tuple[float, float]]]:
    """Return the curve of each of many samples of photographs, the samples, and the tail by minima of each image."""
    order, starts = pairs.starts()
    number = np.full(pairs.images, -1, np.int64)
    curves, chosen, minima = [], [], []
    for _ in range(resamples):
        sample = rng.choice(pairs.images, size, replace=False)
        number[sample] = np.arange(size)
        mine = np.concatenate([order[starts[i] : starts[i + 1]] for i in sample.tolist()])
        mine = mine[number[pairs.right[mine]] >= 0]
        sides = Sides(number[pairs.left[mine]], number[pairs.right[mine]], (size,))
        curves.append(RateCurve.of(-pairs.distances[mine], total=size * (size - 1) // 2, sides=sides))
        nearest = np.full(size, np.inf)
        for side in (sides.left, sides.right):
            np.minimum.at(nearest, side, pairs.distances[mine])
        minima.append(tail_of_minima(nearest))
        number[sample] = -1
        chosen.append(sample)
    return curves, chosen, minima


def tail_of_minima(nearest: NDArray[np.float64]) -> tuple[float, float]:
    """Return the logarithm of the rate of a pair at distance 0, and its slope, of each image's nearest stranger (n,).

    A Gumbel distribution of the minima, P(nearest > d) = exp(-(n - 1) F(d)) with F(d) exponential, fitted by least
    squares to the nearest half: farther ones are not all known.
    """
    n = len(nearest)
    ordered = np.sort(nearest)[: n // 2]
    ordered = ordered[np.isfinite(ordered)]
    rates = np.log(-np.log1p(-(np.arange(len(ordered)) + 0.5) / n) / (n - 1))
    slope, level = np.polyfit(ordered, rates, 1)
    return float(level), float(slope)


def rates_of_others(pairs: NearPairs, chosen: Sequence[NDArray[np.int64]], at: float) -> NDArray[np.float64]:
    """Return the share of pairs within a distance among the photographs that are in no sample, for each sample."""
    m = int(np.searchsorted(pairs.distances, at, side="right"))
    left, right = pairs.left[:m], pairs.right[:m]
    degrees = np.bincount(left, minlength=pairs.images) + np.bincount(right, minlength=pairs.images)
    order = np.argsort(left, kind="stable")
    starts = np.searchsorted(left[order], np.arange(pairs.images + 1))
    rates = []
    for sample in chosen:
        inside = np.zeros(pairs.images, bool)
        inside[sample] = True
        both = sum(int(inside[right[order[starts[i] : starts[i + 1]]]].sum()) for i in sample.tolist())
        others = pairs.images - len(sample)
        rates.append((m - int(degrees[sample].sum()) + both) / (others * (others - 1) / 2))
    return np.array(rates)


def near_pairs(channel: str, folder: Path, cache: Path) -> NearPairs:
    """Return the near pairs of all photographs by a channel."""
    model, metric = CHANNELS[channel]
    kept = cache / f"pairs-{channel.replace(', ', '-').replace(' ', '-')}.npz"
    if not kept.exists():
        rows = rows_of(model, folder, cache)
        rng = np.random.default_rng(0)
        some = by_name(metric)(*(rows[rng.choice(len(rows), 1000)] for _ in range(2))).ravel()
        reach = float(np.quantile(some[some > 0], KEPT))
        found = []
        for start in range(0, len(rows), AT_ONCE):
            near = within(
                rows[start : start + AT_ONCE], [rows[start:]], max_distance=reach, metric=metric, device="cpu"
            )
            left = np.repeat(np.arange(len(near.starts) - 1), np.diff(near.starts))
            once = near.positions > left
            found.append((near.distances[once], left[once] + start, near.positions[once] + start))
        distances, left, right = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.argsort(distances, kind="stable")
        np.savez(
            kept,
            distances=distances[order].astype(np.float32),
            left=left[order].astype(np.int32),
            right=right[order].astype(np.int32),
            images=len(rows),
        )
    held = np.load(kept)
    return NearPairs(held["distances"].astype(np.float64), held["left"], held["right"], int(held["images"]))


def rows_of(model: str, folder: Path, cache: Path) -> NDArray[Any]:
    """Return the rows of all photographs by a model."""
    kept = cache / f"rows-{model.replace('(', '-').replace(')', '').replace('=', '')}.npy"
    if not kept.exists():
        paths = [source.path for source in find([folder]) if hasattr(source, "has_path")]
        extractor = load_extractor(model, device="cpu")
        rows = [extractor.embed(paths[start : start + AT_ONCE]) for start in range(0, len(paths), AT_ONCE)]
        np.save(kept, np.concatenate(rows))
    return np.asarray(np.load(kept))


def show(name: str, channel: dict[str, Any]) -> None:
    """Print a channel's figures."""
    for cell in channel["cells"]:
        print(
            f"{name:14} {cell['images']:5} images, rate {cell['rate']:.1e}: interval holds {cell['covered']:.1%} (too "
            f"low {cell['too_low']:.1%}), within a factor of two {cell['within_twofold']:.1%}, median ratio "
            f"{cell['median_ratio']:.2f}"
        )
    for one in channel["beyond"]:
        ways = ", ".join(
            f"{way} {one['fitted'][way][1]:.1e} (off by {off:.2f} decades)" for way, off in one["decades_off"].items()
        )
        print(
            f"{name:14} from {SAMPLES[0]}, rate {one['rate']:.1e}: said {one['said']:.1e}, at most "
            f"{one['upper_end']:.1e}; fitted to {ways}"
        )


if __name__ == "__main__":
    main()
