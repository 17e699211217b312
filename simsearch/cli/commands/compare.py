"""`simsearch compare`: how near two images are, and the evidence of it on a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simsearch.cli import options, terminal
from simsearch.cli.options import named

if TYPE_CHECKING:
    from simsearch.act.page.measured import Measured
    from simsearch.images.source import Limits

app = typer.Typer(rich_markup_mode=None)


@options.command(
    app,
    "compare cat.jpg cat-cropped.jpg",
    "compare a.jpg b.jpg --metric cosine --json",
    "compare cat.jpg cat-cropped.jpg --model mini --model points --report match.html",
)
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", parser=named, help="One image.")],
    b: Annotated[Path, typer.Argument(metavar="B", parser=named, help="Another.")],
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="A model of the zoo, a model folder (with a slash), or your own module:Class; given again, one more "
            "says how near they are.  [default: mini]",
        ),
    ] = None,
    metric: options.Metric = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE.html",
            parser=named,
            help="Write a page of the evidence: both pictures, where they overlap, and what it is worth.",
        ),
    ] = None,
    library_size: Annotated[
        int | None,
        typer.Option(
            "--library-size",
            min=1,
            metavar="N",
            help="Photographs of the library that --report judges the match in.  [default: 10000]",
        ),
    ] = None,
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Print the distance between two images, by one model or several; --report lays the evidence out on a page."""
    from simsearch.act.page.measured import measured
    from simsearch.extract.load import load_extractor
    from simsearch.images.source import Limits
    from simsearch.spatial.points import Points

    if library_size is not None and report is None:
        raise typer.BadParameter("--library-size says in what the page judges the match: give --report FILE.html too")
    limits = Limits(max_pixels=max_pixels)
    extractors = [load_extractor(name, device=device) for name in dict.fromkeys(model or ["mini"])]
    if metric is not None and any(isinstance(extractor, Points) for extractor in extractors):
        raise typer.BadParameter("keypoints are compared by places alone: leave --metric out")
    told = [measured(extractor, a, b, metric=metric, limits=limits) for extractor in extractors]
    if report is not None:
        _write_evidence(report, (a, b), told, limits, library_size)
    for one in told:
        if as_json:
            paths = {**terminal.path_fields("a", str(a)), **terminal.path_fields("b", str(b))}
            terminal.show_json({**paths, **one.facts})
        else:
            terminal.show(one.line)


def _write_evidence(
    report: Path, images: tuple[Path, Path], told: list[Measured], limits: Limits, library_size: int | None
) -> None:
    from simsearch.act.page.evidence import LIBRARY_SIZE, match_evidence, write_evidence

    found = match_evidence(*images, told, library_size=library_size or LIBRARY_SIZE, limits=limits)
    size = write_evidence(found, report)
    terminal.hint(f"wrote {report} ({terminal.size(size)})")
