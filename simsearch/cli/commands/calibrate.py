"""`simsearch calibrate`: what a match is worth in a library, and what each threshold would cost and find."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import options, terminal
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.decide.calibration import Calibration
    from simsearch.decide.thresholds import Step
    from simsearch.library.calibration.calibrate import EditedCopies
    from simsearch.library.calibration.contents import CopyPair

app = typer.Typer(rich_markup_mode=None)
SHOWN = 5


@options.command(
    app,
    "calibrate --library photos.library",
    "calibrate --library photos.library --negatives strangers/ --edits 50 --load 10000",
    "calibrate --library photos.library --fused --queries asked/",
    "calibrate --library photos.library --show",
    "calibrate --library photos.library --judged verdicts.csv --precision 0.99",
)
def calibrate(
    *,
    library: options.LibraryFolder,
    channel: options.Channel = None,
    metric: options.Metric = None,
    negatives: Annotated[
        list[Path] | None,
        typer.Option(
            "--negatives",
            metavar="PATH",
            parser=options.named,
            help="Photographs of which none is in the library: files, folders or tars.",
        ),
    ] = None,
    queries: Annotated[
        list[Path] | None,
        typer.Option(
            "--queries",
            metavar="PATH",
            parser=options.named,
            help="What is asked of the library; pairs that look like copies are left out.",
        ),
    ] = None,
    edits: Annotated[
        int, typer.Option("--edits", min=0, metavar="N", help="Edit N images, to see what a threshold would find.")
    ] = 0,
    load: Annotated[
        float | None, typer.Option("--load", min=0, metavar="N", help="Queries a day, to see how many to review.")
    ] = None,
    judged: Annotated[
        Path | None,
        typer.Option(
            "--judged",
            metavar="FILE.csv",
            parser=options.named,
            help="Matches that people judged: columns distance and copy (0 or 1).",
        ),
    ] = None,
    precision: Annotated[
        float,
        typer.Option("--precision", min=0, max=1, metavar="P", help="Share of copies wanted among judged matches."),
    ] = 0.99,
    show: Annotated[bool, typer.Option("--show", help="Print the rates that are there; count nothing.")] = False,
    fused: Annotated[
        bool,
        typer.Option("--fused", help="Count for all channels together, as `query` asks them, keypoints included."),
    ] = False,
    pairs: Annotated[
        int, typer.Option("--pairs", min=1, metavar="N", help="Pairs of images to compare by --fused.")
    ] = 500_000,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Count how often strangers look alike in a library, so that its answers say what a match is worth.

    Without --negatives or --queries the library's own images are compared with each other, those of different folders
    where it has several. Pairs that look like copies are left out: look at them, since a rate is too low where they are
    none. The table says for each distance how many false matches a query would have; its bounds hold for all lines
    together, so that any may be picked.
    """
    from simsearch.decide.thresholds import steps, threshold_for_precision
    from simsearch.errors import InputError
    from simsearch.library import Library

    if show and (negatives or queries):
        raise typer.BadParameter("--show counts nothing: leave --negatives and --queries out")
    if fused:
        if show or edits or load is not None or judged or metric or channel:
            raise typer.BadParameter("--fused is of all channels: give only --negatives, --queries or --pairs with it")
        _count_fused(library, negatives=negatives, queries=queries, pairs=pairs, device=device, as_json=as_json)
        return
    with Library.open(library, channel=channel, device=device) as opened:
        report = None
        if not show:
            with shown("calibrate") as advance:
                report = opened.calibrate(negatives=negatives, queries=queries, metric=metric, progress=advance)
        calibration = report.calibration if report else opened.calibration(metric=metric)
        if calibration is None:
            raise InputError(f"no rates of strangers are known of {opened.channel.model}: run it without --show")
        copies = opened.edited_copies(edits, metric=metric) if edits else None
        bits = opened.channel.bits or 8 * opened.channel.dimension if calibration.metric == "hamming" else None
        distances = None if copies is None else copies.distances
        table = steps(calibration, max(len(opened), 1), copies=distances, load=load, bits=bits)
        items, name = len(opened), opened.channel.name
    limit = None if judged is None else threshold_for_precision(*_judged(judged), precision)
    if as_json:
        facts: dict[str, Any] = {
            **_facts(calibration, name, items),
            "copies": [] if report is None else [_pair(one) for one in report.copies],
            "steps": [_step(step) for step in table],
        }
        facts |= {} if copies is None else {"edits": list(copies.edits)}
        terminal.show_json(facts | ({} if limit is None else {"precision": precision, "distance": limit}))
        return
    _show(calibration, name, items)
    if report is not None:
        _show_copies(report.copies, report.calibration.left_out)
    _show_table(table, load=load, copies=copies)
    if limit is not None:
        terminal.show(f"judged matches: {precision:g} of them are copies up to a distance of {limit:.4f}")


def _count_fused(
    library: Path,
    *,
    negatives: list[Path] | None,
    queries: list[Path] | None,
    pairs: int,
    device: str,
    as_json: bool,
) -> None:
    from simsearch.library import Library

    with Library.open(library, device=device) as opened, shown("calibrate") as advance:
        report = opened.calibrate_fused(negatives=negatives, queries=queries, pairs=pairs, progress=advance)
        items = len(opened)
    rates = report.rates
    least = 3 * items / rates.pairs
    if as_json:
        facts: dict[str, Any] = {"channel": "fused", "metric": "fused", "what": rates.what, "origin": rates.origin}
        facts |= {"images": rates.images, "pairs": rates.pairs, "left_out": rates.left_out, "library_size": items}
        copies = [_pair(one) for one in report.copies]
        terminal.show_json(facts | {"stale": False, "least_expected": least, "copies": copies})
        return
    terminal.show(f"fused: {rates.pairs:,} pairs of strangers, {rates.images:,} {rates.what}")
    _show_copies(report.copies, rates.left_out)
    terminal.show(f"the fewest false matches that can be told of a query: {least:.2g}, in {items:,} images")


def _judged(path: Path) -> tuple[list[float], list[bool]]:
    from simsearch.errors import InputError
    from simsearch.runtime.user_files import read_csv

    distances, copies = list[float](), list[bool]()
    for number, row in enumerate(read_csv(path, ("distance", "copy")), 2):
        if not row["distance"].strip():  # as `review export` writes where a channel has none
            continue
        try:
            distances.append(float(row["distance"]))
            copies.append({"0": False, "1": True}[row["copy"].strip()])
        except (ValueError, KeyError) as error:
            raise InputError(f"{path}, line {number}: distance must be a number and copy 0 or 1") from error
    return distances, copies


def _facts(calibration: Calibration, channel: str, items: int) -> dict[str, Any]:
    return {
        "channel": channel,
        "metric": calibration.metric,
        "origin": calibration.origin,
        "what": calibration.what,
        "images": calibration.images,
        "pairs": calibration.curve.total,
        "left_out": calibration.left_out,
        "library_size": items,
        "stale": calibration.is_stale(items),
    }


def _pair(pair: Any) -> dict[str, Any]:
    return {
        **terminal.path_fields("one", pair.one),
        **terminal.path_fields("other", pair.other),
        "distance": pair.distance,
    }


def _step(step: Step) -> dict[str, Any]:
    expected, recall = step.expected, step.recall
    return {
        "distance": step.distance,
        "expected_false_matches": expected.value,
        "expected_interval": [expected.low, expected.high],
        "any": expected.any,
        "beyond_calibration": expected.beyond_calibration,
        "recall": None if recall is None else recall.value,
        "recall_interval": None if recall is None else [recall.low, recall.high],
        "reviews": step.reviews,
    }


def _show(calibration: Calibration, channel: str, items: int) -> None:
    terminal.show(
        f"{channel} by {calibration.metric}: {calibration.curve.total:,} pairs of strangers, {calibration.images:,} "
        f"{calibration.what}"
    )
    if calibration.is_stale(items):
        terminal.show(f"stale: made with {calibration.items:,} images, and there are {items:,}; run calibrate again")


def _show_copies(copies: Sequence[CopyPair], count: int) -> None:
    if not count:
        return
    terminal.show(f"{count:,} pair(s) look like copies and were not counted; look at them:")
    lines = [(f"{pair.distance:.4f}", pair.one, pair.other) for pair in copies[:SHOWN]]
    terminal.show_columns(lines, right=(0,))
    if count > SHOWN:
        terminal.show(f"  ... and {count - SHOWN:,} more (--json lists them)")


def _show_table(table: tuple[Step, ...], *, load: float | None, copies: EditedCopies | None) -> None:
    from simsearch.decide.calibration import in_words

    head = ["within", "false matches", "at least", "at most"]
    head += ["copies found"] if copies else []
    head += ["false a day"] if load is not None else []
    lines: list[tuple[object, ...]] = [tuple(head)]
    for step in table:
        expected = step.expected
        cells = [f"{step.distance:.4f}", in_words(expected.value, beyond_calibration=expected.beyond_calibration)]
        cells += [f"{expected.low:.2g}", f"{expected.high:.2g}"]
        if step.recall is not None:
            cells.append(f"{step.recall.value:.2f} ({step.recall.low:.2f} to {step.recall.high:.2f})")
        if step.reviews is not None:
            cells.append(f"{step.reviews:,.3g}")
        lines.append(tuple(cells))
    terminal.show_columns(lines, right=range(len(head)))
    if copies is not None:
        terminal.show(f"  copies: {len(copies.distances)} images, each in {len(copies.edits)} edits")
