"""The counts of the page on models can be made again for every kind of network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from measure_models import counted
from simsearch.extract.zoo.card import load_card
from simsearch.extract.zoo.find import find_model, list_models

RECORD = json.loads((Path(__file__).parents[2] / "results" / "models.json").read_text())["models"]


@pytest.mark.parametrize("name", ["mini", "efficientnet_lite0", "resnet50", "simclr_v2_r50_1x_sk1"])
def test_a_network_is_counted_as_the_record_says(name: str) -> None:
    assert counted(load_card(find_model(name))) == RECORD[name]


def test_every_card_is_in_the_record() -> None:
    assert RECORD.keys() == {card.name for card in list_models()}
