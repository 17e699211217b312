"""Duplicates as they are printed: a table, JSON lines, a CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsearch.cli import terminal
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.act.duplicates.perform import ActReport
    from simsearch.act.duplicates.plan import Plan, Unit
    from simsearch.decide.calibration import Expected
    from simsearch.library.duplicates.report import Duplicates, Group, Picture

_COLUMNS = (
    *("group", "kept", "path", "path_b64", "sha256", "bytes", "width", "height", "quality"),
    *("distance", "exact", "view", "expected_false_pairs", "chained", "same_file", "confirmed"),
)
_LEFT = 20  # files left alone that are printed


def show_groups(report: Duplicates, *, limit: int, as_json: bool) -> None:
    """Print the groups, then what was found in all."""
    if as_json:
        for number, group in enumerate(report, 1):
            terminal.show_json(group_fields(number, group))
        terminal.show_json(_totals(report))
        return
    shown = report.groups[: limit or None]
    if shown:
        lines = [line for group in shown for line in _lines(group)]
        terminal.show_columns([("", "size", "pixels", "distance", "false pairs", ""), *lines], right=(1, 3, 4))
    if len(shown) < len(report):
        terminal.show(f"... and {len(report) - len(shown):,} more groups: --limit 0 prints all, --csv writes them")
    for line in _summary(report):
        terminal.show(line)


def group_fields(number: int, group: Group) -> dict[str, Any]:
    """Return a group as JSON types."""
    facts = {"chained": group.chained, "frees": group.frees}
    others = [one.to_dict() for one in group.others]
    return {"group": number, "kept": group.kept.to_dict(), "others": others, **facts}


def _totals(report: Duplicates) -> dict[str, Any]:
    totals = report.totals()
    where = {**terminal.path_fields("library", report.library), **terminal.path_fields("against", report.against)}
    return {**{name: totals.pop(name) for name in ("groups", "files", "frees")}, **where, **totals}


def _lines(group: Group) -> Iterator[Sequence[object]]:
    yield "keep", *_size(group.kept), "", "", group.kept.path
    for one in group.others:
        far = "=" if one.exact else "chained" if one.distance is None else f"{one.distance:.4f}"
        remark = [one.view] if one.view != "plain" else []
        remark += ["the same file"] if one.same_file else []
        remark += ["confirmed"] if one.confirmed else []
        told = f"  ({', '.join(remark)})" if remark else ""
        yield "", *_size(one.picture), far, _chance(one.expected), f"{one.picture.path}{told}"


def _size(picture: Picture) -> tuple[str, str]:
    return terminal.size(picture.size), f"{picture.width}x{picture.height}"


def _chance(expected: Expected | None) -> str:
    if expected is None:
        return ""
    return f"<= {expected.high:.2g}" if expected.beyond_calibration else f"{expected.value:.2g}"


def _summary(report: Duplicates) -> Iterator[str]:
    expected = report.expected
    chance = ""
    if expected is not None:
        told = f"{expected.value:.2g} are expected in all (at most {expected.high:.2g})"
        told = f"at most {expected.high:.2g} are expected in all" if expected.beyond_calibration else told
        chance = f", where of false pairs {told}"
    groups, files = len(report), report.files
    yield (
        f"{groups:,} group{'s' * (groups != 1)}, {files:,} file{'s' * (files != 1)} could go, "
        f"{terminal.size(report.frees)} to be freed; "
        f"{report.compared:,} picture{'s' * (report.compared != 1)} compared within "
        f"{report.metric} {report.max_distance:.4f}{chance}"
    )
    if report.recall is not None:
        yield f"through an index: {report.recall}; --exact compares all"
    if chained := sum(group.chained for group in report):
        yield f"{chained:,} files are linked with the kept one only through others (chained); no action touches them"
    notes = {
        "pairs were decided earlier and are not shown": report.decided,
        "pictures show too little to be compared (blank, or pages of text); only their exact copies are listed": (
            report.weak
        ),
        "files are no longer where they were": report.gone,
        "files changed since they were indexed and are left out": report.changed,
        "files could not be read for their views": report.unread,
    }
    yield from (f"{count:,} {what}" for what, count in notes.items() if count)


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """Print what would go."""
    for unit in plan.units:
        if as_json:
            fields = {**terminal.path_fields("path", unit.path), **terminal.path_fields("kept", unit.kept)}
            counts = {"sidecars": len(unit.sidecars), "videos": len(unit.videos), "copied_to_kept": len(unit.copies)}
            terminal.show_json({**fields, "bytes": unit.size, **counts})
        else:
            told = along_of([unit])
            terminal.show(f"{_named(unit.path)}{f'  (and {told})' if told else ''}")
    _show_left(plan.left, as_json=as_json)
    along = along_of(plan.units)
    terminal.note(
        f"nothing was done: {len(plan.units):,} files would go{f' with {along}' if along else ''}, "
        f"{terminal.size(plan.frees)}; give --move-to DIR, --trash or --link"
    )


def along_of(units: Sequence[Unit]) -> str:
    """Return what goes along with some files, in words; empty for nothing."""
    counts = {
        "sidecar": sum(len(unit.sidecars) for unit in units),
        "live video": sum(len(unit.videos) for unit in units),
    }
    words = " and ".join(f"{count:,} {word}{'s' * (count != 1)}" for word, count in counts.items() if count)
    copies = sum(len(unit.copies) for unit in units)
    return f"{words}, {copies:,} of them copied beside the kept file" if copies else words


def show_acted(report: ActReport, verb: str, *, as_json: bool) -> None:
    """Print what was done."""
    if as_json:
        left = [{**terminal.path_fields("path", path), "why": why} for path, why in report.left]
        facts = {"done": report.done, "frees": report.frees, "left": left}
        terminal.show_json({**facts, **terminal.path_fields("journal", str(report.journal))})
        return
    terminal.show(f"{report.done:,} {verb}, {terminal.size(report.frees)}")
    _show_left(report.left, as_json=False)


def _show_left(left: Sequence[tuple[bytes, str]], *, as_json: bool) -> None:
    if as_json or not left:
        return
    terminal.show(f"{len(left):,} left alone:")
    for path, why in left[:_LEFT]:
        terminal.show(f"  {_named(path)}: {why}")
    if len(left) > _LEFT:
        terminal.show(f"  and {len(left) - _LEFT:,} more")


def _named(path: bytes) -> str:
    return terminal.path_fields("path", path)["path"] or ""


def write_csv(path: Path, report: Duplicates) -> None:
    """Write all files of all groups, one a line."""
    from simsearch.runtime.files import published

    with published(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        for number, group in enumerate(report, 1):
            writer.writerow({"group": number, "kept": 1, **group.kept.to_dict()})
            for one in group.others:
                fields = one.to_dict()
                writer.writerow({"group": number, "kept": 0, **{k: _plain(v) for k, v in fields.items()}})


def write_report(path: Path, report: Duplicates, places: Sequence[Path], *, most: int | None) -> None:
    """Write the page on which pairs are decided; `places` are what was asked for."""
    from simsearch.act.page.report_page import write_report_page
    from simsearch.act.page.write_page import MOST

    names = ", ".join(place.name or str(place) for place in places)
    with shown("report") as advance:
        made = write_report_page(report, path, title=f"Duplicates in {names}", most=most or MOST, advance=advance)
    left = f"; {made.left_out:,} more are left out" if made.left_out else ""
    terminal.hint(f"wrote {path}: {made.pairs:,} pairs, {terminal.size(made.bytes)}{left}")


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value
