"""From a trained network to a model folder that every command accepts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from simsearch.errors import InputError
from simsearch.extract.card import CARD, ModelCard, Weights
from simsearch.extract.golden import write_golden
from simsearch.extract.neural import NeuralExtractor

WEIGHTS = "weights.safetensors"


def export(network: nn.Module, card: ModelCard, folder: Path) -> ModelCard:
    """Write weights (float16), card and golden file into a folder; return the card with the weights' SHA-256.

    The golden rows are computed on the CPU in float32, from the weights as they were written.

    Args:
        network: The trained network; not changed.
        card: All but the weights' file and digest, which are filled in.
        folder: Made if it is missing; files of the same names are replaced.

    Raises:
        InputError: a weight is not finite or too large for float16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: _half(name, tensor) for name, tensor in network.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # safetensors makes it readable to its owner alone
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    weights = Weights(file=WEIGHTS, sha256=digest, licence=card.weights.licence)
    finished = card.model_copy(update={"weights": weights, "status": "verified"})
    (folder / CARD).write_text(to_toml(finished), encoding="utf-8")
    write_golden(NeuralExtractor(folder, device="cpu", dtype="float32"), folder)
    return finished


def to_toml(card: ModelCard) -> str:
    """Return a card as TOML; `load_card` reads the same card back."""
    values = card.model_dump(mode="json", exclude_none=True)
    lines, tables = list[str](), list[str]()
    for name, value in values.items():
        if isinstance(value, dict):
            tables += _table(f"[{name}]", value)
        elif name == "quantisers":
            tables += [line for entry in value for line in _table(f"[[{name}]]", entry)]
        else:
            lines.append(f"{name} = {_value(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _table(header: str, values: dict[str, Any]) -> list[str]:
    return ["", header, *(f"{key} = {_value(value)}" for key, value in values.items())]


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # TOML writes strings, numbers, booleans and lists as JSON does


def _half(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor.cpu().contiguous()
    half = tensor.detach().to("cpu", torch.float16, memory_format=torch.contiguous_format)
    if not torch.isfinite(half).all():
        raise InputError(f"weight {name} holds values that float16 cannot: {tensor.abs().max():g}; train again")
    return half.contiguous()
