"""`docs/benchmark.md`: the answer, how to use the benchmark, and ours beside the paper's, made from results alone.

What is compared is the area on the paper's own 20 thresholds, the mean over our splits, with the published value. The
paper's photographs were renumbered and its split is not known, so agreement within 0.015 is what can be asked. Text is
told apart: the paper drew it in a font that cannot be shipped.
"""

from __future__ import annotations

import inspect
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from pages.answer import needle_lines, paper_lines
from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.leaderboard import Contender, contenders
from simsearch.benchmark.report.markdown import cell, spread, table
from simsearch.benchmark.report.needle_tables import needle_tables
from simsearch.benchmark.report.tables import tables
from simsearch.benchmark.results import PaperMean, Results
from simsearch.benchmark.settings import Needle, Settings, Sweeps

TOLERANCE = 0.015

_HEAD = """\
## Ask your own photographs

    simsearch benchmark photos/ --models ahash,phash,dhash,sift,mini --output out/

edits your photographs in the 58 ways of "Needle In A Haystack, Fast" (Vallez, Kucharavy and Dolamic, 2022), counts how
many copies each method finds again and how many strangers it takes for copies, and writes:

- `out/report.html`: one page to read, with the answer on top and pictures of what went wrong; it loads nothing.
- `out/tables.md` and `out/plots/`: tables, ROC curves, heat maps; PNG and SVG.
- `out/results.json`: every figure with its interval. `--replot` makes the others from it again.

`--config configs/today.yaml` asks what counts in a library of a million: how many copies are found, edited in those 58
ways, in 25 of today and as an agency's pictures are, while one false match is expected? Photographs of different
sources (one folder each, or a CSV) are each other's strangers: what two of one source have in common says nothing of
the world's. Rates stand on pairs of strangers, 50 of 50 different images at least.

`--config FILE.yaml` takes the settings at the end of this page. A stranger is a photograph outside the database. A rate
of which fewer than three strangers would be expected is marked *not supported*.
"""


def benchmark_page(
    runs: Mapping[str, Results],
    published: Mapping[str, Any],
    *,
    notes: Mapping[str, str] | None = None,
    needle: Results | None = None,
) -> str:
    """Return the page's Markdown.

    Args:
        runs: Results by the name of their file; of those on the paper's photographs the one over most splits is
            compared, so that no method stands twice; all are listed.
        published: The paper's figures, as `results/published/needle_in_a_haystack.json`.
        notes: By method why it lies outside the tolerance.
        needle: Of the needle protocol, with whose answer the page begins.
    """
    same = [run for run in runs.values() if run.photographs.name == published["source"]["photographs"]]
    compared = max(same, key=lambda run: (len({split.seed for split in run.paper}), len(run.methods)), default=None)
    lines = ["# Which method suits your images", "", *_answer(compared, needle), _HEAD]
    lines += _needle(needle) if needle else []
    if compared:
        found = contenders(compared)
        lines += [*_beside(found, published, notes or {}), *_text(found, published), *_strongest(found, published)]
    for run in same:
        lines += _swept(run, published)
    lines += _thresholds(runs, published)
    for name, run in runs.items():
        lines += ["", f"## {cell(run.photographs.name)} (`results/benchmark/{name}.json`)", "", *_whole(run)]
    return "\n".join([*lines, "", *_settings()]) + "\n"


def _answer(compared: Results | None, needle: Results | None) -> list[str]:
    """What a reader came for, before how it was measured."""
    lines = [*needle_lines(needle, needle.needle), ""] if needle and needle.needle and needle.needle.methods else []
    return [*lines, *(paper_lines(compared) if compared else []), ""] if lines or compared else []


def _needle(run: Results) -> list[str]:
    """The protocol's tables, and where they come from."""
    told, asked = run.provenance, run.settings.get("needle", {})
    strangers = ", ".join([run.photographs.name, *(other.name for other in run.other_photographs)])
    source = (
        f"Measured on {told.get('date')} (commit {str(told.get('commit'))[:7]}, `results/needle.json`, "
        f"`{told.get('command')}`) on {strangers}; edits that take other pictures take them from "
        f"{asked.get('pictures') or 'chance'}."
    )
    return [*needle_tables(run), "", cell(source), ""]


def difference(mean: PaperMean, published: Mapping[str, Any]) -> float:
    """Return ours minus the paper's, both on its thresholds.

    Raises:
        KeyError: The paper did not measure this method.
    """
    area: float = published["methods"][mean.method]["auc_on_grid"]
    return mean.auc_on_grid.mean - area


def _beside(found: Sequence[Contender], published: Mapping[str, Any], notes: Mapping[str, str]) -> list[str]:
    known = [one for one in found if one.method.name in published["methods"] and one.mean.grid_of_paper]
    inside = [one for one in known if abs(difference(one.mean, published)) <= TOLERANCE]
    rows = []
    for one in sorted(known, key=lambda one: list(published["methods"]).index(one.method.name)):
        theirs = published["methods"][one.method.name]
        apart = difference(one.mean, published)
        rows.append(
            [
                cell(one.label),
                spread(one.mean.auc_on_grid),
                f"{theirs['auc_on_grid']:.3f}",
                f"{apart:+.3f}",
                "yes" if abs(apart) <= TOLERANCE else "**no**",
                f"{one.mean.auc.mean:.3f}",
                spread(one.mean.auc_right_image),
                f"{theirs['auc_right_image']:.3f}",
                _recall(one),
                f"{theirs['recall']['0.005']:.3f}",
            ]
        )
    header = ["", "AUC, ours", "AUC, paper", "difference", f"within {TOLERANCE:g}", "exact AUC, ours"]
    header += ["right image, ours", "right image, paper", "recall at 0.5 %, ours", "recall, paper"]
    others = [one for one in found if one not in known]
    networks = [theirs for name, theirs in published["methods"].items() if name not in {o.method.name for o in known}]
    splits = max(one.mean.splits for one in found)
    lines = [
        "## Beside the paper",
        "",
        f"The paper's protocol on {found[0].splits[0].database * 2} photographs of "
        f"{published['source']['photographs']}, mean over {splits} splits (lowest-highest): "
        f"{published['source']['protocol']}. **{len(inside)} of {len(known)}** lie within {TOLERANCE:g} of the "
        "published value. 100 edited strangers do not support a rate of 0.5 %; it stands here because the paper "
        "prints it. Paper's figures: " + published["source"]["figures"] + ".",
        "",
        *table(header, rows),
    ]
    for one in known:
        if one not in inside:
            lines += ["", f"{cell(one.label)}: {notes.get(one.method.name, 'not explained yet.')}"]
    title = "What else we measured, and the networks of the paper, by its figures:"
    lines += ["", title, "", *_networks(others, networks)]
    return lines


def _networks(ours: Sequence[Contender], theirs: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            f"**{cell(one.label)}**, ours",
            spread(one.mean.auc_on_grid),
            spread(one.mean.auc_right_image),
            _recall(one),
        ]
        for one in ours
    ]
    rows += [
        [
            f"{one['label']}, paper",
            f"{one['auc_on_grid']:.3f}",
            f"{one['auc_right_image']:.3f}",
            f"{one['recall']['0.005']:.3f}",
        ]
        for one in theirs
    ]
    return table(["", "AUC on 20 thresholds", "AUC, right image", "recall at 0.5 %"], rows)


def _recall(one: Contender) -> str:
    points = [point for point in one.mean.operating if point.fpr == 0.005]
    return spread(points[0].recall) if points else ""


def _text(found: Sequence[Contender], published: Mapping[str, Any]) -> list[str]:
    """Means over the edits without text, then each text edit, ours and the paper's."""
    names = list(next(iter(published["methods"].values()))["attacks"])
    plain, written = [n for n in names if not n.startswith("text")], [n for n in names if n.startswith("text")]
    rows = []
    for one in found:
        ours = _areas(one)
        theirs = published["methods"].get(one.method.name, {}).get("attacks", {})
        if not all(name in ours for name in names):
            continue
        mean = statistics.fmean(ours[name] for name in plain)
        against = statistics.fmean(theirs[name] for name in plain) if theirs else None
        cells = [f"{mean:.3f}", f"{against:.3f}" if against else "", f"{mean - against:+.3f}" if against else ""]
        rows.append([cell(one.label), *cells, *(_pair(ours[name], theirs.get(name)) for name in written)])
    if not rows:
        return []
    header = ["", f"mean of {len(plain)} edits, ours", "paper", "difference", *(edit_title(name) for name in written)]
    lead = "The font differs (DejaVu Sans Bold for Impact), so text stands apart: ours / paper's AUC of each edit."
    return ["", "## Without text, and text", "", lead, "", *table(header, rows)]


def _strongest(found: Sequence[Contender], published: Mapping[str, Any]) -> list[str]:
    names = published["strongest"]
    entries = [one for one in found if all(name in _areas(one) for name in names)]
    if not entries:
        return []
    rows = []
    for name in names:
        theirs = [published["methods"].get(one.method.name, {}).get("attacks", {}).get(name) for one in entries]
        rows.append([edit_title(name), *(_pair(_areas(o)[name], t) for o, t in zip(entries, theirs, strict=True))])
    lead = (
        "AUC when any match counts, ours / paper's (its Figure 7); one edit has 100 copies and 100 strangers a split."
    )
    header = ["", *(cell(one.label) for one in entries)]
    return ["", "## Each edit at its strongest", "", lead, "", *table(header, rows)]


def _areas(one: Contender) -> dict[str, float]:
    return {attack.name: attack.auc_on_grid.mean for attack in one.mean.attacks}


def _pair(ours: float, theirs: float | None) -> str:
    return f"{ours:.3f}" if theirs is None else f"{ours:.3f} / {theirs:.3f}"


def _swept(run: Results, published: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for sweep, what in (("hash_length", "bits"), ("keypoint_count", "keypoints")):
        points = [point for point in run.sweeps if point.sweep == sweep]
        rows = []
        for point in points:
            theirs = published[sweep].get(point.family, {}).get(str(point.value))
            apart = f"{point.auc_on_grid.mean - theirs:+.3f}" if theirs else ""
            shown = f"{theirs:.3f}" if theirs else ""
            rows.append([cell(point.family), f"{point.value}", spread(point.auc_on_grid), shown, apart])
        if rows:
            networks = [one for one in contenders(run) if one.method.kind == "network"]
            rows += [[cell(one.label), "", spread(one.mean.auc_on_grid), "", ""] for one in networks]
            heading = sweep.replace("_", " ").capitalize()
            lines += ["", f"## {heading}", "", *table(["", what, "AUC, ours", "AUC, paper", "difference"], rows)]
    return lines


def _thresholds(runs: Mapping[str, Results], published: Mapping[str, Any]) -> list[str]:
    rows = []
    for run in runs.values():
        there = ", ".join(other.name for other in run.other_photographs)
        for row in run.transfer:
            theirs = published["transfer"].get(row.method)
            paper = [f"{theirs['fpr_here']:.4f}", f"{theirs['fpr_there']:.4f}"] if theirs else ["", ""]
            ours = [f"{one.value:.4f} ({one.low:.4f}-{one.high:.4f})" for one in (row.fpr_here, row.fpr_there)]
            rows.append([cell(row.method), cell(f"{run.photographs.name} to {there}"), *ours, *paper])
    if not rows:
        return []
    lead = (
        "A threshold that flags about 0.5 % of one set's strangers, used on another set: the paper's Table 2, whose "
        "other set is memes."
    )
    header = ["", "sets, ours", "strangers here, ours", "there, ours", "here, paper", "memes, paper"]
    return ["", "## Thresholds do not travel", "", lead, "", *table(header, rows)]


def _whole(run: Results) -> list[str]:
    """All tables of one run, one level down and without their title; which methods are of another run comes first."""
    later = [
        f"{cell(method.label)} was measured anew on {method.measured.get('date')} "
        f"(commit {str(method.measured.get('commit'))[:7]}), its times too; the others stand from before."
        for method in run.methods
        if method.measured
    ]
    told = [*later, ""] if later else []
    return [*told, *(f"#{line}" if line.startswith("## ") else line for line in tables(run)[2:])]


def _settings() -> list[str]:
    """Every setting with its default and meaning, from the settings themselves."""
    lines = ["## Settings", "", "A YAML file of these; flags of the same name win.", ""]
    rows = [
        [f"`{prefix}{name}`", f"`{json.dumps(default)}`", cell(_meanings(type(owner)).get(name, ""))]
        for prefix, owner in (("", Settings()), ("sweeps.", Sweeps()), ("needle.", Needle()))
        for name, default in owner.model_dump(mode="json").items()
        if name not in ("sweeps", "needle")
    ]
    return [*lines, *table(["setting", "default", "meaning"], rows)]


def _meanings(owner: type) -> dict[str, str]:
    text = inspect.getdoc(owner) or ""
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", text.partition("Attributes:")[2], flags=re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in entries}
