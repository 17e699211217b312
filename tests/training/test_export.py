"""What is exported can be loaded again and trusted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from simsearch import load_extractor
from simsearch.errors import InputError
from simsearch.extract.networks.build import build_network, load_network
from simsearch.extract.zoo.card import ModelCard, load_card, weights_path
from simsearch.extract.zoo.find import find_model
from simsearch.training.export import export
from simsearch.training.network import exported_card
from tests.training.world import config


@pytest.fixture
def mini() -> tuple[nn.Module, ModelCard]:
    """The default model's network with random weights, and its card."""
    torch.manual_seed(0)
    card = load_card(find_model("mini"))
    return build_network(card).eval(), card


def test_an_exported_network_is_the_one_that_was_trained(mini: tuple[nn.Module, ModelCard], tmp_path: Path) -> None:
    network, card = mini
    finished = export(network, card, tmp_path)
    assert finished == load_card(tmp_path)
    assert finished.status == "verified"
    assert weights_path(finished, tmp_path).stat().st_size <= 12_000_000
    again = load_network(finished, tmp_path)
    for name, tensor in again.state_dict().items():
        torch.testing.assert_close(tensor, network.state_dict()[name], rtol=1e-3, atol=1e-6)
    assert load_extractor(tmp_path).fingerprint == finished.fingerprint != card.fingerprint


def test_weights_beyond_float16_are_refused(mini: tuple[nn.Module, ModelCard], tmp_path: Path) -> None:
    network, card = mini
    with torch.no_grad():
        next(network.parameters()).fill_(1e6)
    with pytest.raises(InputError, match="float16"):
        export(network, card, tmp_path)


def test_what_was_made_of_the_starts_rows_is_not_said_of_the_trained_models(tmp_path: Path) -> None:
    card = load_card(find_model("mini"))
    assert card.background
    assert card.quantisers
    settings = config(tmp_path, "mini", export={"name": "own"})
    made = exported_card(card, settings, "mini", settings.images)
    assert (made.name, made.background, made.quantisers) == ("own", None, ())
