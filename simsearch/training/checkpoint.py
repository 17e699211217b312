"""Checkpoints of a training run, which resumes as if it had not been interrupted."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from simsearch.runtime.files import published


class Paused(Exception):
    """The run was asked to stop and is saved; the same call resumes it."""


def write_state(path: Path, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
    """Write tensors, with values as JSON, atomically."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with published(path) as half:
        save_file(whole, half, {"progress": json.dumps(told)})


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a file and the values beside them; nothing in it can run code.

    Raises:
        SafetensorError: The file is damaged.
        KeyError: It holds no run.
        ValueError: Its values are no JSON.
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
    """Restore the state of `optimiser_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in below("optimiser.", tensors).items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


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
