"""Count parameters and multiply-adds of the network of every card, and write a JSON record; no weights are needed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from simsearch.extract.networks.build import build_network
from simsearch.extract.zoo.card import ModelCard
from simsearch.extract.zoo.find import list_models
from simsearch.runtime.provenance import write_record
from simsearch.scale.planner.models import multiply_adds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("results/models.json"))
    arguments = parser.parse_args()
    models = {card.name: counted(card) for card in list_models()}
    largest = max(models, key=lambda name: models[name]["gmac"])
    verdict = f"{len(models)} networks, from {models['mini']['gmac']:.2f} (mini) to {models[largest]['gmac']:.0f} GMAC"
    write_record(arguments.output, {"models": models}, verdict=verdict)
    print(verdict)


def counted(card: ModelCard) -> dict[str, Any]:
    """Millions of parameters and billions of multiply-adds an image, on tensors without memory."""
    with torch.device("meta"):
        network = build_network(card).eval()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {
        "million_parameters": round(parameters / 1e6, 2),
        "gmac": multiply_adds(card),
        "pixels": card.preprocessing.size,
        "dimension": card.dimension,
    }


if __name__ == "__main__":
    main()
