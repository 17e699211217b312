"""The arguments and flags that several commands share, and the format of examples in a help text."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from simsearch.cli import terminal
from simsearch.cli.config import load_config

_Function = TypeVar("_Function", bound=Callable[..., None])


def named(text: str) -> Path:
    """Return a path from the command line.

    Raises:
        typer.BadParameter: It is empty, as a variable that was never set is; it must not mean the current folder.
    """
    if not text:
        raise typer.BadParameter("an empty path; give . for the current folder")
    return Path(text)


class OrderName(StrEnum):
    """The orders of an index's candidates; a test holds them equal to `simsearch.search.arguments.Order`."""

    EXACT = "exact"
    FLOAT32 = "float32"


def metric_named(text: str) -> str:
    """Return the name of a distance from the command line.

    Raises:
        typer.BadParameter: There is none of that name.
    """
    from simsearch.distance import metric_name

    try:
        return metric_name(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def query_metric_named(text: str) -> str:
    """Return the metric of a query: a distance, or `asymmetric`, that of margins to bits.

    Raises:
        typer.BadParameter: There is none of that name.
    """
    return text if text == "asymmetric" else metric_named(text)


def be_quiet(wanted: bool) -> bool:
    """Leave progress and hints out while this command runs."""
    terminal.QUIET.set(wanted)
    return wanted


def view_kinds_named(text: str) -> str:
    """Return kinds of views from the command line.

    Raises:
        typer.BadParameter: There is none of that name.
    """
    from simsearch.images.views import views_of_kinds

    try:
        views_of_kinds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


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
Channel = Annotated[
    str | None,
    typer.Option(
        "--channel",
        metavar="NAME",
        help="Whose rows, where the library has those of several models.  [default: its first]",
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
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N; several by commas share the work.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=0, metavar="N", help="Decoding processes.  [default: one a core]")
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
    bool, typer.Option("--quiet", "-q", callback=be_quiet, help="Print results alone: no progress, no hints.")
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


def command(
    app: typer.Typer, *examples: str, name: str | None = None, flags: Any = None, config: bool = True
) -> Callable[[_Function], _Function]:
    """Make a command of a function; --quiet and --config are added, which act by themselves.

    Args:
        app: What it is a command of.
        examples: Commands as they are typed, shown below the help text.
        name: What it is called; by default as the function.
        flags: A dataclass whose fields are the flags and arguments: then the function is given one of it.
        config: Whether there is a --config.
    """
    epilog = "\b\nExamples:\n" + "\n".join(f"  simsearch {line}" for line in examples)
    common = {"quiet": (Quiet, False), **({"config": (Config, None)} if config else {})}

    def decorate(function: _Function) -> _Function:
        hints = get_type_hints(flags or function, include_extras=True)
        given = inspect.signature(flags or function).parameters.items()
        own = {key: each.replace(annotation=hints[key]) for key, each in given}
        more = {
            key: inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for key, (kind, default) in common.items()
            if key not in own
        }

        def run(**values: Any) -> None:
            told = {key: value for key, value in values.items() if key in own}
            function(flags(**told)) if flags else function(**told)

        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.__signature__ = inspect.Signature([*own.values(), *more.values()])  # type: ignore[attr-defined]
        app.command(name, epilog=epilog)(run)
        return function

    return decorate
