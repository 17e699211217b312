"""`simsearch calibrate` and `simsearch accounts`: what a match is worth in a library, and several of one owner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import options, terminal
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.decide.accounts import OwnerRates
    from simsearch.decide.calibration import Calibration
    from simsearch.decide.thresholds import Step
    from simsearch.library.calibration.calibrate import EditedCopies
    from simsearch.library.calibration.contents import CopyPair

app = typer.Typer(rich_markup_mode=None)
SHOWN = 5
_WANTED = (1e-6, 1e-9, 1e-12)


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


@options.command(
    app,
    "accounts --rate 2e-6 --photographs 10000 --at-least 10",
    "accounts --owners false-matches.csv --photographs 10000 --at-least 10",
    "accounts --pair-rate 1e-6 --photographs 2000 --listed 40 --at-least 12",
)
def accounts(
    *,
    photographs: Annotated[int, typer.Option("--photographs", min=1, metavar="N", help="Of one owner.")],
    at_least: Annotated[int, typer.Option("--at-least", min=1, metavar="K", help="Matches of that owner.")],
    rate: Annotated[
        float | None, typer.Option("--rate", min=0, max=1, metavar="P", help="False matches a photograph.")
    ] = None,
    owners: Annotated[
        Path | None,
        typer.Option(
            "--owners",
            metavar="FILE.csv",
            parser=options.named,
            help="Owners whose matches are all false: columns matches and photographs. Rate and dependence are fitted.",
        ),
    ] = None,
    dispersion: Annotated[
        float,
        typer.Option(
            "--dispersion",
            min=0,
            metavar="A",
            help="How unequal owners are: variance = mean + A mean^2; 0 for Poisson.",
        ),
    ] = 0.0,
    pair_rate: Annotated[
        float | None,
        typer.Option("--pair-rate", min=0, max=1, metavar="F", help="False matches a pair, with --listed."),
    ] = None,
    listed: Annotated[
        int | None,
        typer.Option("--listed", min=1, metavar="M", help="Entries of a list, of which K different ones were found."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Print how likely an innocent owner has at least K matches, and how many it takes.

    Chance matches of one owner come in clusters: where one of their photographs is mistaken, the next is, too. Beside
    independent matches stand those as unequal as --dispersion says, or as the owners of a file are.
    """
    from simsearch.decide.accounts import OwnerRates, share_of_list
    from simsearch.decide.intervals import Interval

    given = [value is not None for value in (rate, owners, pair_rate)]
    if sum(given) != 1:
        raise typer.BadParameter("give one of --rate, --owners and --pair-rate")
    if (pair_rate is None) != (listed is None):
        raise typer.BadParameter("--pair-rate and --listed belong together")
    if owners is not None:
        fitted = _fitted(owners)
    else:
        fitted = OwnerRates(rate or 0.0, dispersion, Interval(dispersion, dispersion), 0, 0)
    if pair_rate is not None and listed is not None:
        kinds = {name: share_of_list(at_least, listed, photographs, pair_rate, a) for name, a in _kinds(dispersion)}
        expected, smallest = listed * pair_rate * photographs, dict[str, dict[str, int]]()
    else:
        expected = fitted.rate * photographs
        kinds, smallest = _of_owners(fitted, expected, at_least)
    if as_json:
        facts = {"expected": expected, "at_least": at_least, "photographs": photographs, "probability": kinds}
        terminal.show_json({**facts, "smallest": smallest, "dispersion": fitted.dispersion, "owners": fitted.owners})
        return
    what = f"{at_least} of {listed} listed entries" if listed else f"{at_least} matches"
    terminal.show(f"an innocent owner of {photographs:,} photographs, {expected:.3g} false matches expected:")
    terminal.show_columns([(name, f"at least {what}", f"{value:.2g}") for name, value in kinds.items()], right=(2,))
    if smallest:
        head = ("", *(f"{wanted:g}" for wanted in _WANTED))
        terminal.show("matches that it takes, by the probability of an innocent owner:")
        lines = [(name, *(str(k) for k in counts.values())) for name, counts in smallest.items()]
        terminal.show_columns([head, *lines], right=range(1, len(head)))
    if fitted.owners:
        low, high = fitted.interval
        terminal.show(
            f"fitted on {fitted.owners:,} owners with {fitted.matches:,} matches: dispersion {fitted.dispersion:.3g}, "
            f"95 % {low:.3g} to {high:.3g}"
        )
    terminal.show("assumed: matches by chance alone, of photographs like those that the rate was counted on")


def _kinds(dispersion: float) -> list[tuple[str, float]]:
    return [("independent", 0.0), *([("clustered", dispersion)] if dispersion else [])]


def _of_owners(fitted: OwnerRates, expected: float, k: int) -> tuple[dict[str, float], dict[str, dict[str, int]]]:
    """Return the probabilities, and the smallest numbers of matches, of each kind of dependence."""
    from simsearch.decide.accounts import at_least, smallest_k

    kinds = _kinds(fitted.dispersion)
    if fitted.owners:
        kinds.append(("clustered, upper end", fitted.interval.high))
    found = {name: at_least(k, expected, a) for name, a in kinds}
    smallest = {
        name: {f"{wanted:g}": smallest_k(wanted, expected, a) for wanted in _WANTED} for name, a in kinds
    }  # fmt: skip
    return found, smallest


def _fitted(path: Path) -> OwnerRates:
    from simsearch.decide.accounts import OwnerRates
    from simsearch.errors import InputError
    from simsearch.runtime.user_files import read_csv

    rows = read_csv(path, ("matches", "photographs"))
    try:
        return OwnerRates.of([float(row["matches"]) for row in rows], [float(row["photographs"]) for row in rows])
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: matches and photographs must be numbers") from error
