"""`simsearch review`: what people decide of pairs, which sticks."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import options, terminal

if TYPE_CHECKING:
    from simsearch.library.verdicts.verdict import Verdict

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
_A = Annotated[str, typer.Argument(metavar="A", help="A file, id:N, or a SHA-256.")]
_B = Annotated[str, typer.Argument(metavar="B", help="The other one.")]
_By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decided.")]
COLUMNS = ("a", "b", "copy", "distance", "channel", "by", "time", "sha256_a", "sha256_b")


@options.command(app, "review confirm a.jpg b.jpg --by Anna --library photos.library")
def confirm(
    a: _A, b: _B, *, library: options.LibraryFolder, by: _By, channel: options.Channel = None,
    as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Say that two pictures are copies of one."""
    _decide((a, b), "confirm", (library, channel), by=by, as_json=as_json)


@options.command(app, "review reject a.jpg b.jpg --by Anna --library photos.library")
def reject(
    a: _A, b: _B, *, library: options.LibraryFolder, by: _By, channel: options.Channel = None,
    as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Say that two pictures are no copies of one; `duplicates` never shows the pair again."""
    _decide((a, b), "reject", (library, channel), by=by, as_json=as_json)


@options.command(app, "review undo a.jpg b.jpg --by Anna --library photos.library")
def undo(
    a: _A, b: _B, *, library: options.LibraryFolder, by: _By, channel: options.Channel = None,
    as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Take the last verdict on two pictures back; both stay in the log."""
    _decide((a, b), "undo", (library, channel), by=by, as_json=as_json)


@options.command(app, "review log --library photos.library", "review log --library photos.library --json")
def log(*, library: options.LibraryFolder, as_json: options.AsJson = False) -> None:
    """Print all verdicts, oldest first."""
    from simsearch.library import Library

    with Library.open(library) as opened:
        entries = opened.verdicts()
    for entry in entries if as_json else ():
        terminal.show_json(_fields(entry))
    if entries and not as_json:
        rows = [
            (one.time, one.by, one.decision, *(half.hex()[:16] for half in one.pair), _number(one.distance))
            for one in entries
        ]
        terminal.show_columns(rows)
    elif not as_json:
        terminal.show("no verdicts")


@options.command(app, "review export --pairs pairs.csv --library photos.library")
def export(
    *,
    library: options.LibraryFolder,
    pairs: Annotated[
        Path, typer.Option("--pairs", metavar="FILE.csv", parser=options.named, help="The file that is written.")
    ],
    channel: options.Channel = None,
    as_json: options.AsJson = False,
) -> None:
    """Write the verdicts that stand as pairs of files, for `finetune` (pairs) and `calibrate --judged`.

    Columns: a and b (paths), copy (1 or 0), distance in the channel, channel, by, time, sha256_a and sha256_b. A pair
    of which the library has not two files any more, or whose names are no UTF-8, is left out and counted.
    """
    from simsearch.library import Library
    from simsearch.runtime.files import published

    with Library.open(library, channel=channel) as opened:
        judged, name = opened.judged_pairs(), opened.channel.name
    written = 0
    with published(pairs) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for one in judged:
            if one is None or not (_is_utf8(one.a) and _is_utf8(one.b)):
                continue
            contents = [half.hex() for half in one.verdict.pair]
            told = (int(one.copy), "" if one.distance is None else repr(one.distance), name)
            writer.writerow((one.a.decode(), one.b.decode(), *told, one.verdict.by, one.verdict.time, *contents))
            written += 1
    left = len(judged) - written
    if as_json:
        terminal.show_json({**terminal.path_fields("pairs", str(pairs)), "written": written, "left_out": left})
        return
    terminal.show(
        f"{written:,} pairs in {pairs}" + (f"; {left:,} left out, of which two files are not there" if left else "")
    )


def _decide(pair: tuple[str, str], decision: str, where: tuple[Path, str | None], *, by: str, as_json: bool) -> None:
    from simsearch.library import Library

    with Library.open(where[0], channel=where[1]) as opened:
        made = opened.review(*pair, decision, by=by)
    if as_json:
        terminal.show_json(_fields(made))
        return
    apart = "" if made.distance is None else f", {made.distance:.4f} apart"
    terminal.show(f"{decision}: {pair[0]} and {pair[1]}{apart}, by {made.by}")


def _fields(entry: Verdict) -> dict[str, Any]:
    a, b = (half.hex() for half in entry.pair)
    facts = {"decision": entry.decision, "by": entry.by, "time": entry.time}
    return {"a": a, "b": b, **facts, "distance": entry.distance, "channel": entry.channel}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _is_utf8(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True
