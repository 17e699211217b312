"""How workers are laid out on the machines of a cluster; numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simsearch.errors import InputError

CPUS_A_WORKER = 8
"""Cores of a worker without a GPU, at most: a network on a few cores each makes more of many than one on all."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine of the cluster offers.

    Attributes:
        cpus: Cores.
        gpus: GPUs.
    """

    cpus: int
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Seat:
    """What one worker takes.

    Attributes:
        cpus: Cores, of which its decoding processes make use.
        gpus: GPUs: 0 or 1.
    """

    cpus: int
    gpus: int = 0


def device_of(machines: Sequence[Machine], wanted: str) -> str:
    """Return the kind of device that all workers use, so that all rows are of one kind.

    Args:
        machines: Of the cluster.
        wanted: auto, cpu or cuda.

    Raises:
        InputError: It is none of these, or there is no such device.
    """
    gpus = sum(machine.gpus for machine in machines)
    if wanted == "auto":
        return "cuda" if gpus else "cpu"
    if wanted not in ("cpu", "cuda"):
        raise InputError(f"--device {wanted} is of one machine; with --ray give auto, cpu or cuda")
    if wanted == "cuda" and not gpus:
        raise InputError("the cluster says that it has no GPU; give --device cpu")
    return wanted


def seats(machines: Sequence[Machine], device: str) -> list[Seat]:
    """Return the workers for a cluster: one a GPU with its share of the cores, or some on the cores alone.

    Raises:
        InputError: No machine has room for one.

    Example:
        >>> seats([Machine(16, 4), Machine(32)], "cuda")
        [Seat(cpus=4, gpus=1), Seat(cpus=4, gpus=1), Seat(cpus=4, gpus=1), Seat(cpus=4, gpus=1)]
        >>> seats([Machine(12)], "cpu")
        [Seat(cpus=6, gpus=0), Seat(cpus=6, gpus=0)]
    """
    found: list[Seat] = []
    for machine in machines:
        if machine.cpus < 1:
            continue
        if device == "cuda":
            count = min(machine.gpus, machine.cpus)
            found += [Seat(machine.cpus // max(1, count), 1)] * count
        else:
            count = -(-machine.cpus // CPUS_A_WORKER)
            found += [Seat(machine.cpus // count)] * count
    if not found:
        raise InputError(f"no machine of the cluster has a core and {'a GPU' if device == 'cuda' else 'nothing'} free")
    return found
