"""The arguments and flags that several commands share, and how examples stand in a help text."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar, get_type_hints

import typer

from simsearch.cli import terminal
from simsearch.cli.config import load_config

_Flags = TypeVar("_Flags")


def named(text: str) -> Path:
    """Return a path from the command line.

    Raises:
        typer.BadParameter: it is empty, as a variable that was never set is; it must not mean the current folder.
    """
    if not text:
        raise typer.BadParameter("an empty path; give . for the current folder")
    return Path(text)


class OrderName(StrEnum):
    """What an index's candidates are chosen by; a test holds them equal to `simsearch.search.arguments.Order`."""

    EXACT = "exact"
    FLOAT32 = "float32"


def metric_named(text: str) -> str:
    """Return the name of a distance from the command line.

    Raises:
        typer.BadParameter: there is none of that name.
    """
    from simsearch.distance import metric_name

    try:
        return metric_name(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def query_metric_named(text: str) -> str:
    """Return what a query asks by: a distance, or `asymmetric`, that from bits that kept their margins.

    Raises:
        typer.BadParameter: there is none of that name.
    """
    return text if text == "asymmetric" else metric_named(text)


def examples(*lines: str) -> str:
    """Return an epilogue that shows commands as they are typed."""
    return "\b\nExamples:\n" + "\n".join(f"  simsearch {line}" for line in lines)


def with_flags(kind: type[_Flags]) -> Callable[[Callable[[_Flags], None]], Callable[..., None]]:
    """Make a command of a function of one object: each field of its dataclass is a flag or an argument."""
    hints = get_type_hints(kind, include_extras=True)
    parameters = [each.replace(annotation=hints[name]) for name, each in inspect.signature(kind).parameters.items()]

    def decorate(function: Callable[[_Flags], None]) -> Callable[..., None]:
        def command(**values: object) -> None:
            function(kind(**values))

        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def be_quiet(wanted: bool) -> bool:
    """Leave progress and hints out while this command runs."""
    terminal.QUIET.set(wanted)
    return wanted


Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH", parser=named, help="Files, folders (searched at any depth) or tars."),
]
LibraryFolder = Annotated[Path, typer.Option("--library", metavar="DIR", parser=named, help="Folder of the library.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A model of the zoo, a model folder (with a slash), or your own module:Class.  [default: mini]",
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        parser=metric_named,
        help="Distance, as js or cosine; lower is more similar.  [default: what the model recommends]",
    ),
]
QueryMetric = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        parser=query_metric_named,
        help="Distance, as js or cosine; lower is more similar.  [default: what the model recommends]",
    ),
]
FromList = Annotated[
    Path | None,
    typer.Option(
        "--from-list",
        metavar="FILE",
        parser=named,
        help="Text file of paths, a CSV with a `path` column, or - for standard input.",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")]
Devices = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N; several by commas share the work."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, metavar="N", help="Decoding processes.  [default: one a core]"),
]
MAX_PIXELS = 100_000_000  # a test holds it equal to that of `simsearch.images.Limits`
MaxPixels = Annotated[
    int, typer.Option("--max-pixels", min=1, metavar="N", help="Reject larger pictures, by width times height.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, metavar="N", help="Images embedded at once.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed; change nothing.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 when an input was rejected.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=be_quiet, help="Print results alone: no progress, no hints."),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.yaml",
        is_eager=True,
        callback=load_config,
        help="Read flags from a file; those on the command line win.",
    ),
]
