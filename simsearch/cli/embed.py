"""`simsearch embed`: rows as files, for other programs or for `index --rows`."""

from __future__ import annotations

import itertools
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simsearch.cli import terminal
from simsearch.cli.inputs import counted, require_inputs
from simsearch.cli.options import (
    AsJson,
    BatchSize,
    Config,
    Device,
    FromList,
    Model,
    Paths,
    Strict,
    Workers,
    examples,
)
from simsearch.cli.progress import shown

app = typer.Typer(rich_markup_mode=None)
SOME_REJECTED = 1


class Format(StrEnum):
    """How rows are written."""

    PARQUET = "parquet"
    NPY = "npy"


def read_shard(text: str | None) -> tuple[int, int]:
    """Return (i, n) from `i/n`, i counted from 1.

    Raises:
        typer.BadParameter: it is no such thing.

    Example:
        >>> read_shard("2/8")
        (2, 8)
    """
    if text is None:
        return 1, 1
    left, slash, right = text.partition("/")
    if not (slash and left.isdecimal() and right.isdecimal() and 1 <= int(left) <= int(right)):
        raise typer.BadParameter(f"--shard {text}: write i/n with i from 1 to n, as 1/4 to 4/4")
    return int(left), int(right)


@app.command(
    epilog=examples(
        "embed photos/ --output rows/",
        "embed --from-list photos.csv --output rows/ --format npy",
        "embed photos/ --output rows-1/ --shard 1/4",
        "index --rows rows/part-00000.parquet --library photos.library",
    )
)
def embed(
    paths: Paths = None,
    *,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="New or empty folder for the rows.")],
    model: Model = None,
    form: Annotated[
        Format, typer.Option("--format", help="One Parquet file a part, or .npy beside it.")
    ] = Format.PARQUET,
    from_list: FromList = None,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="i/n", help="Only every n-th input, from the i-th; 1/n to n/n.")
    ] = None,
    device: Device = "auto",
    workers: Workers = None,
    batch_size: BatchSize = 64,
    strict: Strict = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Write embeddings as Parquet or npy.

    part-*.parquet holds path, sha256, width, height, quality and embedding; rejected.parquet, which comes last, holds
    path, code and message of what could not be used.
    """
    from simsearch.extract.load import load_extractor
    from simsearch.extract.rows_folder import write_folder
    from simsearch.images import find

    require_inputs(paths, from_list)
    first, of = read_shard(shard)
    sources = find(paths or [], from_list=from_list)
    extractor = load_extractor(model or "mini", device=device)
    with shown("embed") as advance, counted(paths or [], from_list) as total:
        report = write_folder(
            extractor,
            itertools.islice(sources, first - 1, None, of),
            output,
            form=form.value,
            batch_size=batch_size,
            workers=workers,
            progress=lambda done: advance(done, total() if of == 1 else None),
        )
    facts = {"output": str(output), "rows": report.rows, "parts": report.parts, "rejected": report.rejected}
    if as_json:
        terminal.show_json({**facts, "rejected_by_code": dict(report.codes), "model": extractor.name})
    else:
        terminal.show(f"{report.rows + report.rejected:,} inputs: {report.rows:,} rows, {report.rejected:,} rejected")
        terminal.show_columns([(code, f"{count:,}") for code, count in report.codes.items()], right=(1,))
        terminal.show(f"rows are in {output}, {report.parts} part(s)")
    if strict and report.rejected:
        raise typer.Exit(SOME_REJECTED)
