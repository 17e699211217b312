"""Inputs in object storage, and work on a cluster: what `embed` and `index` do about `s3://...` and `--ray`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli.inputs import read_inputs, require_listed

if TYPE_CHECKING:
    from simsearch.extract.runner import Runner
    from simsearch.images.input_lists import ListEntry
    from simsearch.images.sidecars import Skipped
    from simsearch.images.source import Found, Limits
    from simsearch.scale.cluster.ray_pool import Cost

ShardInputs = Annotated[
    int | None,
    typer.Option(
        "--shard-inputs",
        min=1,
        metavar="N",
        help="With --ray: inputs that a worker is given at once.  [default: 4096 on GPUs, 256 on CPUs]",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Embed on a Ray cluster: host:port, ray://host:port, or `local`, which starts one on this machine.",
    ),
]
LedgerPlace = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="PLACE",
        help="With --ray: folder on a file system that all machines share, or s3://..., for what is done and not yet "
        "taken in.  [default: beside the output, with .ledger at its end]",
    ),
]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a command is to read.

    Attributes:
        paths: Of this machine.
        listed: Entries of the list that are of this machine.
        remote: Addresses in object storage, and entries of the list that are some.
    """

    paths: list[Path]
    listed: Sequence[ListEntry]
    remote: Sequence[Any]

    def objects(self, skipped: Callable[[Skipped], None]) -> Iterator[Found]:
        """Yield the inputs in object storage."""
        if not self.remote:
            return iter(())
        from simsearch.scale.objects.find import find_objects

        return find_objects(self.remote, skipped=skipped)


def given_inputs(paths: Sequence[Path] | None, from_list: Path | None, *, missing: bool = False) -> Inputs:
    """Return the inputs of a command; a list is read only here, as it may be a pipe.

    Args:
        paths: As given; those that begin with s3://, gs:// or az:// are of object storage.
        from_list: The list, `-` being standard input.
        missing: Whether paths may be missing.

    Raises:
        InputError: The list cannot be read, a path does not exist, or the list names nothing that does.
    """
    from simsearch.images.paths import is_remote
    from simsearch.scale.objects.store import address_of

    addresses = {path: address_of(path) for path in paths or []}
    here = [path for path, address in addresses.items() if address is None]
    entries = read_inputs([] if missing else here, from_list)
    listed = [entry for entry in entries if not is_remote(entry.root)]
    remote = [*filter(None, addresses.values()), *(entry for entry in entries if is_remote(entry.root))]
    if not remote:
        require_listed(here, listed, from_list)
    return Inputs(here, listed, remote)


class Cluster:
    """The workers of a run: its runner, and what they cost once it is done."""

    def __init__(self, runner: Any, cost: Callable[[], Cost]) -> None:
        self.runner: Runner = runner
        self._close, self._cost = runner.close, cost

    def end(self, inputs: int) -> dict[str, Any]:
        """Empty the ledger, all being committed, and return what was used, also for a million inputs."""
        self._close()
        cost = self._cost()
        used = {"cpu_seconds": round(cost.cpu_seconds, 3), "gpu_seconds": round(cost.gpu_seconds, 3)}
        million = {key: round(value, 1) for key, value in cost.per_million(inputs).items()}
        return {"workers": cost.workers, "deaths": cost.deaths, **used, "per_million": million}


@contextmanager
def on_cluster(
    address: str,
    *,
    ledger: str | None,
    output: Path,
    models: Callable[[str], tuple[Sequence[str], Sequence[str]]],
    device: str,
    batch_size: int,
    workers: int | None,
    limits: Limits,
    shard_inputs: int | None = None,
) -> Iterator[Cluster]:
    """Join a cluster for the block, and start workers there.

    Args:
        address: Of the cluster.
        ledger: Where what is done is kept; None is beside the output.
        output: Of the command.
        models: Given the kind of device, returns names and fingerprints of the models.
        device: auto, cpu or cuda.
        batch_size: Images embedded at once.
        workers: Decoding processes beside each worker.
        limits: Bounds on the cost of one image.
        shard_inputs: Inputs that a worker is given at once; None goes by the device.
    """
    from simsearch.runtime.cpu import default_workers
    from simsearch.scale.cluster.ledger import open_ledger
    from simsearch.scale.cluster.placement import device_of, seats
    from simsearch.scale.cluster.ray_pool import RayPool, connected
    from simsearch.scale.cluster.runner import ClusterRunner
    from simsearch.scale.cluster.shard import EmbedJob

    with connected(address, cpus=default_workers()) as machines:
        kind = device_of(machines, device)
        names, fingerprints = models(kind)
        job = EmbedJob(tuple(names), tuple(fingerprints), kind, batch_size, limits)
        place = ledger or f"{output.absolute()}.ledger"
        inputs = shard_inputs or (SHARD_ON_GPU if kind == "cuda" else SHARD_ON_CPU)
        with RayPool(job, place, seats(machines, kind), decoders=workers) as pool:
            yield Cluster(ClusterRunner(job, pool, open_ledger(place, job.digest), shard_inputs=inputs), pool.cost)


SHARD_ON_GPU, SHARD_ON_CPU = 4096, 256
"""Inputs a shard: some seconds of work, which is what a worker's death costs."""


def about_cost(facts: dict[str, Any]) -> str:
    """Return one line on what a run on a cluster took."""
    gpu = f", {facts['gpu_seconds']:,.1f} of GPUs" if facts["gpu_seconds"] else ""
    million = facts["per_million"]
    more = f"{million['cpu_seconds']:,.0f} CPU-seconds" + (
        f" and {million['gpu_seconds']:,.0f} GPU-seconds" if gpu else ""
    )
    died = f", {facts['deaths']} died" if facts["deaths"] else ""
    return f"{facts['workers']} worker(s){died}: {facts['cpu_seconds']:,.1f} CPU-seconds{gpu}; a million inputs: {more}"
