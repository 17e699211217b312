"""`simsearch bits`: fit hyperplanes to images, and print the bits of images."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import options, terminal
from simsearch.cli.exit_codes import SOME_REJECTED
from simsearch.cli.inputs import OtherFiles, about_others, counted, read_inputs, require_inputs
from simsearch.cli.options import named
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.extract.extractor import Extractor
    from simsearch.extract.pipeline import Embedded
    from simsearch.images.source import Rejected

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


class FittedKind(StrEnum):
    """The quantisers that are fitted to rows; a test holds them equal to those of `fit_quantiser`."""

    HYPERPLANES = "hyperplanes"
    PCA = "pca"
    ITQ = "itq"


class MapName(StrEnum):
    """The maps of rows; a test holds them equal to `simsearch.extract.quantise.hyperplanes.MAPS`."""

    UNIT = "unit"
    HELLINGER = "hellinger"


class Spelling(StrEnum):
    """The formats of printed bits."""

    HEX = "hex"
    BASE64 = "base64"


@options.command(
    app,
    "bits fit photos/ --bits 96 --output own.safetensors",
    "bits fit --rows rows/part-00000.parquet --bits 256 --kind pca --output own.safetensors",
    "index photos/ --bits own.safetensors --library photos.library",
)
def fit(
    paths: options.Paths = None,
    *,
    bits: Annotated[int, typer.Option("--bits", min=1, metavar="N", help="Length of a code.")],
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE.safetensors", parser=named, help="Where to write it.")
    ],
    kind: Annotated[
        FittedKind, typer.Option("--kind", help="Random hyperplanes, principal directions, or these turned (ITQ).")
    ] = FittedKind.ITQ,
    how: Annotated[
        MapName | None,
        typer.Option("--map", help="Roots of shares (near js) or rows of length 1.  [default: what the metric wants]"),
    ] = None,
    model: options.Model = None,
    rows: Annotated[
        Path | None,
        typer.Option("--rows", metavar="FILE.parquet", parser=named, help="Rows that `simsearch embed` wrote."),
    ] = None,
    from_list: options.FromList = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the random directions.")] = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    batch_size: options.BatchSize = 64,
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
    as_json: options.AsJson = False,
) -> None:
    """Fit a quantiser to images like those that will be searched.

    Some thousand images are enough; more bits want more of them.
    """
    import numpy as np

    from simsearch.extract.load import load_extractor
    from simsearch.extract.quantise.fit import fit_quantiser
    from simsearch.extract.quantise.hyperplanes import map_for

    require_inputs(paths, from_list, rows)
    if rows is not None and (paths or from_list):
        raise typer.BadParameter("--rows takes rows from its file alone: leave out PATH and --from-list")
    extractor = load_extractor(model or "mini", device=device)
    if rows is not None:
        values = _read(rows, extractor)
    else:
        pieces = _embedded(extractor, paths, from_list, workers=workers, batch_size=batch_size, max_pixels=max_pixels)
        values = np.array([one.row for one in pieces if hasattr(one, "row")]).reshape(-1, extractor.dimension)
    quantiser = fit_quantiser(
        values,
        kind=kind.value,
        bits=bits,
        how=how.value if how else map_for(extractor.metric),
        model=extractor.fingerprint,
        source=f"{len(values):,} images",
        seed=seed,
    )
    quantiser.save(output)
    facts = {"output": str(output), "images": len(values), "bits": bits, "kind": kind.value, "map": quantiser.map}
    if as_json:
        terminal.show_json({**facts, "digest": quantiser.digest, "model": extractor.name})
    else:
        terminal.show(f"{bits} bits by {kind.value} from {len(values):,} images of {extractor.name}, in {output}")
        terminal.show(f"use it as --bits {output}")


@options.command(
    app,
    "bits encode photos/",
    "bits encode cat.jpg --bits 256 --spelling base64",
    "bits encode photos/ --bits own.safetensors --json",
)
def encode(
    paths: options.Paths = None,
    *,
    bits: Annotated[
        str, typer.Option("--bits", metavar="N", help="How many: a quantiser of the model, or a quantiser's file.")
    ] = "96",
    model: options.Model = None,
    spelling: Annotated[Spelling, typer.Option("--spelling", help="How the bits are printed.")] = Spelling.HEX,
    from_list: options.FromList = None,
    device: options.Device = "auto",
    workers: options.Workers = None,
    batch_size: options.BatchSize = 64,
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
    as_json: options.AsJson = False,
) -> None:
    """Print the bits of images, one line an image.

    Two lines that differ in few bits are of images that resemble each other.
    """
    from simsearch.extract.hashes.formats import to_base64, to_hex
    from simsearch.extract.load import load_extractor
    from simsearch.extract.pipeline import Embedded
    from simsearch.naming import quantised_name

    require_inputs(paths, from_list)
    extractor = load_extractor(quantised_name(model or "mini", bits), device=device)
    spelled = to_hex if spelling == Spelling.HEX else to_base64
    rejected = 0
    for one in _embedded(extractor, paths, from_list, workers=workers, batch_size=batch_size, max_pixels=max_pixels):
        if isinstance(one, Embedded) and one.row is not None:
            code = spelled(one.row[None])[0]
            if as_json:
                facts = {"bits": extractor.bits, spelling.value: code, "model": extractor.name}
                terminal.show_json({**terminal.path_fields("path", one.source.path), **facts})
            else:
                terminal.show(f"{code}  {one.source.printable}")
        else:
            rejected += 1
            terminal.note(f"{one.source.printable}: {getattr(one, 'message', 'no row')}")
    if rejected:
        raise typer.Exit(SOME_REJECTED)


def _embedded(
    extractor: Extractor,
    paths: list[Path] | None,
    from_list: Path | None,
    *,
    workers: int | None,
    batch_size: int,
    max_pixels: int,
) -> Iterator[Embedded | Rejected]:
    """Yield the rows of the inputs as they come, under a bar."""
    from simsearch.extract.extractor import require_one_row
    from simsearch.extract.pipeline import embed_sources
    from simsearch.images import Limits, find

    require_one_row(extractor)
    limits = Limits(max_pixels=max_pixels)
    listed, others = read_inputs(paths, from_list), OtherFiles()
    sources = find(paths or [], from_list=listed, skipped=others.skip)
    with shown("bits", streams=True) as advance, counted(paths or [], listed) as total:
        stream = embed_sources(extractor, sources, batch_size=batch_size, workers=workers, limits=limits)
        for done, one in enumerate(stream, start=1):
            advance(done, total())
            yield one
    if others.kinds:
        terminal.note(about_others(others.kinds))


def _read(path: Path, extractor: Extractor) -> Any:
    """Return the rows of a file, of this model."""
    import numpy as np

    from simsearch.errors import FingerprintMismatch
    from simsearch.extract.embeddings.parquet import read_rows, rows_info

    info = rows_info(path)
    if info.fingerprint != extractor.fingerprint:
        raise FingerprintMismatch(f"rows of {path} are of model {info.model!r}; give it as --model")
    return np.concatenate([np.empty((0, info.dimension), np.float32), *(batch.rows for batch in read_rows(path))])
