"""`simsearch list create`, `add`, `remove`, `show` and `release`: block and allow lists of a library."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import options, terminal
from simsearch.cli.commands.lists.printed import (
    ListName,
    OwnModel,
    entry_facts,
    entry_line,
    numbers,
    opened,
    say,
    show_facts,
    tell_refused,
)
from simsearch.cli.exit_codes import SOME_REJECTED

if TYPE_CHECKING:
    from simsearch.library.lists.editor import Changed

app = typer.Typer(rich_markup_mode=None)
SHOWN = 20


class KindName(StrEnum):
    """What a list does."""

    BLOCK = "block"
    ALLOW = "allow"


@options.command(app, "list create blocked --kind block --library photos.library", name="create")
def create_list(
    name: ListName,
    *,
    kind: Annotated[KindName, typer.Option("--kind", help="block: accuses; allow: excuses what is as near to it.")],
    library: options.LibraryFolder,
    prevalence: Annotated[
        float | None,
        typer.Option(
            "--prevalence",
            min=0,
            max=1,
            metavar="P",
            help="Share of checked pictures in which one entry may truly be met; above it the flood guard sets it "
            "aside.  [default: 0.001]",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a list without entries, in the library's folder."""
    with opened(library) as held:
        made = held.create_list(name, str(kind), prevalence=prevalence)
    say(f"made the {made.kind} list {name}", {"list": name, "kind": made.kind}, as_json=as_json)


@options.command(
    app,
    "list add blocked bad.jpg more/ --library photos.library",
    "list add blocked --code md5:d41d8cd98f00b204e9800998ecf8427e --library photos.library",
    name="add",
)
def add_to_list(
    name: ListName,
    paths: options.Paths = None,
    *,
    library: options.LibraryFolder,
    codes: Annotated[
        list[str] | None, typer.Option("--code", metavar="TYPE:VALUE", help="A code without its picture.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TEXT", help="Kept with the entries; several times.")
    ] = None,
    model: OwnModel = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """List pictures, or codes without pictures.

    Of a picture its SHA-256, its PDQ hash and a row of each channel are kept, neither the picture nor its path. Exits
    with 1 when an input could not be used.
    """
    from simsearch.images.source import Rejected

    if not paths and not codes:
        raise typer.BadParameter("nothing to list: give a PATH or --code TYPE:VALUE")
    with opened(library, model=model, device=device) as held:
        one, counts = held.list(name), {"added": 0, "updated": 0, "unchanged": 0}
        left, rejected = dict[str, int](), list[Rejected]()
        if codes:
            _count(counts, one.add(codes, tags=tags or ()))
        if paths:
            done = held.add_to_list(name, paths, tags=tuple(tags or ()))
            _count(counts, done.changed)
            left, rejected = dict(done.left_out), list(done.rejected)
    facts = {"list": name, **counts, "left_out": left}
    facts["rejected"] = [
        {"path": one.source.printable, "code": str(one.code), "message": one.message} for one in rejected
    ]
    say(f"{name}: {numbers(counts)}", facts, as_json=as_json)
    if not as_json:
        tell_refused(left, {})
        for each in rejected:
            terminal.note(f"{each.source.printable}: {each.code}: {each.message}")
    if rejected:
        raise typer.Exit(SOME_REJECTED)


@options.command(
    app,
    "list remove blocked 17 --library photos.library",
    "list remove blocked pdq:f8f8f0... --purge --library photos.library",
    name="remove",
)
def remove_from_list(
    name: ListName,
    entries: Annotated[list[str] | None, typer.Argument(metavar="ENTRY", help="Ids, or codes as TYPE:VALUE.")] = None,
    *,
    library: options.LibraryFolder,
    purge: Annotated[
        bool,
        typer.Option("--purge", help="Erase them from the disk at once, and all that was withdrawn before."),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Take entries back. They stay as tombstones, so that no import lists them again, until --purge."""
    if not entries and not purge:
        raise typer.BadParameter("nothing to remove: give ENTRY, or --purge alone for what was withdrawn before")
    wanted = [_entry(text) for text in entries or ()]
    with opened(library) as held:
        one = held.list(name)
        before = one.withdrawn
        count = one.remove(wanted, purge=purge)
        erased = before + count if purge else 0
    facts = {"list": name, "removed": count, "erased": erased}
    say(f"{name}: {count:,} removed" + (f", {erased:,} erased" if purge else ""), facts, as_json=as_json)


@options.command(app, "list show --library photos.library", "list show blocked --library photos.library", name="show")
def show_list(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Of the list; without one all are named.")] = None,
    *,
    library: options.LibraryFolder,
    flooded: Annotated[bool, typer.Option("--flooded", help="Only entries that the flood guard set aside.")] = False,
    withdrawn: Annotated[bool, typer.Option("--withdrawn", help="Also entries that were taken back.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Entries shown; 0 for all.")] = SHOWN,
    as_json: options.AsJson = False,
) -> None:
    """Print the lists of a library, or the entries of one."""
    with opened(library) as held:
        if name is None:
            for each in held.lists():
                show_facts(held.list(each), as_json=as_json)
            return
        one = held.list(name)
    if not as_json:
        show_facts(one, as_json=False)
    ids = sorted(one.sightings.aside) if flooded else None
    lines, more = list[tuple[str, ...]](), 0
    for number, entry in enumerate(one.entries(withdrawn=withdrawn or flooded, ids=ids)):
        if limit and number >= limit:
            more += 1
        elif as_json:
            terminal.show_json(entry_facts(one, entry))
        else:
            lines.append(entry_line(one, entry))
    terminal.show_columns(lines, right=(0,))
    if more:
        terminal.note(f"... and {more:,} more: --limit 0 for all")


@options.command(app, "list release blocked 17 --library photos.library", name="release")
def release(
    name: ListName,
    entries: Annotated[list[int], typer.Argument(metavar="ID", help="Entries that were looked at.")],
    *,
    library: options.LibraryFolder,
    as_json: options.AsJson = False,
) -> None:
    """Let entries accuse again that the flood guard set aside; it never sets them aside a second time."""
    with opened(library) as held:
        held.list(name).release(entries)
    say(f"{name}: {len(entries):,} released", {"list": name, "released": entries}, as_json=as_json)


def _entry(text: str) -> Any:
    from simsearch.library.lists.codes import parsed

    return int(text) if text.isascii() and text.isdigit() else parsed(text)


def _count(counts: dict[str, int], changed: Changed) -> None:
    for key in counts:
        counts[key] += getattr(changed, key)
