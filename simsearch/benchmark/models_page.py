"""The table of the page on models: every card with what it costs and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simsearch.benchmark.tables import cell, table
from simsearch.extract.card import ModelCard


def models_table(cards: Sequence[ModelCard], counted: Mapping[str, Any]) -> list[str]:
    """The lines between the page's markers.

    Args:
        cards: Of every model.
        counted: `results/models.json`.
    """
    heads = ["model", "what", "row", "metric", "pixels", "million parameters", "GMAC", "licence of weights", "status"]
    rows = []
    for card in sorted(cards, key=lambda card: (card.name != "mini", card.name)):
        size = counted["models"][card.name]
        costs = [str(size["pixels"]), f"{size['million_parameters']:,.1f}", f"{size['gmac']:.2f}"]
        told = [f"`{card.name}`", cell(card.summary), str(card.dimension), card.metric]
        rows.append([*told, *costs, cell(card.weights.licence), card.status])
    return [
        "Parameters and multiply-adds of one image are counted by `scripts/measure_models.py`.",
        "",
        *table(heads, rows),
    ]
