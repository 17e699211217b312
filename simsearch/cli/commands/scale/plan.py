"""`simsearch plan`: what a number of images costs on a machine, and whether that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from simsearch.cli import options, terminal
from simsearch.cli.exit_codes import SOME_REJECTED

if TYPE_CHECKING:
    from simsearch.scale.planner.plan import Plan

app = typer.Typer(rich_markup_mode=None)


def _count(text: str) -> int:
    from simsearch.scale.planner.sizes import count_of

    return _told(count_of, text)


def _bytes(text: str) -> int:
    from simsearch.scale.planner.sizes import bytes_of

    return _told(bytes_of, text)


def _told(parse: object, text: str) -> int:
    try:
        return int(parse(text))  # type: ignore[operator]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@options.command(
    app,
    "plan --images 1e6 --model mini --memory 8GiB",
    "plan --images 1e9 --model mini --memory 128GiB --gpu-memory 139GiB --cores 16",
    "plan --images 1e9 --model mini --bits 96 --memory 24GiB --queries-per-second 100",
    "plan --images 1e9 --model simclr_v1_r50_1x --machines 8 --memory 256GiB --disk 2TB --json",
)
def plan(
    *,
    images: Annotated[int, typer.Option("--images", parser=_count, metavar="N", help="How many, as 1e9.")],
    model: options.Model = None,
    bits: Annotated[
        int | None, typer.Option("--bits", min=8, metavar="N", help="Of a code in place of each row, as 96.")
    ] = None,
    metric: options.Metric = None,
    dtype: Annotated[
        str, typer.Option("--dtype", metavar="NAME", help="Of rows in the library: float16 or float32.")
    ] = "float16",
    recall: Annotated[
        float,
        typer.Option("--recall", min=0.01, max=1, metavar="R", help="Share of the nearest to find; 1: exact search."),
    ] = 0.95,
    kind: Annotated[
        str, typer.Option("--kind", metavar="K", help="Of the index, as of `optimize`; by default as it chooses.")
    ] = "auto",
    bytes_a_row: Annotated[
        int | None, typer.Option("--bytes", min=1, metavar="B", help="Of a row's code, in ivf_pq and rabitq.")
    ] = None,
    machines: Annotated[
        int, typer.Option("--machines", min=1, metavar="N", help="That hold a shard each; the rest is of one of them.")
    ] = 1,
    cores: Annotated[int, typer.Option("--cores", min=1, metavar="N", help="Of a machine's processor.")] = 2,
    memory: Annotated[
        int | None, typer.Option("--memory", parser=_bytes, metavar="SIZE", help="Of a machine, as 24GiB.")
    ] = None,
    disk: Annotated[
        int | None, typer.Option("--disk", parser=_bytes, metavar="SIZE", help="Of a machine, as 2TB.")
    ] = None,
    gpus: Annotated[int, typer.Option("--gpus", min=1, metavar="N", help="Of a machine, with --gpu-memory.")] = 1,
    gpu_memory: Annotated[
        int | None, typer.Option("--gpu-memory", parser=_bytes, metavar="SIZE", help="Of a GPU, as 139GiB.")
    ] = None,
    on_disk: Annotated[
        bool, typer.Option("--on-disk", help="Leave the lists of the index on the disk; searches read from there.")
    ] = False,
    queries_per_second: Annotated[
        float | None, typer.Option("--queries-per-second", min=0, metavar="Q", help="That are to be answered.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Say what a number of images costs: index, memory, disk, time to embed and to build, queries a second.

    Each figure says whether it is computed from sizes, was measured at this very size, is extrapolated from a
    measurement, or rests on what is published of hardware that nothing of ours has run on; and from what. The index is
    the one that `optimize` would choose. Where something does not fit, it says by how much, and what would fit. Exits
    with 1 then.
    """
    from simsearch.scale.planner.models import rows_of
    from simsearch.scale.planner.remedies import plan as plan_of
    from simsearch.scale.planner.request import Machine, PlanRequest

    rows = rows_of(model or "mini", bits=bits, metric=metric, dtype=dtype)
    machine = Machine(cores, memory, disk, 0 if gpu_memory is None else gpus, gpu_memory or 0)
    asked = PlanRequest(images, rows, machine, recall, kind, bytes_a_row, queries_per_second, machines, on_disk)
    found = plan_of(asked)
    if as_json:
        terminal.show_json(found.to_dict())
    else:
        _show(found)
    if not found.fits:
        raise typer.Exit(SOME_REJECTED)


def _show(found: Plan) -> None:
    request, spec = found.request, found.spec
    where = "on GPUs" if found.on_gpu else "on the CPU"
    index = f"index {spec.kind}, {spec.row_bytes} bytes a row, {where}"
    what = "every row is looked at" if spec.kind == "flat" else index
    shard = f", {request.share:,} on each of {request.machines:,} machines" if request.machines > 1 else ""
    terminal.show(f"{request.images:,} images by {request.rows.model}, {spec.metric}{shard}: {what}")
    lines = [(one.name, one.text, one.how, one.arithmetic) for one in found.figures]
    terminal.show_columns(lines, right=(1,))
    records = sorted({source for one in found.figures for source in one.sources})
    terminal.hint(f"measured: {', '.join(records)}")
    for problem in found.problems:
        terminal.show(f"does not fit: {problem.text}")
    for remedy in found.remedies:
        terminal.show(f"  would: {remedy}")
    if found.fits:
        terminal.show("fits")
