"""The network that a model card describes, without weights and with them."""

from __future__ import annotations

import importlib
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import nn

from simsearch.errors import ModelError, WeightsError
from simsearch.extract.card import ModelCard, weights_path


def load_network(card: ModelCard, folder: Path) -> nn.Module:
    """Return a card's network with its weights, in float32 on the CPU, unfolded.

    Raises:
        ModelError: no such network, or arguments that it does not take.
        WeightsError: weights missing, damaged or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = build_network(card)
    path = weights_path(card, folder)
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(
            f"{card.name}: {path.name} does not fit {card.network}: {str(error).splitlines()[0]}"
        ) from error
    return network


def build_network(card: ModelCard) -> nn.Module:
    """Return a card's network with random weights.

    Raises:
        ModelError: no such network, or arguments that it does not take.
    """
    arguments = arguments_of(card)
    if arguments.dimension != card.dimension:
        raise ModelError(
            f"{card.name}: the network gives {arguments.dimension} dimensions, the card says {card.dimension}"
        )
    network: nn.Module = _family(card).Network(arguments)
    return network


def arguments_of(card: ModelCard) -> Any:
    """Return the arguments of a card's network family.

    Raises:
        ModelError: no such family, or arguments that it does not take.
    """
    family = _family(card)
    known = {field.name for field in fields(family.Arguments)}
    if unknown := set(card.arguments) - known:
        raise ModelError(f"{card.name}: {card.network} takes no {sorted(unknown)}; it takes {sorted(known)}")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in card.arguments.items()}
    return family.Arguments(**given)


def _family(card: ModelCard) -> Any:
    try:
        return importlib.import_module(f"simsearch.extract.networks.{card.network}")
    except ImportError as error:
        raise ModelError(f"{card.name}: no network family is called {card.network!r}") from error
