"""The needle protocol's figure: recall against the size of the library, one line a method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simsearch.benchmark.report.leaderboard import label
from simsearch.benchmark.report.palette import FAINT, LINE, style
from simsearch.benchmark.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def needle_recall(results: Results) -> Figure | None:
    """Return the mean recall of each group of edits at one expected false match, by the library's size, logarithmic."""
    from matplotlib.figure import Figure

    needle = results.needle
    if needle is None or not any(curve.library for one in needle.methods for curve in one.curve):
        return None
    groups = list(needle.group_edits)
    figure = Figure(figsize=(1.2 + 3.4 * len(groups), 3.8))
    panels: list[Any] = list(figure.subplots(1, len(groups), sharey=True, squeeze=False)[0])
    kinds = {method.name: method.kind for method in results.methods}
    for axes, group in zip(panels, groups, strict=True):
        for place, one in enumerate(needle.methods):
            look = style(place, kinds.get(one.method, "user"))
            for curve in (curve for curve in one.curve if curve.group == group):
                name = label(results, one.key)
                axes.plot(
                    curve.library, curve.recall, color=look.colour, linestyle=look.dash, label=name, linewidth=1.7
                )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0e}".replace("e+0", "e"))
        last = max((curve.library[-1] for one in needle.methods for curve in one.curve if curve.library), default=1)
        sure = min(one.supported_library for one in needle.methods)
        if 0 < sure < last:
            axes.axvspan(sure, last, color=LINE, alpha=0.5, linewidth=0)
        axes.set(xlabel="strangers in the library", ylim=(-0.02, 1.02))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        axes.set_title(f"{group} ({len(needle.group_edits[group])} edits)")
    panels[0].set_ylabel("copies found at one expected false match")
    panels[0].text(0.02, 0.03, "shaded: not supported", transform=panels[0].transAxes, fontsize=7.5, color=FAINT)
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=3)
    return figure
