"""A model of the zoo as its card describes it, without its network: all that a library of ready rows has to know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import ModelError
from simsearch.extract.extractor import Extractor
from simsearch.extract.zoo.card import load_card


class Described(Extractor):
    """Says what a model's rows are, and makes none."""

    kind = "network"

    def __init__(self, folder: Path) -> None:
        """Read the card in a model's folder.

        Raises:
            ModelError: The card is damaged.
        """
        card = load_card(folder)
        self.card_folder = folder
        self.name, self.fingerprint, self.dimension = card.name, card.fingerprint, card.dimension
        self.non_negative, self.metric, self.preprocessing = card.non_negative, card.metric, card.preprocessing

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:  # noqa: ARG002
        """Refuse to.

        Raises:
            ModelError: Always.
        """
        raise ModelError(f"{self.name} was described and not loaded; load_extractor({self.name!r}) makes rows")
