"""Export of a trained network to a model folder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from simsearch.errors import InputError
from simsearch.extract.published.write_model import write_model
from simsearch.extract.zoo.card import ModelCard


def export(network: nn.Module, card: ModelCard, folder: Path) -> ModelCard:
    """Write weights (float16), card and golden file into a folder; return the card with the weights' SHA-256.

    Args:
        network: The trained network; not changed.
        card: All but the weights' file and digest, which are filled in.
        folder: Created if missing; files of the same names are replaced.

    Raises:
        InputError: A weight is not finite or too large for float16.
    """
    state = {name: _half(name, tensor) for name, tensor in network.state_dict().items()}
    return write_model(state, card.model_copy(update={"status": "verified"}), folder)


def _half(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor.cpu().contiguous()
    half = tensor.detach().to("cpu", torch.float16, memory_format=torch.contiguous_format)
    if not torch.isfinite(half).all():
        raise InputError(f"weight {name} holds values that float16 cannot: {tensor.abs().max():g}; train again")
    return half.contiguous()
