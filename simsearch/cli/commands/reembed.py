"""`simsearch reembed`: a further channel for a library that is there."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from simsearch.cli import options, terminal
from simsearch.cli.exit_codes import SOME_REJECTED
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.library import ReembedReport

app = typer.Typer(rich_markup_mode=None)
SHOWN = 10


@options.command(
    app,
    "reembed --library photos.library --model pdq",
    "reembed --library photos.library --model models/mine --channel mini",
)
def reembed(
    *,
    library: options.LibraryFolder,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME",
            help="A model of the zoo, a model folder (with a slash), or your own module:Class.",
        ),
    ],
    channel: options.Channel = None,
    device: options.Device = "auto",
    workers: options.Workers = None,
    batch_size: options.BatchSize = 64,
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
    as_json: options.AsJson = False,
) -> None:
    """Give a library a further channel: the rows of another model, made from the image files.

    Searches go on by the channels that are there; the new one is switched in at once, when every image has a row.
    Interrupted, it keeps what it has done, and the same command goes on from there. How far the new channel and
    --channel agree is told. Exits with 1, and changes nothing, when an image is gone or cannot be used.
    """
    from simsearch.images.source import Limits
    from simsearch.library import AddSettings, Library

    settings = AddSettings(batch_size=batch_size, workers=workers, limits=Limits(max_pixels=max_pixels))
    with Library.open(library, channel=channel, device=device) as opened:
        with shown("reembed") as advance:
            report = opened.reembed(model, settings=settings, progress=advance)
        terminal.note_swept(opened.swept)
        if as_json:
            _show_json(report)
        else:
            _show(report, model, opened.channel.name)
        if not all(index.usable for index in opened.info().indexes):
            terminal.note(
                f"indexes no longer fit, every row is looked at until: simsearch optimize --library {library}"
            )
    if report.missing:
        raise typer.Exit(SOME_REJECTED)


def _show_json(report: ReembedReport) -> None:
    missing = [
        {**terminal.path_fields("path", path), "code": each.code, "message": each.message}
        for path, each in report.missing.items()
    ]
    facts = {"channel": report.channel, "items": report.items, "embedded": report.embedded, "missing": missing}
    terminal.show_json({**facts, "agreement": report.agreement, "sampled": report.sampled})


def _show(report: ReembedReport, model: str, searched: str) -> None:
    from simsearch.errors import shortened
    from simsearch.images.source import printable

    terminal.show(f"{report.embedded:,} images embedded by {model}")
    if report.channel is not None:
        terminal.show(f"channel {report.channel} has a row of each of the {report.items:,} images")
    if report.agreement is not None:
        terminal.show(
            f"agreement with channel {searched}: {report.agreement:.3f} of the 10 nearest are the same (mean of "
            f"{report.sampled:,} images)"
        )
    if not report.missing:
        return
    terminal.show(f"not switched in: {len(report.missing):,} of {report.items:,} images have no row")
    codes = Counter(each.code for each in report.missing.values())
    terminal.show_columns([(code, f"{count:,}") for code, count in codes.most_common()], right=(1,))
    for path, each in islice(report.missing.items(), SHOWN):
        terminal.show(f"    {shortened(printable(path), 200)}: {shortened(each.message, 300)}")
    if len(report.missing) > SHOWN:
        terminal.show(f"    and {len(report.missing) - SHOWN:,} more")
    terminal.show(
        "bring the files back, run `simsearch index` where they changed, or `simsearch remove` them; then run the same "
        "command again, which keeps what is done"
    )
