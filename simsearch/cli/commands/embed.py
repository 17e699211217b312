"""`simsearch embed`: rows as files, for other programs or for `index --rows`."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
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
from simsearch.cli.signals import end_with

if TYPE_CHECKING:
    from simsearch.extract.extractor import Extractor
    from simsearch.images.input_lists import ListEntry
    from simsearch.images.source import Rejected, Source

app = typer.Typer(rich_markup_mode=None)
Share = tuple[int, int]  # (i, n), i from 1


class Format(StrEnum):
    """The formats of rows."""

    PARQUET = "parquet"
    NPY = "npy"


def read_shard(text: str | None) -> tuple[int, int]:
    """Return (i, n) from `i/n`, i counted from 1.

    Raises:
        typer.BadParameter: It is no such thing.

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


@dataclass(frozen=True, kw_only=True)
class EmbedFlags:
    """The flags of the command."""

    paths: options.Paths = None
    output: Annotated[
        Path,
        typer.Option(
            "--output", metavar="DIR", parser=named, help="Folder for the rows: new, empty, or of a broken run."
        ),
    ]
    model: options.Model = None
    form: Annotated[Format, typer.Option("--format", help="One Parquet file a part, or .npy beside it.")] = (
        Format.PARQUET
    )
    from_list: options.FromList = None
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="i/n", help="Only every n-th input, from the i-th; 1/n to n/n.")
    ] = None
    part_rows: Annotated[
        int, typer.Option("--part-rows", min=1, metavar="N", help="Rows a part, at most; one is also written a minute.")
    ] = 65_536
    device: options.Devices = "auto"
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the network first (torch.compile): for very many images.")
    ] = False
    on_device: Annotated[
        bool,
        typer.Option("--decode-on-device", help="Decode and resize JPEGs where the network runs: nvJPEG on a GPU."),
    ] = False
    share: Annotated[str, typer.Option("--share", hidden=True, help="Of the inputs, by path: for a process.")] = "1/1"
    parent: Annotated[int, typer.Option("--parent", hidden=True, help="Process to end with.")] = 0
    workers: options.Workers = None
    batch_size: options.BatchSize = 64
    max_pixels: options.MaxPixels = options.MAX_PIXELS
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
        require_inputs(self.paths, self.from_list)
        if self.ledger is not None and self.ray is None:
            raise typer.BadParameter("--ledger goes with --ray: it keeps what workers have done")
        own = {"--shard": self.shard, "--compile": self.compiled, "--decode-on-device": self.on_device}
        if self.ray is not None and (first := next((flag for flag, given in own.items() if given), None)):
            raise typer.BadParameter(f"{first} is for one machine; with --ray leave it out")


@options.command(
    app,
    "embed photos/ --output rows/",
    "embed --from-list photos.csv --output rows/ --format npy",
    "embed photos/ --output rows-1/ --shard 1/4",
    "embed photos/ --output rows/ --device cuda:0,cuda:1",
    "embed s3://bucket/photos --output rows/",
    "embed photos/ --output rows/ --ray auto",
    "index --rows rows/part-00000.parquet --library photos.library",
    flags=EmbedFlags,
)
def embed(flags: EmbedFlags) -> None:
    """Write embeddings as Parquet or npy.

    part-*.parquet holds path, sha256, width, height, quality and embedding; rejected.parquet, which comes last, holds
    path, code and message of what could not be used. Broken off in any way, the same command goes on; when it is done,
    the same command embeds what was added to the inputs since. One process at a time writes to a folder.
    """
    if flags.parent:
        end_with(flags.parent)
    flags.check()
    shard, share = read_shard(flags.shard), read_shard(flags.share)
    devices = [name.strip() for name in flags.device.split(",")]
    inputs = given_inputs(flags.paths, flags.from_list)
    if inputs.remote and len(devices) > 1:
        raise typer.BadParameter("object storage is read by one process: give one --device, or --ray local")
    with shown("embed") as advance, counted(inputs.paths, inputs.listed) as total:

        def progress(done: int) -> None:
            advance(done, total() if shard[1] == 1 and not inputs.remote else None)

        if len(devices) > 1:
            facts = _embed_in_processes(flags, inputs.listed, devices, shard, progress)
        elif flags.ray is not None:
            facts = _embed_on_cluster(flags, flags.ray, inputs, progress)
        else:
            facts = _embed_here(flags, inputs, shard, share, progress)
    _show(facts, flags.output, as_json=flags.as_json)
    if flags.strict and facts["rejected"]:
        raise typer.Exit(SOME_REJECTED)


def _embed_on_cluster(
    flags: EmbedFlags, address: str, inputs: Inputs, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Embed the inputs on the workers of a cluster; rows are written here."""
    from simsearch.extract.load import load_extractor
    from simsearch.images import Limits

    name = flags.model or "mini"
    extractor = load_extractor(name, device="cpu")
    limits = Limits(max_pixels=flags.max_pixels)
    how: dict[str, Any] = {"device": flags.device, "batch_size": flags.batch_size, "workers": flags.workers}
    how |= {
        "limits": limits,
        "shard_inputs": flags.shard_inputs,
        "models": lambda _kind: ([absolute_name(name)], [extractor.fingerprint]),
    }
    with on_cluster(address, ledger=flags.ledger, output=flags.output, **how) as cluster:
        facts = _written(flags, extractor, inputs, progress=progress, cluster=cluster)
        return {**facts, "cluster": cluster.end(facts["rows"] + facts["rejected"])}


def absolute_name(model: str) -> str:
    """Return the name of a model by which a process with another current folder loads it."""
    return str(Path(model).absolute()) if "/" in model else model


def _embed_here(
    flags: EmbedFlags, inputs: Inputs, shard: Share, share: Share, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Embed a share of a shard of the inputs in this process."""
    from simsearch.extract.load import load_extractor

    extractor = load_extractor(flags.model or "mini", device=flags.device)
    _quicken(extractor, compiled=flags.compiled, on_device=flags.on_device)
    return _written(flags, extractor, inputs, progress=progress, shard=shard, share=share)


def _written(
    flags: EmbedFlags,
    extractor: Extractor,
    inputs: Inputs,
    *,
    progress: Callable[[int], None],
    shard: Share = (1, 1),
    share: Share = (1, 1),
    cluster: Cluster | None = None,
) -> dict[str, Any]:
    """Write the rows of a share of a shard of the inputs, and return the counts."""
    from simsearch.cli.commands.embed_processes import share_of
    from simsearch.extract.embeddings.folder import write_folder
    from simsearch.images import Limits, find
    from simsearch.images.source import source_of
    from simsearch.scale.objects.fetch import FetchingRunner

    (first, of), (mine, shares) = shard, share
    others = OtherFiles(first + (mine - 1) * of, of * shares)
    here = find(inputs.paths, from_list=inputs.listed, skipped=others.skip)
    sources: Iterator[Source | Rejected] = itertools.islice(
        itertools.chain(here, inputs.objects(others.skip)), first - 1, None, of
    )
    if shares > 1:
        sources = (one for one in sources if share_of(source_of(one).path, shares) == mine)
    report = write_folder(
        extractor,
        sources,
        flags.output,
        form=flags.form.value,
        batch_size=flags.batch_size,
        workers=flags.workers,
        limits=Limits(max_pixels=flags.max_pixels),
        part_rows=flags.part_rows,
        share=of > 1,
        progress=progress,
        runner=FetchingRunner() if cluster is None else cluster.runner,
    )
    counts = {"rows": report.rows, "parts": report.parts, "rejected": report.rejected}
    return {**counts, "rejected_by_code": dict(report.codes), **others.facts, "model": extractor.name}


def _embed_in_processes(
    flags: EmbedFlags, listed: Sequence[ListEntry], devices: list[str], shard: Share, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Embed a shard of the inputs in one process a device, with the flags of this one."""
    from simsearch.cli.commands.embed_processes import embed_in_processes
    from simsearch.runtime.cpu import default_workers

    workers = flags.workers if flags.workers is not None else max(1, default_workers() // len(devices))
    told = [*map(str, flags.paths or []), "--model", flags.model or "mini", "--format", flags.form.value]
    told += ["--batch-size", str(flags.batch_size), "--part-rows", str(flags.part_rows), "--workers", str(workers)]
    told += ["--max-pixels", str(flags.max_pixels)]
    told += ["--compile"] * flags.compiled + ["--decode-on-device"] * flags.on_device
    with ExitStack() as stack:
        if flags.from_list is not None:
            told += ["--from-list", str(stack.enter_context(_copied(listed)))]
        return embed_in_processes(told, devices, flags.output, shard=shard, progress=progress)


@contextmanager
def _copied(entries: Sequence[ListEntry]) -> Iterator[Path]:
    """Yield a list file that several processes can read."""
    with tempfile.NamedTemporaryFile(suffix=".list") as file:
        for entry in entries:
            file.write(entry.root.rstrip(b"/") + b"/" + entry.name + b"\0")
        file.flush()
        yield Path(file.name)


def _quicken(extractor: Extractor, *, compiled: bool, on_device: bool) -> None:
    """Compile an extractor's network, decode where it runs, and make sure that it still gives the same rows."""
    from simsearch.extract.neural.extractor import NeuralExtractor
    from simsearch.extract.quantise.extractor import QuantisedExtractor

    if not (compiled or on_device):
        return
    network = extractor.inner if isinstance(extractor, QuantisedExtractor) else extractor
    if not isinstance(network, NeuralExtractor):
        flag = "--compile" if compiled else "--decode-on-device"
        raise typer.BadParameter(f"{flag} is for networks; {extractor.name} is none")
    if compiled:
        network.compile()
    if on_device:
        network.decode_on_device()
    network.admit()


def _show(facts: dict[str, Any], output: Path, *, as_json: bool) -> None:
    if as_json:
        terminal.show_json({"output": str(output), **facts})
        return
    terminal.show(
        f"{facts['rows'] + facts['rejected']:,} inputs: {facts['rows']:,} rows, {facts['rejected']:,} rejected"
    )
    codes = [(code, f"{count:,}") for code, count in facts["rejected_by_code"].items()]
    terminal.show_columns(codes, right=(1,))
    if facts["skipped"]:
        terminal.show(about_others(facts["skipped_by_kind"]))
    if "cluster" in facts:
        terminal.show(about_cost(facts["cluster"]))
    terminal.show(f"rows are in {output}, {facts['parts']} part(s)")
