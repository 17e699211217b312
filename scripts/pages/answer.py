"""What the page on the benchmark begins with: which method to take, how sure that is, where it fails."""

from __future__ import annotations

from collections.abc import Iterator

from simsearch.benchmark.needle_results import Estimate, NeedleMethod, NeedleResults
from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.leaderboard import label
from simsearch.benchmark.report.markdown import cell, paragraph, table
from simsearch.benchmark.report.needle_tables import LEGEND, MARKS, multiple, recall_text, size
from simsearch.benchmark.report.summary import answer, needle_answer, strongest
from simsearch.benchmark.results import Results

_HALF = 0.5


def needle_lines(results: Results, needle: NeedleResults) -> Iterator[str]:
    """Yield the lines of the answer by the needle protocol, from the recalls at its middle library."""
    yield from paragraph(
        f"**{cell(needle_answer(needle, results))}** What finds most depends on the edits that you expect (the groups "
        "are those of `configs/today.yaml`):"
    )
    yield ""
    yield from _take(results, needle)
    yield ""
    yield from paragraph(LEGEND)
    for part in (_sure(results, needle), _fails(results, needle)):
        yield ""
        yield from paragraph(part)


def paper_lines(run: Results) -> list[str]:
    """Return the lines of the answer by the paper's protocol."""
    said = answer(run)
    words = " ".join([f"({run.photographs.name}): {said.headline}", *said.sentences])
    return paragraph(f"**By the paper's protocol** {cell(words)}")


def _take(results: Results, needle: NeedleResults) -> list[str]:
    """For each group of edits the two methods that find most."""
    rows = []
    for number, (group, edits) in enumerate(needle.group_edits.items()):
        found = [(share, one) for one in needle.methods if (share := one.groups[number].recall[needle.middle])]
        ranked = sorted(found, key=lambda pair: -pair[0].value)[:2]
        names = [_found(results, needle, one, share) for share, one in ranked]
        apart = len(ranked) == 2 and ranked[1][0].high < ranked[0][0].low
        verdict = "" if len(ranked) < 2 else "apart" if apart else "overlap: their order may be chance"
        rows.append([f"{cell(group)}, {len(edits)} edits", *names, *[""] * (2 - len(names)), verdict])
    return table(["copies by", "take", "next", "intervals"], rows)


def _found(results: Results, needle: NeedleResults, one: NeedleMethod, share: Estimate) -> str:
    return f"{_name(results, one)} {recall_text(share, one.thresholds[needle.middle].support)}"


def _sure(results: Results, needle: NeedleResults) -> str:
    """How many strangers stand behind, and how far false matches were from what was promised."""
    middle, best = needle.middle, strongest(needle)
    threshold, limit = best.thresholds[middle], needle.limits[middle]
    said = "**How sure.** Intervals hold 95 %."
    if (value := threshold.threshold) is not None:
        said += (
            f" {_name(results, best)}'s distance for N = {size(limit)} is {value.value:.3f} ({value.low:.3f}-"
            f"{value.high:.3f}{MARKS[threshold.support]}); {threshold.pairs:,} pairs of {threshold.images:,} different "
            "strangers lie within."
        )
    here = [held for held in best.held_out if (held.library, held.expected) == (limit.library, limit.expected)]
    ratios = [held.observed / held.predicted for held in here if held.threshold is not None and held.predicted]
    if ratios:
        said += (
            f" Set on all sources of photographs but one, it brought {min(ratios):.1f} to {max(ratios):.1f} times the "
            "false matches promised for the one left out: allow for as much on photographs of another kind."
        )
    alike = next((one for one in best.strata if one.kind == "look_alikes" and not one.name), None)
    if alike and (times := multiple(alike, needle)):
        said += (
            f" Two photographs of one source come as near {times.partition(' ')[0]} times as often as strangers were "
            "allowed to: series of one scene bring more false matches."
        )
    return said


def _fails(results: Results, needle: NeedleResults) -> str:
    """Edits that no method sees through, and those that the strongest one loses and another does not."""
    recalls = [
        {edit.name: share.value for edit in one.edits if (share := edit.recall[needle.middle])}
        for one in needle.methods
    ]
    own = recalls[needle.methods.index(strongest(needle))]
    lost, elsewhere = [], []
    for name in (name for edits in needle.group_edits.values() for name in edits):
        most, number = max((found.get(name, 0.0), -number) for number, found in enumerate(recalls))
        if most < _HALF:
            lost.append(edit_title(name))
        elif own.get(name, 0.0) < _HALF:
            other = _name(results, needle.methods[-number])
            elsewhere.append(f"{edit_title(name)} ({own.get(name, 0.0):.2f}; {other} {most:.2f})")
    said = f"No method finds half of the copies after: {'; '.join(lost)}." if lost else "No edit defeats all methods."
    if elsewhere:
        said += f" {_name(results, strongest(needle))} finds fewer than half where another finds more: "
        said += f"{'; '.join(elsewhere)}."
    return f"**Where it fails.** {said}"


def _name(results: Results, one: NeedleMethod) -> str:
    return cell(label(results, one.key))
