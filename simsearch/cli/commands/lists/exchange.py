"""`simsearch list import`, `export`, `feedback` and `calibrate`: lists of others, and what they are worth here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import options, terminal
from simsearch.cli.commands.lists.printed import (
    ListName,
    OwnModel,
    chance,
    expected_facts,
    numbers,
    opened,
    say,
    short_type,
    tell_refused,
)
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.library.lists.calibrate import ListCalibration
    from simsearch.library.lists.image_list import ImageList

app = typer.Typer(rich_markup_mode=None)
_STEPS = (0, 10, 20, 31, 40, 50, 60)  # bits of PDQ that are shown


@options.command(
    app,
    "list import blocked hashes.csv --library photos.library",
    "list import blocked entries.xml --format ncmec --library photos.library",
    name="import",
)
def import_file(
    name: ListName,
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=options.named, help="Of an exchange.")],
    *,
    library: options.LibraryFolder,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="text, csv, ncmec, stopncii or hma.  [default: by content]"),
    ] = None,
    origin: Annotated[
        str | None, typer.Option("--origin", metavar="NAME", help="What entries of text and CSV are said to be from.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Of lines that have none, as pdq.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Take over a file of an exchange; a second time it changes nothing. What cannot be used is told and left out."""
    from simsearch.act import import_list

    with opened(library) as held:
        one, channels = held.list(name), held.list_models().facts()
        report = import_list(one, file, form=form, origin=origin, default=kind, channels=channels)
        entries = len(one)
    counts = {key: getattr(report.changed, key) for key in ("added", "updated", "unchanged", "withdrawn")}
    told = {**counts, "refused": sum(report.refused.values()), "entries": entries}
    reasons = {"reasons": dict(report.refused), "unknown_quality": report.unknown_quality}
    say(
        f"{name}, {report.format}: {numbers(told)}",
        {"list": name, "format": report.format, **told, **reasons},
        as_json=as_json,
    )
    if not as_json:
        tell_refused(report.refused, report.examples)
        if report.unknown_quality:
            terminal.hint(f"{report.unknown_quality:,} PDQ hashes without a quality: low ones may be among them")


@options.command(app, "list export blocked blocked.csv --format csv --library photos.library", name="export")
def export_file(
    name: ListName,
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=options.named, help="A new file.")],
    *,
    library: options.LibraryFolder,
    form: Annotated[
        str, typer.Option("--format", metavar="NAME", help="text, csv, ncmec, stopncii, hma or threatexchange.")
    ],
    member: Annotated[
        str, typer.Option("--member", metavar="ID", help="Of ncmec, under which entries of others stand.")
    ] = "0",
    as_json: options.AsJson = False,
) -> None:
    """Write a list as a file of an exchange."""
    from simsearch.act import export_list

    with opened(library) as held:
        count, left = export_list(held.list(name), file, form=form, member=member)
    say(f"{count:,} entries written", {"list": name, "written": count, "left_out": dict(left)}, as_json=as_json)
    for kind, many in left.items() if not as_json else ():
        terminal.note(f"{many:,} of type {kind} left out: {form} has no form for them")


@options.command(
    app,
    "list feedback blocked feedback.json --verdicts verdicts.csv --format stopncii --library photos.library",
    name="feedback",
)
def write_feedback(
    name: ListName,
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=options.named, help="A new file.")],
    *,
    library: options.LibraryFolder,
    verdicts: Annotated[
        Path,
        typer.Option(
            "--verdicts",
            metavar="FILE.csv",
            parser=options.named,
            help="Columns entry and verdict (confirm, reject, pending), and maybe reason.",
        ),
    ],
    form: Annotated[str, typer.Option("--format", metavar="NAME", help="csv, ncmec or stopncii.")],
    as_json: options.AsJson = False,
) -> None:
    """Write what was decided of entries as the exchange takes it; nothing is sent."""
    from simsearch.act import feedback
    from simsearch.act.exchange.feedback import read_verdicts
    from simsearch.act.exchange.files import write_new

    with opened(library) as held:
        made = feedback(held.list(name), read_verdicts(verdicts), form)
    write_new(file, made.text)
    say(
        f"{made.told:,} verdicts written",
        {"list": name, "told": made.told, "left_out": dict(made.left_out)},
        as_json=as_json,
    )
    if not as_json:
        tell_refused(made.left_out, {})


@options.command(
    app,
    "list calibrate blocked --library photos.library",
    "list calibrate blocked --negatives strangers/ --library photos.library",
    name="calibrate",
)
def calibrate(
    name: ListName,
    *,
    library: options.LibraryFolder,
    negatives: Annotated[
        list[Path] | None,
        typer.Option(
            "--negatives",
            metavar="PATH",
            parser=options.named,
            help="Photographs that are strangers to the list.  [default: a sample of the library's]",
        ),
    ] = None,
    model: OwnModel = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Count how often photographs come near a list's entries: what 31 bits of PDQ, or a distance, are worth here.

    The rates are kept with the list, and `check` judges by them. Pairs that look like copies are left out.
    """
    with opened(library, model=model, device=device) as held, shown("list calibrate") as advance:
        one = held.list(name)
        found = held.calibrate_list(name, negatives=negatives, progress=advance)
    for each in found:
        _show_rates(one, each, as_json=as_json)


def _show_rates(one: ImageList, made: ListCalibration, *, as_json: bool) -> None:
    from simsearch.library.lists.codes import PDQ, PDQ_BYTES

    entries, pairs = len(one.coded(made.type)), made.calibration.curve.total
    steps = _STEPS if made.type == PDQ else ()
    worth = [made.calibration.expected([bits / (8 * PDQ_BYTES)], entries)[0] for bits in steps]
    if as_json:
        facts: dict[str, Any] = {"list": one.name, "type": made.type, "entries": entries, "pairs": pairs}
        facts |= {"photographs": made.photographs, "passed_over": made.passed_over, "copies": made.copies}
        rates = [{"bits": bits, **expected_facts(each)} for bits, each in zip(steps, worth, strict=True)]
        terminal.show_json(facts | {"steps": rates})
        return
    terminal.show(
        f"{one.name}, {short_type(made.type)}: {made.photographs:,} photographs against {entries:,} entries, "
        f"{pairs:,} pairs of strangers; {made.passed_over:,} photographs passed over"
    )
    if made.copies:
        terminal.show(f"{made.copies:,} pair(s) look like copies and were not counted: check these photographs")
    if steps:
        head = ("within", "false matches of a check", "at least", "at most")
        cells = [
            (f"{bits} bits", chance(e), f"{e.low:.2g}", f"{e.high:.2g}") for bits, e in zip(steps, worth, strict=True)
        ]
        terminal.show_columns([head, *cells], right=range(4))
