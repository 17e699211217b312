"""`simsearch index, remove`: what goes into a library and out of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import terminal
from simsearch.cli.inputs import counted, require_inputs
from simsearch.cli.options import (
    AsJson,
    BatchSize,
    Config,
    Devices,
    FromList,
    LibraryFolder,
    Model,
    Paths,
    Quiet,
    Strict,
    Workers,
    examples,
)
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.library import AddReport, AddSettings, Library

app = typer.Typer(rich_markup_mode=None)
SOME_REJECTED = 1


@app.command(
    epilog=examples(
        "index photos/ --library photos.library",
        "index photos/ --library photos.library --prune",
        "index --from-list photos.csv --library photos.library --workers 8",
        "index photos/ --library photos.library --device cuda:0,cuda:1",
        "index photos/ --library small.library --bits 96",
        "index --rows rows/part-00000.parquet --library photos.library",
    )
)
def index(
    paths: Paths = None,
    *,
    library: LibraryFolder,
    model: Model = None,
    bits: Annotated[
        str | None,
        typer.Option(
            "--bits", metavar="N", help="Keep so many bits an image: 96 or 256 of mini, or a quantiser's file."
        ),
    ] = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", metavar="FILE.parquet", help="Add rows that `simsearch embed` wrote.")
    ] = None,
    from_list: FromList = None,
    device: Devices = "auto",
    workers: Workers = None,
    batch_size: BatchSize = 64,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove images of the folders given that are no longer there.")
    ] = False,
    rescan: Annotated[
        bool, typer.Option("--rescan", help="Read also files whose size and time are unchanged.")
    ] = False,
    strict: Strict = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Add images to a library.

    The library is made on first use; run the command again after images were added or changed. Unchanged files are not
    read again, exact copies are not embedded again. Interrupted, it keeps what it has done, and the same command goes
    on from there.
    """
    from simsearch.library import AddSettings

    require_inputs(paths, from_list, rows)
    if rows is not None and (paths or from_list or prune or rescan):
        raise typer.BadParameter(
            "--rows takes rows from its file alone: leave out PATH, --from-list, --prune, --rescan"
        )
    if bits is not None:
        from simsearch.extract.quantised import quantised_name

        model = quantised_name(model or "mini", bits if bits.isdecimal() else str(Path(bits).resolve()))
    if prune and not paths:
        raise typer.BadParameter("--prune looks at the folders given as PATH, and there is none")
    settings = AddSettings(batch_size=batch_size, workers=workers)
    devices = [name.strip() for name in device.split(",")]
    with _on_devices(library, model=model, rows=rows, devices=devices) as opened:
        started = time.monotonic()
        if rows is not None:
            report = _add_rows(opened, rows, settings)
        else:
            report = _add(opened, paths or [], from_list, settings, prune=prune, rescan=rescan)
        _show_report(report, opened, seconds=time.monotonic() - started, as_json=as_json)
    if strict and report.rejected:
        raise typer.Exit(SOME_REJECTED)


@app.command(
    epilog=examples("remove photos/old/ --library photos.library", "remove id:17 --library photos.library --purge")
)
def remove(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files, folders, tars, tar members, or id:N.")],
    *,
    library: LibraryFolder,
    purge: Annotated[
        bool, typer.Option("--purge", help="Also rewrite the files, so that nothing stays on disk.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Remove images from a library.

    The images themselves stay where they are.
    """
    from simsearch.library import Library

    with Library.open(library) as opened:
        removed = opened.remove(paths, purge=purge)
        left = len(opened)
    if as_json:
        terminal.show_json({"removed": removed, "purged": purge, "library_size": left})
    else:
        terminal.show(f"removed {removed:,}; {library} now holds {left:,} images")


def _open_or_make(folder: Path, *, model: str | None, rows: Path | None, device: str) -> Library:
    """The library in a folder; a new one is of the model given, of the rows' model, or mini."""
    from simsearch.errors import LibraryNotFound
    from simsearch.library import Library

    if model is not None:
        return Library.create(folder, model=model, device=device)
    try:
        return Library.open(folder, device=device)
    except LibraryNotFound:
        if rows is None:
            return Library.create(folder, device=device)
        from simsearch.extract.load import load_named_by_file
        from simsearch.extract.rows_file import rows_info

        told = rows_info(rows)
        load_named_by_file(told.model, told.fingerprint, whose=str(rows), device=device)  # refuses what is not safe
        return Library.create(folder, model=told.model, device=device)


@contextmanager
def _on_devices(folder: Path, *, model: str | None, rows: Path | None, devices: list[str]) -> Iterator[Library]:
    """The library, whose images are embedded on all the devices."""
    from simsearch.extract.load import load_extractor
    from simsearch.extract.on_devices import OnDevices
    from simsearch.library import Library

    if len(devices) > 1:
        from simsearch.extract.device import choose_device

        for device in devices:  # before a library is made
            choose_device(device)
    with closing(_open_or_make(folder, model=model, rows=rows, device=devices[0])) as library:
        if len(devices) == 1 or rows is not None:
            yield library
            return
        extractors = [library.extractor]
        for device in devices[1:]:
            if model is not None:
                extractors.append(load_extractor(model, device=device))
            else:  # by what the library says, within the bounds of that
                with Library.open(folder, device=device) as other:
                    extractors.append(other.extractor)
        with OnDevices(extractors) as each, Library.open(folder, extractor=each, device=devices[0]) as opened:
            yield opened


def _add(
    library: Library, paths: list[Path], from_list: Path | None, settings: AddSettings, *, prune: bool, rescan: bool
) -> AddReport:
    with shown("index") as advance, counted(paths, from_list) as total:
        return library.add(
            paths,
            from_list=from_list,
            settings=settings,
            prune=prune,
            rescan=rescan,
            progress=lambda progress: advance(progress.done, total()),
        )


def _add_rows(library: Library, rows: Path, settings: AddSettings) -> AddReport:
    from simsearch.extract.rows_file import rows_info

    total = rows_info(rows).rows
    with shown("index") as advance:
        return library.add_rows(rows, settings=settings, progress=lambda progress: advance(progress.done, total))


def _show_report(report: AddReport, library: Library, *, seconds: float, as_json: bool) -> None:
    counts: dict[str, Any] = {
        "added": report.added,
        "unchanged": report.unchanged,
        "exact_copies": report.exact_copies,
        "replaced": report.replaced,
        "rejected": report.rejected,
    }
    rate = report.inputs / max(seconds, 1e-9)
    if as_json:
        more = {"rejected_by_code": dict(report.codes), "pruned": report.pruned, "library_size": len(library)}
        terminal.show_json({"inputs": report.inputs, **counts, **more, "seconds": seconds, "rate": rate})
        return
    terminal.show(f"{report.inputs:,} inputs in {seconds:.1f} s, {rate:,.1f} a second")
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in counts.items()]
    if report.pruned:
        rows.append(("pruned", f"{report.pruned:,}"))
    terminal.show_columns(rows, right=(1,))
    _show_rejected(report)
    terminal.show(f"{library.path} now holds {len(library):,} images")


def _show_rejected(report: AddReport) -> None:
    if report.rejected:
        terminal.show("rejected:")
        terminal.show_columns([(code, f"{count:,}") for code, count in report.codes.items()], right=(1,))
        for one in report.first_rejected:
            terminal.show(f"    {one.source.printable}: {one.message}")
        if report.rejected > len(report.first_rejected):
            terminal.show(f"    and {report.rejected - len(report.first_rejected):,} more")
