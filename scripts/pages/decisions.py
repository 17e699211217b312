"""The measured part of the page on decisions, the README's table of it, and docs/decisions.png (run it for that)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsearch.benchmark.report.markdown import table
from simsearch.benchmark.report.plots import drawing
from simsearch.decide.known_rates import known_calibrations
from simsearch.extract.load import load_extractor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Record = Mapping[str, Any]

ROOT = Path(__file__).parents[2]
RATE = 1e-5  # a pair: that of the table and of the plot
SHOWN = ("mini, js", "pdq", "dhash")
_SIZES = (1_000, 10_000_000)  # images of a library in the plot


def transfer_brief(record: Record) -> list[str]:
    """Return the table of observed by predicted false matches, one population a line."""
    by = {name: {one["population"]: one for one in found if one["rate"] == RATE} for name, found in _of(record).items()}
    lines = [
        [
            population,
            *(f"{one['predicted_each']:.0f} / {_observed(one)}" for name in SHOWN if (one := by[name][population])),
        ]
        for population in by[SHOWN[0]]
    ]
    return table(["queries", *SHOWN], lines)


def worst(record: Record, kind: str = "predicted_each") -> tuple[float, float]:
    """Return the smallest and the largest ratio of observed to predicted false matches."""
    low, high = record["worst"][kind][f"{RATE:g}"]
    return low, high


def decisions_page(calibration: Record, transfer: Record, normalisation: Record) -> list[str]:
    """Return the lines between the page's markers.

    Args:
        calibration: `results/decide/calibration.json`.
        transfer: `results/decide/transfer.json`.
        normalisation: `results/decide/normalisation.json`.
    """
    low, high = worst(transfer)
    mean = worst(transfer, "predicted")
    return [
        "**Do predictions hold for queries of another kind?** (`scripts/measure_transfer.py`) Rates are counted on all "
        "sources but one, whose photographs are then asked; bsds500, houses and thumbnails are of none of the sources, "
        "and the last line is the tenth of all with the least to see. Predicted for each query by its neighbours "
        "and quality / observed, with its 95 % interval, at the distance of a pair rate of 1e-5:",
        "",
        *transfer_brief(transfer),
        "",
        f"Over six channels (pHash, mini by cosine and mini's 96 bits, too) the observed number was {low:.2g} to "
        f"{high:.2g} times the predicted one; for a mean query, without neighbours, {mean[0]:.2g} to {mean[1]:.2g} "
        "times: photographs with little to see are what neighbours put right. So an expectation "
        "from rates of other photographs may be too low by that factor, and a library's own calibration is worth its "
        "minutes.",
        "",
        *_coverage(calibration),
        "",
        *_beyond(calibration),
        "",
        *_fixed(transfer),
        "",
        *_normalised(normalisation),
    ]


def _of(record: Record) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = record["channels"]
    return found


def _observed(one: Record) -> str:
    low, high = one["observed_interval"]
    return f"{one['observed']} ({low:.0f}-{high:.0f})"


def _coverage(record: Record) -> Iterator[str]:
    yield (
        f"**Do intervals hold?** (`scripts/measure_calibration.py`) {record['resamples']:,} times some images were "
        "drawn from 120,000, a curve was fitted to the pairs among them, and its 95 % interval compared with the rate "
        "among all others. Share of the times that it held (and that its upper end was too low):"
    )
    yield ""
    cells = {
        (name, cell["images"], cell["asked"]): f"{cell['covered']:.3f} ({cell['too_low']:.3f})"
        for name, channel in record["channels"].items()
        for cell in channel["cells"]
    }
    kinds = sorted({key[1:] for key in cells}, key=lambda kind: (kind[0], -kind[1]))
    head = ["", *(f"{images:,} images, rate {rate:g}" for images, rate in kinds)]
    yield from table(head, [[name, *(cells[name, *kind] for kind in kinds)] for name in record["channels"]])
    yield ""
    yield (
        "Where the sample has hardly a pair (550 images have 150,975, so 1.5 at a rate of 1e-5) the interval reaches "
        "down to nothing and holds too often. " + record["verdict"].split("; ", 1)[1].capitalize()
    )


def _beyond(record: Record) -> Iterator[str]:
    yield (
        "**What does a small sample say of rates that it cannot hold?** From 550 images, of rates that 120,000 have: "
        "what is said is never below 3 / pairs, and its upper end held in all. Without that floor a tail would be "
        "said (medians; in brackets the root mean square of how many decades it is off): one fitted to exceedances, "
        "which is the one that is kept, to the minima of each image, or the mean of both:"
    )
    yield ""
    lines = [
        [
            name,
            f"{one['rate']:.1e} ({one['found']:,} pairs)",
            f"{one['said']:.0e}",
            f"{one['upper_end']:.1e} ({one['upper_end_held']:.3f})",
            *(f"{one['fitted'][way][1]:.1e} ({off:.2f})" for way, off in one["decades_off"].items()),
        ]
        for name, channel in record["channels"].items()
        for one in channel["beyond"]
    ]
    yield from table(["", "found", "said", "upper end (held)", "exceedances", "minima", "both"], lines)
    off = {
        way: [one["decades_off"][way] for channel in record["channels"].values() for one in channel["beyond"]]
        for way in ("exceedances", "minima", "both")
    }
    yield ""
    yield (
        "Over all lines "
        + ", ".join(f"{way} are {sum(each) / len(each):.2f} decades off" for way, each in off.items())
        + "."
    )


def _fixed(record: Record) -> Iterator[str]:
    moved = [one | {"channel": name} for name, found in record["thresholds"].items() for one in found]
    wide = [one for one in moved if one["rate"] == max(each["rate"] for each in moved)]
    yield (
        "**Do thresholds travel?** A threshold that gave a pair rate of 0.5 % on one set gave on another (lowest and "
        "highest of the sets strangers, BSDS500, houses, thumbnails), beside one fitted on half of that set and used "
        "on its other half:"
    )
    yield ""
    lines = []
    for name in record["thresholds"]:
        own = [one for one in wide if one["channel"] == name]
        ends = [
            f"{100 * min(one[kind] for one in own):.2f} to {100 * max(one[kind] for one in own):.2f} %"
            for kind in ("fixed", "recalibrated")
        ]
        lines.append([name, *ends])
    yield from table(["", "fixed", "recalibrated"], lines)


def _normalised(record: Record) -> Iterator[str]:
    yield (
        f"**Does normalising a distance help?** (`scripts/measure_normalisation.py`) {record['queries']:,} copies by "
        f"today's edits among {record['held']:,} photographs, share found at a pair rate of 1e-5 by {record['model']}:"
    )
    yield ""
    names = list(dict.fromkeys(name for found in record["recall"].values() for name in found))
    lines = [
        [name, *(f"{found[name]['1e-05']:.3f}" if name in found else "" for found in record["recall"].values())]
        for name in names
    ]
    yield from table(["", *record["recall"]], lines)
    yield ""
    yield (
        "So a distance less its mean to the 3 nearest background rows finds more; it is the option `query "
        "--normalise`, where the model's card has such rows, with rates of its own. The expectation for this query "
        "(`--for-query`) finds most of that for any channel. Subtracting background rows from the rows themselves "
        "would change every stored row, and finds no more."
    )


def main() -> None:
    import matplotlib.pyplot as plt

    with drawing("decisions"):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
        _expected(left)
        _ratios(right, json.loads((ROOT / "results" / "decide" / "transfer.json").read_text()))
        figure.savefig(ROOT / "docs" / "decisions.png", dpi=120)


def _expected(axes: Axes) -> None:
    """Draw what a distance is worth in libraries of several sizes."""
    calibration = known_calibrations()[load_extractor("mini", device="cpu").fingerprint, "js"]
    distances = np.linspace(0.3, 0.77, 300)
    for size in np.geomspace(*_SIZES, 3).astype(int).tolist():
        expected = calibration.expected(distances, size)
        (line,) = axes.plot(distances, [one.value for one in expected], label=f"{size:,} images")
        low, high = [max(one.low, 1e-9) for one in expected], [one.high for one in expected]
        axes.fill_between(distances, low, high, alpha=0.15, color=line.get_color())
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set(yscale="log", xlabel="distance (mini by js)", ylabel="false matches expected of a query", ylim=(1e-4, 1e7))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, loc="lower right")


def _ratios(axes: Axes, transfer: Record) -> None:
    """Draw observed by predicted false matches of all populations and channels."""
    channels = {
        name: {one["population"]: one for one in each if one["rate"] == RATE} for name, each in _of(transfer).items()
    }
    populations = list(channels[SHOWN[0]])
    for c, (name, found) in enumerate(channels.items()):
        said = np.array([found[population]["predicted_each"] for population in populations])
        seen = np.array([max(found[population]["observed"], 0.5) for population in populations]) / said
        ends = np.array([found[population]["observed_interval"] for population in populations]).T / said
        at = np.arange(len(populations)) + (c - (len(channels) - 1) / 2) * 0.13
        errors = np.abs(np.maximum(ends, 0.02) - seen)
        axes.errorbar(seen, at, xerr=errors, fmt="o", markersize=3, linewidth=0.8, label=name)
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set(
        xscale="log", xlim=(0.02, 200), xlabel="observed / predicted false matches", yticks=range(len(populations))
    )
    axes.set_yticklabels(populations)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, fontsize=7, loc="lower right")


if __name__ == "__main__":
    main()
