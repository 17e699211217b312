"""The needle protocol's figures as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from simsearch.benchmark.needle_results import (
    Estimate,
    NeedleLimit,
    NeedleMethod,
    NeedleResults,
    NeedleStratum,
    Support,
)
from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.leaderboard import label
from simsearch.benchmark.report.markdown import cell, paragraph, table
from simsearch.benchmark.results import Results

_HALF = 0.5
MARKS: dict[Support, str] = {"supported": "", "beyond_calibration": " †", "unsupported": " ‡"}
LEGEND = (
    "† beyond calibration: fewer than 50 stranger pairs of 50 different images, up to a decade below the smallest rate "
    "that they support. ‡ not supported."
)


def needle_tables(results: Results) -> list[str]:
    """Return the lines of all tables of the protocol, each under its heading."""
    needle = results.needle
    if needle is None:
        return []
    parts = {
        "Copies found at one expected false match": [lead(needle), "", *recall_table(results, needle), "", LEGEND],
        "Each edit": edits_table(results, needle),
        "Fewer expected false matches": _strict_table(results, needle),
        "Against the first method": _differences_table(results, needle),
        "Distances, and what stands behind them": _thresholds_table(results, needle),
        "Predicted against observed": _held_out_table(results, needle),
        "Who comes near whom": _strata_table(results, needle),
        "Distractors": _distractors_table(results, needle),
    }
    lines: list[str] = []
    for heading, part in parts.items():
        lines += ["", f"## {heading}", "", *part] if part else []
    return lines[1:]


def needle_brief(results: Results, needle: NeedleResults) -> list[str]:
    """Return a model card's section on the first method of the run: recall at the middle library, and losses."""
    middle, (own, *others) = needle.middle, needle.methods
    names = [name for group in needle.group_edits.values() for name in group]
    found = {name: share.value for name in names if (share := _edit(own, name, middle))}
    best = {name: max((e.value for o in others if (e := _edit(o, name, middle))), default=0.0) for name in found}
    lost = sorted((name for name in found if found[name] < _HALF), key=found.__getitem__)
    losses = "; ".join(f"{edit_title(name)} {found[name]:.2f} ({best[name]:.2f})" for name in lost) or "none"
    header = [f"{cell(group)}, N = {size(needle.limits[middle])}" for group in needle.group_edits]
    return [
        *paragraph(lead(needle)),
        "",
        *_recalls(results, needle, header, [middle]),
        "",
        *paragraph(LEGEND),
        "",
        *paragraph(
            f"{_names(results, needle)[0]} finds fewer than half of the copies of these edits (in parentheses the best "
            f"of the other methods): {losses}."
        ),
    ]


def lead(needle: NeedleResults) -> str:
    """Return two sentences on what was compared."""
    queries = [one for one in needle.sources if one.queries]
    plain = [one for one in needle.sources if not one.textures]
    return (
        f"{sum(one.queries for one in queries):,} photographs of {len(queries)} sources are edited. A copy is found "
        "when its original is within the distance at which a library of N strangers holds, on average, one false match "
        f"of a query, or as many as said; it is set on {needle.pairs:,} pairs of "
        f"{sum(one.photographs for one in plain):,} strangers across {len(plain)} sources."
    )


def recall_table(results: Results, needle: NeedleResults) -> list[str]:
    """Return each method's mean recall over the edits of each group, at each library."""
    header = [f"{cell(group)}, N = {size(needle.limits[i])}" for group in needle.group_edits for i in needle.main]
    return _recalls(results, needle, header, needle.main)


def edits_table(results: Results, needle: NeedleResults) -> list[str]:
    """Return the recall of each edit at the middle library, an edit a line, a method a column."""
    if not needle.methods:
        return []
    rows = []
    for group, names in needle.group_edits.items():
        for name in names:
            found = [_edit(one, name, needle.middle) for one in needle.methods]
            rows.append(
                [cell(group), cell(edit_title(name)), *(f"{share.value:.3f}" if share else "" for share in found)]
            )
    header = ["", f"N = {size(needle.limits[needle.middle])}", *_names(results, needle)]
    return table(header, rows)


def size(limit: NeedleLimit) -> str:
    """Return the size of a library as text.

    Example:
        >>> size(NeedleLimit(1e5, 1)), size(NeedleLimit(25_000, 1))
        ('1e5', '25,000')
    """
    power = f"{limit.library:.0e}".replace("e+0", "e").replace("e+", "e")
    return power if float(power) == limit.library else f"{limit.library:,.0f}"


def recall_text(found: Estimate | None, support: Support) -> str:
    """Return a recall as text, with its interval and the mark of its support; nothing where there is none."""
    if found is None:
        return ""
    return f"{found.value:.3f} ({found.low:.3f}-{found.high:.3f}){MARKS[support]}"


def _recalls(results: Results, needle: NeedleResults, header: list[str], limits: Sequence[int]) -> list[str]:
    rows = []
    for one, name in zip(needle.methods, _names(results, needle), strict=True):
        cells = [recall_text(group.recall[i], one.thresholds[i].support) for group in one.groups for i in limits]
        rows.append([name, *cells])
    return table(["", *header], rows) if rows else []


def _strict_table(results: Results, needle: NeedleResults) -> list[str]:
    """Return the supported limits of fewer expected matches, one a column."""
    rest = [
        i
        for i in range(len(needle.limits))
        if i not in needle.main and any(one.thresholds[i].threshold is not None for one in needle.methods)
    ]
    header = [
        f"{cell(group)}, {needle.limits[i].expected:g} in N = {size(needle.limits[i])}"
        for group in needle.group_edits
        for i in rest
    ]
    return _recalls(results, needle, header, rest) if rest else []


def _differences_table(results: Results, needle: NeedleResults) -> list[str]:
    rows = []
    for one in needle.differences:
        shown = [one.change[i] for i in needle.main]
        cells = [f"{c.value:+.3f} ({c.low:+.3f} to {c.high:+.3f})" if c else "" for c in shown]
        rows.append([cell(label(results, one.after)), cell(one.group), *cells])
    return table(["", "", *(f"N = {size(needle.limits[i])}" for i in needle.main)], rows) if rows else []


def _thresholds_table(results: Results, needle: NeedleResults) -> list[str]:
    rows = []
    for one, name in zip(needle.methods, _names(results, needle), strict=True):
        for i in needle.main:
            found = one.thresholds[i]
            value = found.threshold
            shown = f"{value.value:.4f} ({value.low:.4f}-{value.high:.4f})" if value else ""
            support = found.support.replace("_", " ")
            rows.append([name, size(needle.limits[i]), shown, f"{found.pairs:,}", f"{found.images:,}", support])
    return table(["", "N", "distance", "stranger pairs within", "different images", ""], rows) if rows else []


def _held_out_table(results: Results, needle: NeedleResults) -> list[str]:
    rows = []
    for one, name in zip(needle.methods, _names(results, needle), strict=True):
        for held in one.held_out:
            if held.threshold is not None and held.predicted:
                ratio = f"{held.observed / held.predicted:.2f} ({held.ratio_low:.2f}-{held.ratio_high:.2f})"
                library = size(NeedleLimit(held.library, held.expected)) + MARKS[held.support]
                rows.append([name, cell(held.source), library, f"{held.predicted:.1f}", f"{held.observed:,}", ratio])
    if not rows:
        return []
    intro = "The distance is set on all sources but one; what that one then brings, against what the rate promised:"
    return [intro, "", *table(["", "left out", "N", "predicted pairs", "observed", "observed / predicted"], rows)]


def _strata_table(results: Results, needle: NeedleResults) -> list[str]:
    """Return the rate of each stratum at the middle library, as a multiple of the requested rate."""
    rows = []
    for one, name in zip(needle.methods, _names(results, needle), strict=True):
        pooled = {(s.kind, s.name): s for s in one.strata if not s.name}
        shown = [pooled.get((kind, "")) for kind in ("across", "edited", "look_alikes")]
        worst = worst_of(one, needle.middle)
        textures = [stratum for stratum in one.strata if stratum.kind == "textures"]
        cells = [multiple(stratum, needle) if stratum else "" for stratum in shown]
        far = f"{multiple(worst, needle)} ({cell(worst.name)})" if worst else ""
        rows.append([name, *cells, far, "; ".join(f"{cell(s.name)}: {multiple(s, needle)}" for s in textures)])
    intro = (
        f"Pairs within the distance of N = {size(needle.limits[needle.middle])}, as a multiple of the rate asked for "
        "(number of pairs); a look-alike is another photograph of the same source."
    )
    header = ["", "across sources", "edited copies", "look-alikes", "worst two sources", "textures"]
    return [intro, "", *table(header, rows)] if rows else []


def worst_of(one: NeedleMethod, limit: int) -> NeedleStratum | None:
    """Return the two sources with the most near pairs."""
    found = [s for s in one.strata if s.kind == "sources" and s.within[limit] is not None and s.pairs]
    return max(found, key=lambda s: (s.within[limit] or 0) / s.pairs, default=None)


def multiple(stratum: NeedleStratum, needle: NeedleResults) -> str:
    """Return a stratum's rate at the middle library, as a multiple of the requested rate."""
    within = stratum.within[needle.middle]
    if within is None or not stratum.pairs:
        return ""
    return f"{within / stratum.pairs / needle.limits[needle.middle].rate:.1f} ({within:,})"


def _distractors_table(results: Results, needle: NeedleResults) -> list[str]:
    rows = []
    for one, name in zip(needle.methods, _names(results, needle), strict=True):
        for many in one.distractors:
            for i in needle.main:
                predicted, observed, hit = many.predicted[i], many.observed[i], many.queries_hit[i]
                if predicted is not None and observed is not None:
                    figures = [f"{predicted:.1f}", f"{observed:,}", f"{hit:,} of {many.queries:,}"]
                    rows.append([name, cell(many.name), f"{many.count:,}", size(needle.limits[i]), *figures])
    header = ["", "set", "images", "distance of N", "predicted pairs", "observed", "photographs hit"]
    return table(header, rows) if rows else []


def _edit(one: NeedleMethod, name: str, limit: int) -> Estimate | None:
    return next(edit.recall[limit] for edit in one.edits if edit.name == name)


def _names(results: Results, needle: NeedleResults) -> list[str]:
    return [cell(label(results, one.key)) for one in needle.methods]
