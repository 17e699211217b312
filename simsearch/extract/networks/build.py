"""The network that a model card describes, without weights and with them."""

from __future__ import annotations

import importlib
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pydantic
import torch
from torch import nn

from simsearch.errors import ModelError, WeightsError, first_line
from simsearch.extract.zoo.card import ModelCard, weights_path

_BYTES_A_VALUE = 16
_BESIDE = 64 << 20  # what a file may hold besides the network's own weights: heads, names
_LARGEST = 65_536  # of any size in a card: no network here has a layer as wide


def load_network(card: ModelCard, folder: Path) -> nn.Module:
    """Return a card's network with its weights, in float32 on the CPU, unfolded.

    Raises:
        ModelError: No such network, or arguments that it does not take.
        WeightsError: Weights missing, damaged or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = build_network(card)
    path = weights_path(card, folder)
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{card.name}: {path.name} does not fit {card.network}: {first_line(error)}") from error
    return network


def build_network(card: ModelCard) -> nn.Module:
    """Return a card's network with random weights.

    Raises:
        ModelError: No such network, or arguments that it does not take.
    """
    arguments = arguments_of(card)
    if arguments.dimension != card.dimension:
        raise ModelError(
            f"{card.name}: the network gives {arguments.dimension} dimensions, the card says {card.dimension}"
        )
    try:
        network: nn.Module = _family(card).Network(arguments)
    except (RuntimeError, ValueError, ArithmeticError, IndexError, MemoryError) as error:  # sizes that go together ill
        raise ModelError(f"{card.name}: no network can be made of the card's arguments: {first_line(error)}") from error
    return network


def published_bytes(card: ModelCard) -> int:
    """Return the most that a file of a card's weights may take: four values of 32 bits a weight, as with an optimiser.

    Raises:
        ModelError: No such network, or arguments that it does not take.
    """
    with torch.device("meta"):  # without memory for the weights
        return most_bytes(build_network(card))


def most_bytes(network: nn.Module) -> int:
    """Return the most that a file of a network's weights may take."""
    values = sum(int(tensor.numel()) for tensor in network.state_dict().values())
    return _BYTES_A_VALUE * values + _BESIDE


def arguments_of(card: ModelCard) -> Any:
    """Return the arguments of a card's network family.

    Raises:
        ModelError: No such family, or arguments that it does not take.
    """
    family = _family(card)
    known = {field.name for field in fields(family.Arguments)}
    if unknown := set(card.arguments) - known:
        raise ModelError(f"{card.name}: {card.network} takes no {sorted(unknown)}; it takes {sorted(known)}")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in card.arguments.items()}
    kinds = get_type_hints(family.Arguments)
    for key, value in given.items():
        _check(card, key, value, kinds[key])
    return family.Arguments(**given)


def _check(card: ModelCard, key: str, value: Any, kind: Any) -> None:
    """Refuse a value that is not of the kind that the family's arguments say, which Python itself does not look at."""
    try:
        pydantic.TypeAdapter(kind).validate_python(value, strict=True)
    except pydantic.ValidationError as error:
        raise ModelError(
            f"{card.name}: arguments.{key} is {str(value)[:80]!r}: {error.errors()[0]['msg']}; see {card.network}"
        ) from error
    numbers = [one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, int | float)]
    if value == () or not all(0 <= number <= _LARGEST for number in numbers):
        raise ModelError(f"{card.name}: arguments.{key} is {str(value)[:80]}; give numbers from 0 to {_LARGEST:,}")


def _family(card: ModelCard) -> Any:
    try:
        return importlib.import_module(f"simsearch.extract.networks.{card.network}")
    except ImportError as error:
        raise ModelError(f"{card.name}: no network family is called {card.network!r}") from error
