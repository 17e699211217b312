"""What a model makes of an image, without loading its weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simsearch.errors import InputError, ModelNotFound
from simsearch.extract.zoo.card import ModelCard, load_card
from simsearch.extract.zoo.find import find_model
from simsearch.naming import is_quantised_name, quantised_parts
from simsearch.scale.planner.request import Rows

if TYPE_CHECKING:
    from simsearch.extract.extractor import Extractor

_GMAC = {"mini": 0.169}  # results/models.json; of others it is counted, which loads torch
_WIDTHS = {"float16": 2, "float32": 4}


def rows_of(model: str, *, bits: int | None = None, metric: str | None = None, dtype: str = "float16") -> Rows:
    """Return the rows that a model makes.

    Args:
        model: A model of the zoo, a folder, a hash, or `module:Class`, as for `load_extractor`.
        bits: Of a code that a quantiser makes of them, as of `mini(bits=96)`.
        metric: Of searches; by default what the model recommends.
        dtype: Of rows in the library.

    Raises:
        ModelNotFound: There is no such model.
        InputError: The model makes codes itself, or the dtype is none.
    """
    if dtype not in _WIDTHS:
        raise InputError(f"dtype {dtype!r} is none of {', '.join(_WIDTHS)}")
    if bits is None and is_quantised_name(model):
        base, quantiser = quantised_parts(model)
        if quantiser.isdecimal():
            return rows_of(base, bits=int(quantiser), metric=metric, dtype=dtype)
    card = _card(model)
    if card is None:
        found = _of_extractor(_loaded(model), metric, _WIDTHS[dtype])
    else:
        gmac = _GMAC.get(card.name) or multiply_adds(card)
        found = Rows(card.name, card.dimension, metric or card.metric, card.dimension * _WIDTHS[dtype], gmac)
    if bits is None:
        return found
    if found.bits is not None:
        raise InputError(f"{model} makes codes of {found.bits} bits itself: leave --bits out")
    width = -(-bits // 8)
    return replace(found, dimension=width, metric=metric or "hamming", bytes=width, bits=bits)


def multiply_adds(card: ModelCard) -> float:
    """Return the billions of multiply-adds of one image, counted on tensors without memory."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from simsearch.extract.networks.build import build_network

    side = card.preprocessing.size
    with torch.device("meta"):
        network = build_network(card).eval()
        image = torch.empty(1, 3, side, side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return round(float(counter.get_total_flops()) / 2e9, 3)


def _card(model: str) -> ModelCard | None:
    """Return the card of a model of the zoo; None for a name that means something else."""
    if ":" in model or "(" in model:
        return None
    try:
        return load_card(find_model(model))
    except ModelNotFound:
        return None


def _loaded(model: str) -> Extractor:
    from simsearch.extract.load import load_extractor

    return load_extractor(model, device="cpu")


def _of_extractor(extractor: Extractor, metric: str | None, width: int) -> Rows:
    name, dimension, chosen = extractor.name, extractor.dimension, metric or extractor.metric
    if extractor.gives_codes:
        return Rows(name, dimension, chosen, dimension, None, extractor.bits or 8 * dimension)
    return Rows(name, dimension, chosen, dimension * width)
