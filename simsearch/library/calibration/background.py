"""A model's background rows: strangers that its card names, by which distances are normalised."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import SimsearchError
from simsearch.extract.load import described_by_file
from simsearch.extract.quantise.extractor import QuantisedExtractor
from simsearch.extract.zoo.background_rows import background_rows
from simsearch.extract.zoo.card import load_card
from simsearch.extract.zoo.described import Described

_FEWEST = 100


def background_of(model: str, fingerprint: str) -> NDArray[Any] | None:
    """Return the background rows of a model (n, d), codes of one that gives codes; None where there are none.

    They are those of the installed model, where it has this very fingerprint.
    """
    try:
        found = described_by_file(model, fingerprint, whose="the library")
        inner = found.inner if isinstance(found, QuantisedExtractor) else found
        if not isinstance(inner, Described):
            return None
        card = load_card(inner.card_folder)
        if card.background is None:
            return None
        rows = background_rows(card, inner.card_folder)
    except SimsearchError:
        return None
    if len(rows) < _FEWEST:
        return None
    if isinstance(found, QuantisedExtractor):
        return found.quantiser.encode(rows.astype(np.float32))
    return rows
