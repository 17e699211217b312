"""`simsearch info, verify, repair, optimize`: what a library says of itself, and how it is kept in order."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from simsearch.cli import terminal
from simsearch.cli.exit_codes import FAILED
from simsearch.cli.options import AsJson, Channel, Device, LibraryFolder, Metric, command
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.library.indexes.curve import Curve
    from simsearch.library.info import IndexInfo

_ASKED = {"library": "themselves", "queries": "queries", "negatives": "strangers"}
app = typer.Typer(rich_markup_mode=None)


@command(app, "info --library photos.library", "info --library photos.library --json")
def info(library: LibraryFolder, *, as_json: AsJson = False) -> None:
    """Print what a library holds."""
    from simsearch.library import Library

    with Library.open(library) as opened:
        facts = opened.info()
    if as_json:
        terminal.show_json({**asdict(facts), **terminal.path_fields("path", facts.path)})
        return
    lines = [
        ("library", facts.path),
        ("images", f"{facts.items:,}"),
        ("removed", f"{facts.removed:,} (optimize drops them from the disk)" if facts.removed else "0"),
        ("rejected", f"{facts.rejected:,}"),
        ("on disk", f"{terminal.size(facts.bytes)} in {facts.segments} segment(s)"),
    ]
    for channel in facts.channels:
        lines.append(("channel", channel.name))
        row = "bytes of keypoints" if channel.dtype == "points" else f"x {channel.dtype}"
        lines.append(("model", f"{channel.model}, {channel.dimension} {row}, searched by {channel.metric}"))
        lines.append(("fingerprint", channel.fingerprint))
    for one in facts.calibrations:
        stale = ", stale" if one.stale else ""
        name = one.channel if one.channel == one.metric else f"{one.channel} by {one.metric}"
        lines.append(("calibration", f"{name}, {one.pairs:,} pairs of its items and {_ASKED[one.origin]}{stale}"))
    lines += [("folder", path) for path in facts.roots.values()]
    terminal.show_columns(lines, indent=0)
    for index in facts.indexes:
        _show_index(index)


@command(app, "verify --library photos.library", "verify --library photos.library --deep")
def verify(
    library: LibraryFolder,
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every file whole: checksums, rows, a sample of searches.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a library against itself.

    Exits with 3 when something is wrong.
    """
    from simsearch.errors import LibraryDamaged
    from simsearch.library.format.manifest import Manifest
    from simsearch.library.verify import verify as problems_of

    with suppress(LibraryDamaged):  # reported below, with all other faults
        Manifest(library).read()
    problems = problems_of(library, deep=deep)
    if as_json:
        terminal.show_json({"sound": not problems, "deep": deep, "problems": problems})
    else:
        for problem in problems:
            terminal.show(problem)
        if not problems:
            terminal.show(f"{library} is sound")
    if problems:
        mended = all("simsearch optimize" in problem for problem in problems)  # indexes are made from the rows
        cure = f"run: simsearch {'optimize' if mended else 'repair'} --library {library}"
        terminal.note(f"error: {len(problems)} problem(s) found in {library}; {cure}")
        raise typer.Exit(FAILED)


@command(app, "repair --library photos.library")
def repair(library: LibraryFolder, *, as_json: AsJson = False) -> None:
    """Make a library's lost or damaged manifest again from its segments.

    Nothing is deleted: the old manifest and segments that cannot be used are renamed. What could not be known is said,
    such as which images had been removed. A sound library is left as it is.
    """
    from simsearch.library import Library

    report = Library.repair(library)
    if as_json:
        terminal.show_json(asdict(report))
        return
    if not report.made:
        terminal.show(f"{library} is sound, nothing to repair: {report.items:,} images in {report.segments} segment(s)")
        return
    terminal.show(f"{library} has a manifest again: {report.items:,} images in {report.segments} segment(s)")
    if report.kept is not None:
        terminal.show(f"the old one is kept as {report.kept}")
    for name, why in report.aside.items():
        terminal.show(f"left aside: {name}: {why}")
    for sentence in report.unknown:
        terminal.show(f"not known: {sentence}")
    terminal.show(f"look it over: simsearch verify --deep --library {library}")


@command(
    app,
    "optimize --library photos.library",
    "optimize --library photos.library --recall 0.95",
    "optimize --library photos.library --recall 0.95 --channel pdq",
    "optimize --library photos.library --recall 0.9 --metric cosine --kind rabitq --bytes 40",
)
def optimize(
    library: LibraryFolder,
    *,
    recall: Annotated[
        float | None,
        typer.Option(
            "--recall", min=0.01, max=1, metavar="R", help="Build an index that finds this share of the nearest."
        ),
    ] = None,
    channel: Channel = None,
    metric: Metric = None,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            metavar="K",
            help="auto, flat, ivf_flat, ivf_sq8, ivf_pq, hnsw or rabitq; of bits flat, ivf_flat or multi_hash.",
        ),
    ] = "auto",
    bytes_a_row: Annotated[
        int | None,
        typer.Option("--bytes", min=1, metavar="B", help="Most that a row's code may take, in ivf_pq and rabitq."),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Merge segments, drop what was removed, and build indexes for libraries too large to be searched row by row.

    Removed images leave the disk; ids stay. An index is asked in such a way that it finds the share of true neighbours
    that --recall says, as measured against exact search with rows of the library that are left out of it for that;
    `query --exact` goes without. Indexes that no longer fit are built again.
    """
    from simsearch.library import Library

    if recall is None and (kind != "auto" or bytes_a_row is not None):
        raise typer.BadParameter("--kind and --bytes go with --recall, the share of neighbours that must be found")
    with Library.open(library, channel=channel, device=device) as opened:
        before = opened.info()
        with shown("optimize") as advance:
            opened.optimize(
                recall=recall,
                metric=metric,
                kind=kind,
                bytes_a_row=bytes_a_row,
                progress=lambda _what, done, of: advance(done, of or None),
            )
        after = opened.info()
        terminal.note_swept(opened.swept)
    if as_json:
        facts = {"segments_before": before.segments, "segments": after.segments}
        indexes = [asdict(index) for index in after.indexes]
        terminal.show_json({**facts, "bytes_before": before.bytes, "bytes": after.bytes, "indexes": indexes})
        return
    terminal.show(f"segments  {before.segments} -> {after.segments}")
    terminal.show(f"on disk   {terminal.size(before.bytes)} -> {terminal.size(after.bytes)}")
    for index in after.indexes:
        _show_index(index)
    if recall is not None and not after.indexes:
        terminal.show(
            f"no index: {after.items:,} images are searched exactly and soon enough (--kind builds one all the same)"
        )


def _show_index(index: IndexInfo) -> None:
    """Print the index, its recalls, and its measured points with their rates; those in use are marked."""
    state = f"{index.fresh:,} rows beside it" if index.usable else "NOT USED: its segments changed; run optimize"
    terminal.show(
        f"index  {index.channel}, {index.metric}, {index.kind}, {index.bytes_a_row} bytes a row, "
        f"{terminal.size(index.bytes)}, {index.rows:,} rows, {state}"
    )
    for recall in index.recalls:
        terminal.show(f"  {recall}")
    for curve in (index.curve, *index.wider):
        _show_curve(curve, index.device)


def _show_curve(curve: Curve, device: str) -> None:
    head = ("", f"recall@{curve.k}", "95 % interval", f"queries/s, {device}", "effort", "measured")
    chosen = curve.chosen and (curve.chosen.effort, curve.chosen.depth)
    rows = [
        (
            "->" if (point.effort, point.depth) == chosen else "",
            f"{point.recall:.4f}",
            f"{point.low:.4f}-{point.high:.4f}",
            f"{point.rate:,.0f}",
            f"{point.effort:,}",
            f"{point.depth:,}",
        )
        for point in curve.points
    ]
    terminal.show_columns([head, *rows], right=(1, 3, 4, 5))
