"""A training run that can be broken off and gone on with, as if it had not been."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{key}": value for key, value in state.items()}
    told = {"number": progress.number, "seconds": progress.seconds}
    half = path.with_name(path.name + ".half")
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(whole, half, {"progress": json.dumps(told)})
    with half.open("rb") as file:
        os.fsync(file.fileno())
    half.replace(path)


def load(
    path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, generators: dict[str, torch.Generator]
) -> Progress:
    """Put a saved run back into its parts, on the devices where they are.

    Raises:
        InputError: the file is damaged, or of another network.
    """
    device = next(network.parameters()).device
    try:
        with safe_open(path, "pt") as file:
            told = json.loads(file.metadata()["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        network.load_state_dict(_below("network.", tensors))
        for name, tensor in _below("random.", tensors).items():
            generators[name].set_state(tensor)
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below("optimiser.", tensors).items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = tensor
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} holds no run of this network ({error}); delete it to begin anew") from error
    return Progress(told["number"], told["seconds"], tensors["queue"].to(device))


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class Clock:
    """Seconds of training, those before a pause included."""

    def __init__(self, before: float) -> None:
        self._began = time.monotonic() - before

    @property
    def seconds(self) -> float:
        """So far."""
        return time.monotonic() - self._began
