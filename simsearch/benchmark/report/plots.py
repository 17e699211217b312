"""Figures of a benchmark: ROC curves, heat maps, chains, sweeps, thresholds that moved; PNG and SVG.

A figure is drawn from `Results` alone and is None where the run did not measure what it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.report.labels import family_title, strength_title
from simsearch.benchmark.report.leaderboard import Contender, contenders, label
from simsearch.benchmark.report.needle_plots import needle_recall
from simsearch.benchmark.report.palette import (
    AREA_STEPS,
    FAINT,
    GROUND,
    HEAT,
    HEAT_INK,
    INK,
    LINE,
    SHARE_STEPS,
    heat,
    style,
)
from simsearch.benchmark.results import Attack, Curve, Results
from simsearch.errors import DependencyMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

FOLDER = "plots"
_SWEEPS = {
    "hash_length": "bits of the hash",
    "keypoint_count": "keypoints an image",
    "cutoff": "descriptors that must agree",
    "database_size": "images in the database",
}
_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": GROUND,
    "svg.fonttype": "none",
    "text.parse_math": False,  # dollars in a name are no formula
}


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Write every figure that these results allow as PNG and SVG below `folder`/plots, and return the files.

    Raises:
        DependencyMissing: Matplotlib is not installed.
    """
    written = []
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    with drawing(FOLDER):
        for name, draw in FIGURES.items():
            if (figure := draw(results)) is None:
                continue
            for ending, facts in (("png", {}), ("svg", {"Date": None})):
                path = folder / FOLDER / f"{name}.{ending}"
                figure.savefig(path, dpi=200, metadata=facts, bbox_inches="tight")
                written.append(path)
    return written


@contextmanager
def drawing(salt: str) -> Iterator[None]:
    """Apply a common style to figures; `salt` makes the ids of SVGs in one page unique.

    Raises:
        DependencyMissing: Matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise DependencyMissing('plots need matplotlib: pip install -e ".[benchmark]"') from error
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": salt}):
        yield


def roc(results: Results) -> Figure | None:
    """Return ROC curves when any match counts, as the paper draws them, on a linear and on a logarithmic axis."""
    return _roc(results, "Any image within the threshold counts", lambda split: split.roc)


def roc_right_image(results: Results) -> Figure | None:
    """Return ROC curves when only the right image counts, on a linear and on a logarithmic axis."""
    return _roc(results, "Only the right image counts", lambda split: split.roc_right_image)


def heat_map_recall(results: Results) -> Figure | None:
    """Return, by method and edit, the share of copies whose original is within the threshold."""
    found = contenders(results)
    if not found:
        return None
    rate = found[0].mean.fpr
    title = f"Copies whose original is found, at {100 * rate:g} % of strangers flagged"
    return _heat_map(found, title, SHARE_STEPS, lambda attack: attack.recall_right_image.value)


def heat_map_auc(results: Results) -> Figure | None:
    """Return, by method and edit, the exact area when any match counts: the paper's Figure 7, all strengths."""
    found = contenders(results)
    return _heat_map(found, "AUC, any match", AREA_STEPS, lambda attack: attack.auc) if found else None


def chains(results: Results) -> Figure | None:
    """Return the recall against the number of mild edits in a row."""
    if not results.chains:
        return None
    figure, axes = _figure(6.4, 3.8)
    ranked = {one.key: rank for rank, one in enumerate(contenders(results))}
    named = dict.fromkeys(point.key for point in results.chains)
    keys = sorted(named, key=lambda key: ranked.get(key, len(ranked)))
    for key in keys:
        points = sorted((p for p in results.chains if p.key == key), key=lambda p: p.k)
        k, recall = [p.k for p in points], [p.recall_right_image for p in points]
        axes.fill_between(k, [r.low for r in recall], [r.high for r in recall], alpha=0.12, **_fill(results, key))
        axes.plot(k, [r.value for r in recall], **_line(results, key, marked=True))
    axes.set(xlabel="mild edits in a row", ylabel="copies whose original is found", ylim=(-0.02, 1.02))
    _per_cent(axes.yaxis)
    axes.set_xticks(sorted({point.k for point in results.chains}))
    axes.set_title(f"Edits that add up, at {100 * results.chains[0].fpr:g} % of strangers flagged")
    _legend(axes)
    return figure


def sweeps(results: Results) -> Figure | None:
    """Return the area when any match counts, against the swept parameter."""
    kinds = [kind for kind in _SWEEPS if any(point.sweep == kind for point in results.sweeps)]
    if not kinds:
        return None
    figure, panels = _figure(4.6 * len(kinds), 3.4, len(kinds))
    for axes, kind in zip(panels if len(kinds) > 1 else [panels], kinds, strict=True):
        swept = (point for point in results.sweeps if point.sweep == kind)
        points = sorted(swept, key=lambda p: (p.family, p.metric, p.value))
        for (family, metric), of_one in groupby(points, key=lambda p: (p.family, p.metric)):
            line = list(of_one)
            means = np.array([p.auc.mean for p in line])
            spread = [means - [p.auc.lowest for p in line], [p.auc.highest for p in line] - means]
            look = _line(results, (family, metric), marked=True)
            axes.errorbar([p.value for p in line], means, np.clip(spread, 0, None), capsize=2, **look)
        axes.set_xscale("log")
        values = sorted({p.value for p in points})
        axes.set_xticks(values, [f"{value:,}" for value in values], minor=False)
        axes.minorticks_off()
        axes.set(xlabel=_SWEEPS[kind], ylabel="AUC, any match")
        axes.set_title(kind.replace("_", " ").capitalize())
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.18), ncols=3)
    figure.subplots_adjust(wspace=0.3)
    return figure


def transfer(results: Results) -> Figure | None:
    """Return the false-positive rates of thresholds on other photographs beside those on the main ones."""
    if not results.transfer:
        return None
    rows = sorted(results.transfer, key=lambda row: row.fpr_there.value, reverse=True)
    figure, axes = _figure(6.4, 0.9 + 0.28 * len(rows))
    floor = 1e-4
    for y, row in enumerate(rows):
        key = row.key
        here, there = max(row.fpr_here.value, floor), max(row.fpr_there.value, floor)
        axes.plot([here, there], [y, y], color=LINE, linewidth=3, zorder=1)
        axes.plot([max(row.fpr_there.low, floor), max(row.fpr_there.high, floor)], [y, y], **_fill(results, key))
        axes.plot(here, y, "o", markerfacecolor=GROUND, markersize=7, zorder=3, **_fill(results, key))
        axes.plot(there, y, "o", markersize=7, zorder=3, **_fill(results, key))
    axes.set_xscale("log")
    axes.set_xlim(floor, 1)
    _per_cent(axes.xaxis)
    axes.set_yticks(range(len(rows)), [label(results, row.key) for row in rows])
    axes.axvline(rows[0].fpr, color=FAINT, linestyle=":", linewidth=1)
    axes.set_xlabel("strangers flagged: hollow here, full there (with its interval)")
    axes.set_title("A threshold set here, used on other photographs")
    return figure


FIGURES: dict[str, Callable[[Results], Figure | None]] = {
    "needle_recall": needle_recall,
    "roc_right_image": roc_right_image,
    "roc": roc,
    "heat_map_recall": heat_map_recall,
    "heat_map_auc": heat_map_auc,
    "chains": chains,
    "transfer": transfer,
    "sweeps": sweeps,
}


def _roc(results: Results, what: str, curve: Callable[[Any], Curve]) -> Figure | None:
    found = contenders(results)
    if not found:
        return None
    figure, (logarithmic, linear) = _figure(10.2, 4.3, 2)
    sure = 3 / found[0].splits[0].attacked
    floor = min(1e-3, sure / 10)
    grid = np.geomspace(floor, 1, 400)
    for one in found:
        recall = np.mean([_recall(curve(split), grid) for split in one.splits], axis=0)
        look = _line(results, one.key)
        for axes, x in ((logarithmic, grid), (linear, np.concatenate([[0], grid]))):
            axes.plot(x, recall if len(x) == len(recall) else np.concatenate([recall[:1], recall]), **look)
    logarithmic.set_xscale("log")
    logarithmic.set_xlim(floor, 1)
    linear.set_xlim(0, 1)
    logarithmic.axvspan(floor, min(sure, 1), color=LINE, alpha=0.5, linewidth=0)
    ground = {"facecolor": GROUND, "edgecolor": "none", "alpha": 0.8, "pad": 1}
    note = f" too few strangers\n for rates below {100 * sure:.2g} %"
    logarithmic.text(floor, 0.02, note, fontsize=7.5, color=FAINT, va="bottom", zorder=5, bbox=ground)
    for axes in (logarithmic, linear):
        axes.set(xlabel="strangers flagged", ylabel="copies found", ylim=(0, 1.01))
        _per_cent(axes.xaxis)
        _per_cent(axes.yaxis)
    logarithmic.set_title(what)
    linear.set_title("the same, linear")
    _legend(linear)
    figure.subplots_adjust(wspace=0.25)
    return figure


def _recall(curve: Curve, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the recall of the loosest operating point within each false-positive rate."""
    at = np.searchsorted(np.asarray(curve.fpr), grid, side="right") - 1
    found: NDArray[np.float64] = np.asarray(curve.recall)[np.maximum(at, 0)]
    return found


def _heat_map(
    found: Sequence[Contender], title: str, steps: tuple[float, ...], value: Callable[[Attack], float]
) -> Figure:
    from matplotlib.colors import ListedColormap

    edits = found[0].attacks()
    values = np.array([[value(attack) for attack in one.attacks()] for one in found])
    places = np.array([[heat(v, steps) for v in row] for row in values])
    figure, axes = _figure(2 + 0.26 * len(edits), 1.2 + 0.26 * len(found))
    axes.grid(visible=False)
    axes.imshow(places, cmap=ListedColormap(list(HEAT)), vmin=-0.5, vmax=len(HEAT) - 0.5, aspect="auto")
    for (y, x), place in np.ndenumerate(places):
        if place:
            shown = f"{values[y, x]:.2f}".lstrip("0")
            axes.text(x, y, shown, ha="center", va="center", fontsize=5.5, color=HEAT_INK[place])
    axes.set_yticks(range(len(found)), [one.label for one in found])
    axes.set_xticks(range(len(edits)), [strength_title(e.name, e.family) for e in edits], rotation=90, fontsize=6.5)
    axes.tick_params(length=0)
    start = 0
    for family, group in groupby(edits, key=lambda edit: edit.family):
        width = len(list(group))
        if start:
            axes.axvline(start - 0.5, color=GROUND, linewidth=3)
        axes.text(start - 0.4, -0.65, family_title(family), rotation=35, fontsize=7.5, va="bottom", ha="left")
        start += width
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title(title, pad=58)
    return figure


def _figure(width: float, height: float, panels: int = 1) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(1, panels)


def _line(results: Results, key: tuple[str, str], *, marked: bool = False) -> dict[str, Any]:
    look = style(*_place(results, key))
    every = {"color": look.colour, "linestyle": look.dash, "label": label(results, key), "linewidth": 1.7}
    return every | {"marker": look.marker, "markersize": 4} if marked else every


def _fill(results: Results, key: tuple[str, str]) -> dict[str, Any]:
    return {"color": style(*_place(results, key)).colour}


def _place(results: Results, key: tuple[str, str]) -> tuple[int, str]:
    """Return number and kind of a method by a metric; names of sweeps and other protocols come after the others."""
    scored = [mean.key for mean in results.means]
    scored += [(method.name, method.metric) for method in results.methods]
    name = key[0].partition("(")[0]
    kinds = {method.name.partition("(")[0]: method.kind for method in results.methods}
    families = [other.partition("(")[0] for other, _ in scored]
    place = scored.index(key) if key in scored else families.index(name) if name in families else len(scored)
    return place, kinds.get(name, "user")


def _per_cent(axis: Axis) -> None:
    axis.set_major_formatter(lambda value, _: f"{100 * value:g} %")


def _legend(axes: Axes) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=3)
