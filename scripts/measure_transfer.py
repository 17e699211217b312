"""Predicted against observed false matches: rates counted on some sources, tried on photographs of another.

    scripts/measure_transfer.py --more NAME=FOLDER ...   writes results/decide/transfer.json

For every source of the strangers (names before the first underscore, textures left out) the rates are counted on the
others, its photographs are asked of the others', and the matches within the distance of a rate are counted: once as
predicted for a mean query, once for each query by its neighbours and its quality. Photographs of --more are asked of
all strangers, by rates of all; the tenth of the strangers with the lowest quality of those of other sources. Beside it
stands what a fixed threshold does: one fitted for a pair rate on one set, used on another, against one fitted on half
of that other set and used on its other half. Rows are kept below --cache.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from measure_calibration import CHANNELS
from measure_needle import COPIES
from measure_pairs import read
from simsearch import load_extractor
from simsearch.decide.rate_curve import RateCurve, Sides
from simsearch.distance import by_name, hamming
from simsearch.images.find import find
from simsearch.images.quality import quality
from simsearch.images.source import Source
from simsearch.library.calibration.comparison import DENSITY_ROWS, Group, Rule
from simsearch.library.calibration.count import count
from simsearch.runtime.provenance import write_record
from simsearch.search.range_search import within

LOW_QUALITY = "of low quality"
RATES = (1e-3, 1e-4, 1e-5)
FIXED = (5e-3, 1e-3)  # pair rates for which thresholds are fixed
MOST = 2500  # photographs of a folder
TARS = ("calibration", "test", "dev")
KNOWN = {frozenset(one.split("::")[1] for one in pair) for pair in COPIES}  # of two sources


class Photographs(NamedTuple):
    """Names, rows, numbers of sources, and qualities."""

    names: NDArray[np.str_]
    rows: NDArray[Any]
    sources: NDArray[np.int64]
    qualities: NDArray[np.int64]

    def some(self, chosen: NDArray[Any]) -> Photographs:
        """Return some of them."""
        return Photographs(self.names[chosen], self.rows[chosen], self.sources[chosen], self.qualities[chosen])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--more", nargs="*", default=[], metavar="NAME=FOLDER", help="photographs of further sources")
    parser.add_argument("--cache", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--output", type=Path, default=Path("results/decide/transfer.json"))
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    further = dict(one.split("=", 1) for one in arguments.more)
    channels, moved, qualities = {}, {}, qualities_of_strangers(arguments.data)
    for channel, (model, metric) in CHANNELS.items():
        began = time.monotonic()
        known = strangers(model, arguments.data, arguments.cache, qualities)
        more = {name: of_folder(model, name, Path(folder), arguments.cache) for name, folder in further.items()}
        bits = load_extractor(model, device="cpu").bits if metric == "hamming" else None
        channels[channel] = transferred(known, more, Rule(metric, bits))
        sets = {"strangers": known.rows} | {name: one.rows for name, one in more.items()}
        moved[channel] = thresholds(sets, Rule(metric, bits))
        print(f"{channel}: {time.monotonic() - began:.0f} s", flush=True)
        for one in channels[channel]:
            print(
                f"  {one['population']:22} {one['rate']:.0e}: observed {one['observed']}, for a mean query "
                f"{one['predicted']:.1f}, for each query {one['predicted_each']:.1f}",
                flush=True,
            )
    worst = {
        kind: {f"{rate:g}": spread(channels, rate, kind) for rate in RATES} for kind in ("predicted", "predicted_each")
    }
    mean, each = (worst[kind]["1e-05"] for kind in ("predicted", "predicted_each"))
    verdict = (
        f"At a pair rate of 1e-5, over {len(channels)} channels and {len(next(iter(channels.values()))) // len(RATES)} "
        f"populations, what was observed was {mean[0]:.2g} to {mean[1]:.2g} times what was predicted for a mean query, "
        f"and {each[0]:.2g} to {each[1]:.2g} times what was predicted for each query by its neighbours and quality. A "
        f"threshold fixed for a pair rate of {FIXED[0]:g} on one set gave {ends(moved, 'fixed')} times that rate on "
        f"another; fitted on half of the set itself, {ends(moved, 'recalibrated')} times on its other half."
    )
    write_record(arguments.output, {"worst": worst, "channels": channels, "thresholds": moved}, verdict=verdict)
    print(verdict)


def spread(channels: dict[str, list[dict[str, Any]]], rate: float, kind: str) -> tuple[float, float]:
    """Return the smallest and the largest ratio of observed to predicted."""
    ratios = [one["observed"] / one[kind] for found in channels.values() for one in found if one["rate"] == rate]
    return min(ratios), max(ratios)


def ends(moved: dict[str, list[dict[str, Any]]], kind: str) -> str:
    """Return the smallest and the largest ratio of what a threshold gave to what it was fitted for."""
    ratios = [one[kind] / one["rate"] for found in moved.values() for one in found if one["rate"] == FIXED[0]]
    return f"{min(ratios):.2g} to {max(ratios):.2g}"


def thresholds(sets: dict[str, NDArray[Any]], rule: Rule) -> list[dict[str, Any]]:
    """Return the pair rate of a threshold on another set than it was fitted on, and of one fitted on half of that."""
    own = {name: within_itself(rows, rule) for name, rows in sets.items()}
    halves = {
        name: [within_itself(rows[half], rule) for half in np.array_split(np.random.default_rng(0).permutation(n), 2)]
        for name, rows in sets.items()
        if (n := len(rows))
    }
    found = []
    for rate in FIXED:
        for fitted in sets:
            at = threshold(own[fitted], rate)
            for used in sets:
                one, other = halves[used]
                if used != fitted:
                    fixed, again = share(own[used], at), share(other, threshold(one, rate))
                    found.append({"fitted": fitted, "used": used, "rate": rate, "fixed": fixed, "recalibrated": again})
    return found


def within_itself(rows: NDArray[Any], rule: Rule) -> NDArray[np.float32]:
    """Return the distances of all pairs of a set, ascending."""
    distances = hamming(rows, rows, bits=rule.bits) if rule.metric == "hamming" else by_name(rule.metric)(rows, rows)
    return np.sort(distances[np.triu_indices(len(rows), 1)].astype(np.float32))


def threshold(distances: NDArray[np.float32], rate: float) -> float:
    """Return the distance within which the share of pairs is nearest to a rate, of distances ascending."""
    levels, counts = np.unique(distances, return_counts=True)
    return float(levels[np.argmin(np.abs(np.log(np.cumsum(counts) / len(distances) / rate)))])


def share(distances: NDArray[np.float32], at: float) -> float:
    return float(np.searchsorted(distances, np.float32(at), side="right") / len(distances))


def transferred(known: Photographs, further: dict[str, Photographs], rule: Rule) -> list[dict[str, Any]]:
    """Return what was predicted and what was observed, for each population and rate."""
    found = []
    for number in np.unique(known.sources).tolist():
        mine, others = known.some(known.sources == number), known.some(known.sources != number)
        found += compared(str(mine.names[0]).split("_")[0], mine, others, rule)
    none = 1 + int(known.sources.max())
    for name, strange in further.items():
        found += compared(name, strange._replace(sources=strange.sources + none), known, rule)
    flattest = np.sort(np.argsort(known.qualities, kind="stable")[: len(known.qualities) // 10])
    found += compared(LOW_QUALITY, known.some(flattest), known, rule)
    return found


def compared(population: str, asked: Photographs, held: Photographs, rule: Rule) -> list[dict[str, Any]]:
    """Return the figures of one population, asked of photographs of other sources."""
    others = len(held.rows) - np.bincount(held.sources, minlength=1 + int(asked.sources.max()))[asked.sources]
    group = Group.of(held.rows, sources=held.sources, qualities=held.qualities)
    counted = count(group, group, Rule(rule.metric, rule.bits, one_set=True))
    curve, density = counted.curve, counted.density
    assert density is not None
    sample = np.random.default_rng(0).choice(len(held.rows), min(DENSITY_ROWS, len(held.rows)), replace=False)
    neighbours = np.diff(near(asked.rows, held.rows[sample], density.distance, rule).starts)
    found = []
    for rate in RATES:
        at = -float(curve.strengths[np.argmin(np.abs(np.log(curve.rate(curve.strengths) / rate)))])
        said = float(curve.rate(-at))
        close = near(asked.rows, held.rows, at, rule)
        left, right = np.repeat(np.arange(len(asked.rows)), np.diff(close.starts)), close.positions
        kept = asked.sources[left] != held.sources[right]
        names = zip(asked.names[left[kept]].tolist(), held.names[right[kept]].tolist(), strict=True)
        kept[kept] = [frozenset(pair) not in KNOWN for pair in names]
        left, right = left[kept], right[kept]
        total = int(others.sum())
        factors = density.factor(neighbours, len(sample), said, quality=asked.qualities)
        each = float((factors * said * others).sum())
        low = high = 3.7 / total
        if len(left):
            sides = Sides(left, right, (len(asked.rows), len(held.rows)))
            low, high = map(float, RateCurve.of(np.zeros(len(left)), total=total, sides=sides).interval(0.0))
        found.append(
            {
                "population": population,
                "queries": len(asked.rows),
                "rate": rate,
                "distance": at,
                "observed": len(left),
                "observed_interval": [low * total, high * total],
                "predicted": said * total,
                "predicted_each": each,
            }
        )
    return found


def near(asked: NDArray[Any], held: NDArray[Any], radius: float, rule: Rule) -> Any:
    return within(asked, [held], max_distance=radius, metric=rule.metric, device="cpu", bits=rule.bits)


def strangers(model: str, data: Path, cache: Path, qualities: NDArray[np.int64]) -> Photographs:
    """Return all strangers but textures."""
    kept = cache / f"strangers-{file_name(model)}.npz"
    if not kept.exists():
        photographs = [one for tar in TARS for one in read(data / "strangers" / f"{tar}.tar")]
        rows = load_extractor(model, device="cpu").embed([image for _, image in photographs])
        np.savez(kept, names=[name for name, _ in photographs], rows=rows)
    held = np.load(kept)
    names = held["names"]
    sources = np.unique([name.split("_")[0] for name in names], return_inverse=True)[1]
    return Photographs(names, held["rows"], sources, qualities)


def qualities_of_strangers(data: Path) -> NDArray[np.int64]:
    """Return the quality of every stranger."""
    photographs = (image for tar in TARS for _, image in read(data / "strangers" / f"{tar}.tar"))
    return np.array([quality(np.asarray(image)) for image in photographs])


def of_folder(model: str, name: str, folder: Path, cache: Path) -> Photographs:
    """Return some photographs of a folder, drawn evenly, all of one source."""
    kept, graded = cache / f"{name}-{file_name(model)}.npy", cache / f"{name}-qualities.npy"
    if not (kept.exists() and graded.exists()):
        found = sorted(source.path for source in find([folder]) if isinstance(source, Source))
        paths = found[:: max(1, len(found) // MOST)][:MOST]
        np.save(kept, load_extractor(model, device="cpu").embed(paths))
        np.save(graded, [quality(np.asarray(Image.open(path).convert("RGB"))) for path in paths])
    rows = np.load(kept)
    return Photographs(np.full(len(rows), ""), rows, np.zeros(len(rows), np.int64), np.load(graded))


def file_name(model: str) -> str:
    return model.replace("(", "-").replace(")", "").replace("=", "")


if __name__ == "__main__":
    main()
