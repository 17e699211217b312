"""`simsearch index, remove`: what goes into a library and out of it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import options, terminal
from simsearch.cli.exit_codes import SOME_REJECTED
from simsearch.cli.inputs import OtherFiles, about_others, counted, require_inputs
from simsearch.cli.options import named
from simsearch.cli.progress import shown
from simsearch.cli.remote import (
    Cluster,
    Inputs,
    LedgerPlace,
    RayAddress,
    ShardInputs,
    about_cost,
    given_inputs,
    on_cluster,
)

if TYPE_CHECKING:
    from simsearch.library import AddReport, AddSettings, Library

app = typer.Typer(rich_markup_mode=None)


@dataclass(frozen=True, kw_only=True)
class IndexFlags:
    """The flags of `index`."""

    paths: options.Paths = None
    library: options.LibraryFolder
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="A model of the zoo, a model folder (with a slash), or your own module:Class; given again, one more "
            "channel of rows. A library that is there has its own.  [default: mini]",
        ),
    ] = None
    bits: Annotated[
        str | None,
        typer.Option(
            "--bits", metavar="N", help="Keep so many bits an image: 96 or 256 of mini, or a quantiser's file."
        ),
    ] = None
    rows: Annotated[
        Path | None,
        typer.Option("--rows", metavar="FILE.parquet", parser=named, help="Add rows that `simsearch embed` wrote."),
    ] = None
    from_list: options.FromList = None
    device: options.Devices = "auto"
    workers: options.Workers = None
    batch_size: options.BatchSize = 64
    max_pixels: options.MaxPixels = options.MAX_PIXELS
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove images of the folders given that are no longer there.")
    ] = False
    prune_empty: Annotated[
        bool,
        typer.Option("--prune-empty", help="Prune also a folder in which nothing is found any more, or that is gone."),
    ] = False
    dry_run: options.DryRun = False
    rescan: Annotated[bool, typer.Option("--rescan", help="Read also files whose size and time are unchanged.")] = False
    strict: options.Strict = False
    ray: RayAddress = None
    ledger: LedgerPlace = None
    shard_inputs: ShardInputs = None
    as_json: options.AsJson = False

    def check(self) -> None:
        """Refuse flags that contradict each other.

        Raises:
            typer.BadParameter: Two of them do.
        """
        from simsearch.scale.objects.store import address_of

        require_inputs(self.paths, self.from_list, self.rows)
        if self.rows is not None and (self.paths or self.from_list or self.prune or self.rescan):
            raise typer.BadParameter(
                "--rows takes rows from its file alone: leave out PATH, --from-list, --prune, --rescan"
            )
        if self.prune and not self.paths:
            raise typer.BadParameter("--prune looks at the folders given as PATH, and there is none")
        if self.prune_empty and not self.prune:
            raise typer.BadParameter("--prune-empty says how far --prune goes; give both")
        if self.bits is not None and len(self.model or ()) > 1:
            raise typer.BadParameter("--bits goes with one --model; of several name the bits of each: 'mini(bits=96)'")
        if self.dry_run and not self.prune:
            raise typer.BadParameter("--dry-run goes with --prune: it names what pruning would remove")
        if self.ledger is not None and self.ray is None:
            raise typer.BadParameter("--ledger goes with --ray: it keeps what workers have done")
        if self.ray is not None and self.rows is not None:
            raise typer.BadParameter("--rows takes rows that are there: leave out --ray")
        if self.prune and any(address_of(path) for path in self.paths or []):
            raise typer.BadParameter("--prune looks into folders of this machine, not into object storage")

    @property
    def models(self) -> list[str] | None:
        """The names of the models, of the bits of one where --bits was given."""
        from simsearch.naming import quantised_name

        if self.bits is None:
            return self.model
        bits = self.bits if self.bits.isdecimal() else str(Path(self.bits).resolve())
        return [quantised_name((self.model or ["mini"])[0], bits)]


@options.command(
    app,
    "index photos/ --library photos.library",
    "index photos/ --library photos.library --prune",
    "index photos/ --library photos.library --prune --dry-run",
    "index --from-list photos.csv --library photos.library --workers 8",
    "index photos/ --library photos.library --device cuda:0,cuda:1",
    "index s3://bucket/photos --library photos.library",
    "index photos/ --library photos.library --ray auto",
    "index photos/ --library small.library --bits 96",
    "index photos/ --library photos.library --model mini --model pdq",
    "index --rows rows/part-00000.parquet --library photos.library",
    flags=IndexFlags,
)
def index(flags: IndexFlags) -> None:
    """Add images to a library.

    The library is made on first use; run the command again after images were added or changed. Unchanged files are not
    read again, exact copies are not embedded again. Interrupted, it keeps what it has done, and the same command goes
    on from there.
    """
    from simsearch.extract.embeddings.parquet import rows_info
    from simsearch.library import Library

    flags.check()
    # Before there is a library: a mistyped name creates none. A folder that is gone is what --prune-empty is for.
    paths = None if flags.prune_empty and flags.library.is_dir() else flags.paths
    inputs = given_inputs(flags.paths, flags.from_list, missing=paths is None and flags.paths is not None)
    if flags.dry_run:
        with closing(Library.open(flags.library)) as opened:
            gone = opened.would_prune(inputs.paths, from_list=inputs.listed, prune_empty=flags.prune_empty)
        _show_dry_run(gone, as_json=flags.as_json)
        return
    if flags.rows is not None:
        rows_info(flags.rows)
    with _on_devices(flags) as opened:
        started = time.monotonic()
        cost = None
        if flags.ray is not None:
            report, cost = _add_on_cluster(opened, flags, flags.ray, inputs)
        else:
            report = _add(opened, flags, inputs) if flags.rows is None else _add_rows(opened, flags, flags.rows)
        terminal.note_swept(opened.swept)
        _show_report(report, opened, seconds=time.monotonic() - started, as_json=flags.as_json, cost=cost)
    if flags.strict and report.rejected:
        raise typer.Exit(SOME_REJECTED)


@options.command(
    app,
    "remove photos/old/ --library photos.library",
    "remove photos/old/ --library photos.library --dry-run",
    "remove id:17 --library photos.library --purge",
    "remove --owner Anna --library photos.library --purge",
)
def remove(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Files, folders, tars, tar members, or id:N.")
    ] = None,
    *,
    library: options.LibraryFolder,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="Only images that belong to this owner.")
    ] = None,
    purge: Annotated[
        bool,
        typer.Option(
            "--purge", help="Also rewrite the files, so that nothing stays on disk, and erase names of rejected files."
        ),
    ] = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Remove images from a library.

    The images themselves stay where they are. --purge also drops indexes that knew a removed image (optimize --recall
    builds new ones) and what `repair` put aside.
    """
    from simsearch.library import Library

    if not paths and owner is None:
        raise typer.BadParameter("give PATH or --owner: nothing is named to be removed")
    for path in paths or []:
        named(path)
    with Library.open(library) as opened:
        if dry_run:
            _show_dry_run(opened.would_remove(paths or [], owner=owner, purge=purge), as_json=as_json)
            return
        removed = opened.remove(paths or [], owner=owner, purge=purge)
        left, purged = len(opened), opened.last_purge
        terminal.note_swept(opened.swept)
    if as_json:
        more = {} if purged is None else {"purged_" + key: value for key, value in asdict(purged).items()}
        terminal.show_json({"removed": removed, "purged": purge, "library_size": left, **more})
        return
    terminal.show(f"removed {removed:,}; {library} now holds {left:,} images")
    if purged is not None and purged.rejects:
        terminal.show(f"erased the names of {purged.rejects:,} rejected files")
    if purged is not None and purged.indexes:
        terminal.show(f"dropped {purged.indexes} index(es) that knew what was removed; optimize --recall builds anew")
    for name in () if purged is None else purged.aside:
        terminal.show(f"erased {name}, which repair had put aside")


def _show_dry_run(paths: Sequence[bytes], *, as_json: bool) -> None:
    """Print the items that would be removed, one line each."""
    for path in paths:
        if as_json:
            terminal.show_json(terminal.path_fields("path", path))
        else:
            terminal.show(os.fsdecode(path))
    terminal.note(f"dry run: {len(paths):,} would go, nothing was changed")


def _open_or_make(flags: IndexFlags, device: str) -> Library:
    """Return the library; a new one has the given models, the rows' model, or mini."""
    from simsearch.errors import LibraryNotFound
    from simsearch.library import Library

    folder, rows = flags.library, flags.rows
    if (models := flags.models) is not None:
        return Library.create(folder, model=models, device=device)
    try:
        return Library.open(folder, device=device)
    except LibraryNotFound:
        if rows is None:
            return Library.create(folder, device=device)
        from simsearch.extract.embeddings.parquet import rows_info
        from simsearch.extract.load import described_by_file

        told = rows_info(rows)
        found = described_by_file(
            told.model, told.fingerprint, whose=str(rows), device=device
        )  # refuses what is unsafe
        known = found if found.name == told.model else told.model
        Library.create(folder, model=known, device=device).close()
        return Library.open(folder, device=device)


@contextmanager
def _on_devices(flags: IndexFlags) -> Iterator[Library]:
    """Yield the library, whose images are embedded on all the devices."""
    # With --ray the networks are elsewhere, and are loaded here only for what they are called.
    devices = [name.strip() for name in ("cpu" if flags.ray else flags.device).split(",")]
    if len(devices) > 1:
        from simsearch.runtime.device import choose_device

        for device in devices:  # before a library is made
            choose_device(device)
    with closing(_open_or_make(flags, devices[0])) as library:
        if len(devices) == 1 or flags.rows is not None:
            yield library
            return
        from simsearch.extract.multi_device import OnDevices
        from simsearch.library import Library

        extractors = [library.extractors]
        for device in devices[1:]:
            with closing(_open_or_make(flags, device)) as other:
                extractors.append(other.extractors)
        with ExitStack() as held:
            each = [held.enter_context(OnDevices(channel)) for channel in zip(*extractors, strict=True)]
            yield held.enter_context(Library.open(flags.library, extractor=each, device=devices[0]))


def _settings(flags: IndexFlags) -> AddSettings:
    from simsearch.images.source import Limits
    from simsearch.library import AddSettings

    limits = Limits(max_pixels=flags.max_pixels)
    return AddSettings(batch_size=flags.batch_size, workers=flags.workers, limits=limits)


def _add(library: Library, flags: IndexFlags, inputs: Inputs, cluster: Cluster | None = None) -> AddReport:
    from simsearch.scale.objects.fetch import FetchingRunner

    others = OtherFiles()
    with shown("index") as advance, counted(inputs.paths, inputs.listed) as total:
        report = library.add(
            inputs.paths,
            from_list=inputs.listed,
            settings=_settings(flags),
            progress=lambda progress: advance(progress.done, None if inputs.remote else total()),
            prune=flags.prune,
            prune_empty=flags.prune_empty,
            rescan=flags.rescan,
            found=inputs.objects(others.skip),
            runner=FetchingRunner() if cluster is None else cluster.runner,
        )
    kinds = Counter(report.skipped_by_kind) + others.kinds
    return replace(report, skipped=kinds.total(), skipped_by_kind=dict(kinds.most_common()))


def _add_on_cluster(
    library: Library, flags: IndexFlags, address: str, inputs: Inputs
) -> tuple[AddReport, dict[str, Any]]:
    """Add images that the workers of a cluster embed, and return what they cost, too."""
    channels, settings = library.channels, _settings(flags)
    named = [each.model for each in channels], [each.fingerprint for each in channels]
    how: dict[str, Any] = {"device": flags.device, "batch_size": flags.batch_size, "workers": flags.workers}
    how |= {"limits": settings.limits, "shard_inputs": flags.shard_inputs, "models": lambda _kind: named}
    with on_cluster(address, ledger=flags.ledger, output=flags.library, **how) as cluster:
        report = _add(library, flags, inputs, cluster)
        return report, cluster.end(report.inputs - report.unchanged - report.skipped)


def _add_rows(library: Library, flags: IndexFlags, rows: Path) -> AddReport:
    from simsearch.extract.embeddings.parquet import rows_info

    total = rows_info(rows).rows
    with shown("index") as advance:
        return library.add_rows(
            rows, settings=_settings(flags), progress=lambda progress: advance(progress.done, total)
        )


def _show_report(
    report: AddReport, library: Library, *, seconds: float, as_json: bool, cost: dict[str, Any] | None = None
) -> None:
    counts: dict[str, Any] = {
        "added": report.added,
        "unchanged": report.unchanged,
        "exact_copies": report.exact_copies,
        "replaced": report.replaced,
        "rejected": report.rejected,
        "skipped": report.skipped,
    }
    rate = report.inputs / max(seconds, 1e-9)
    if as_json:
        counts["first_only"] = report.first_only
        more = {
            "rejected_by_code": dict(report.codes),
            "skipped_by_kind": dict(report.skipped_by_kind),
            "same_file": report.same_file,
            "copies_of_gone": report.copies_of_gone,
            "pruned": report.pruned,
            "library_size": len(library),
        }
        cluster = {} if cost is None else {"cluster": cost}
        terminal.show_json({"inputs": report.inputs, **counts, **more, "seconds": seconds, "rate": rate, **cluster})
        return
    terminal.show(f"{report.inputs:,} inputs in {seconds:.1f} s, {rate:,.1f} a second")
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in counts.items() if name != "skipped"]
    if report.pruned:
        rows.append(("pruned", f"{report.pruned:,}"))
    terminal.show_columns(rows, right=(1,))
    _show_notes(report)
    _show_rejected(report)
    if report.first_only:
        files = "1 file has" if report.first_only == 1 else f"{report.first_only:,} files have"
        terminal.show(f"{files} further pages or frames, which are left out")
    if cost is not None:
        terminal.show(about_cost(cost))
    terminal.show(f"{library.path} now holds {len(library):,} images")


def _show_notes(report: AddReport) -> None:
    """Print notes on the counts."""
    if report.skipped:
        terminal.show(about_others(report.skipped_by_kind))
    if report.same_file:
        terminal.show(f"{report.same_file:,} of these: further links or hard links to a file that was counted already")
    if report.copies_of_gone and not report.pruned:
        terminal.show(
            f"{report.copies_of_gone:,} of the exact copies are of files that are no longer where they were: after a "
            "move, --prune removes the old paths (with --prune-empty where the whole folder is gone)"
        )


def _show_rejected(report: AddReport) -> None:
    if report.rejected:
        from simsearch.errors import shortened

        terminal.show("rejected:")
        terminal.show_columns([(code, f"{count:,}") for code, count in report.codes.items()], right=(1,))
        for one in report.first_rejected:
            terminal.show(f"    {shortened(one.source.printable, 200)}: {shortened(one.message, 300)}")
        if report.rejected > len(report.first_rejected):
            terminal.show(f"    and {report.rejected - len(report.first_rejected):,} more")
