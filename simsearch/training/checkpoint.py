"""A training run that can be broken off and gone on with, as if it had not been."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from simsearch.errors import InputError


class Paused(Exception):
    """The run was asked to stop and is saved; the same call goes on from there."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where and when a run is saved.

    Attributes:
        path: A safetensors file, replaced as a whole at each save; a run that finds it goes on from it.
        every: Seconds between saves.
        pause: Asked after each step; once it says True the run is saved and `Paused` is raised.
    """

    path: Path
    every: float = 60.0
    pause: Callable[[], bool] = _never


@dataclass(slots=True)
class Progress:
    """How far a run is: steps, seconds of training, and what is left of the current pass over the photographs."""

    number: int
    seconds: float
    queue: Tensor


def save(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    generators: dict[str, torch.Generator],
    progress: Progress,
) -> None:
    """Write all that a run depends on; the file appears whole or not at all."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"random.{name}": generator.get_state() for name, generator in generators.items()}
    tensors["queue"] = progress.queue
    tensors |= optimiser_tensors(optimiser)
    write_state(path, tensors, {"number": progress.number, "seconds": progress.seconds})


def write_state(path: Path, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
    """Write tensors, and what is told in JSON beside them; the file appears whole or not at all."""
    half = path.with_name(path.name + ".half")
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(whole, half, {"progress": json.dumps(told)})
    with half.open("rb") as file:
        os.fsync(file.fileno())
    half.replace(path)


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a file and what is told beside them; nothing in it can run code.

    Raises:
        SafetensorError: the file is damaged.
        KeyError: it holds no run.
        ValueError: what it tells is no JSON.
    """
    with safe_open(path, "pt") as file:
        told = json.loads(file.metadata()["progress"])
        return {name: file.get_tensor(name) for name in file.keys()}, told  # noqa: SIM118 - no mapping


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimiser by name."""
    return {
        f"optimiser.{number}.{key}": torch.as_tensor(value)
        for number, state in optimiser.state_dict()["state"].items()
        for key, value in state.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in below("optimiser.", tensors).items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def load(
    path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, generators: dict[str, torch.Generator]
) -> Progress:
    """Put a saved run back into its parts, on the devices where they are.

    Raises:
        InputError: the file is damaged, or of another network.
    """
    device = next(network.parameters()).device
    try:
        tensors, told = read_state(path)
        network.load_state_dict(below("network.", tensors))
        for name, tensor in below("random.", tensors).items():
            generators[name].set_state(tensor)
        restore_optimiser(optimiser, tensors)
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} holds no run of this network ({error}); delete it to begin anew") from error
    return Progress(told["number"], told["seconds"], tensors["queue"].to(device))


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class Clock:
    """Seconds of training, those before a pause included."""

    def __init__(self, before: float) -> None:
        self._began = time.monotonic() - before

    @property
    def seconds(self) -> float:
        """So far."""
        return time.monotonic() - self._began
