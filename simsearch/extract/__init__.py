"""Image to row: model cards, networks, the Extractor, and the batch pipeline; torch loads only with a network."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsearch.extract.extractor import Extractor as Extractor
    from simsearch.extract.extractor import SeveralExtractor as SeveralExtractor
    from simsearch.extract.load import load_extractor as load_extractor
    from simsearch.extract.pipeline import Embedded as Embedded
    from simsearch.extract.pipeline import embed_sources as embed_sources
    from simsearch.extract.zoo.card import ModelCard as ModelCard
    from simsearch.extract.zoo.find import find_model as find_model
    from simsearch.extract.zoo.find import list_models as list_models

_HOMES = {
    "Embedded": "pipeline",
    "Extractor": "extractor",
    "ModelCard": "zoo.card",
    "SeveralExtractor": "extractor",
    "embed_sources": "pipeline",
    "find_model": "zoo.find",
    "list_models": "zoo.find",
    "load_extractor": "load",
}
__all__ = [
    "Embedded",
    "Extractor",
    "ModelCard",
    "SeveralExtractor",
    "embed_sources",
    "find_model",
    "list_models",
    "load_extractor",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simsearch.extract' has no attribute {name!r}")
    return getattr(importlib.import_module(f"simsearch.extract.{_HOMES[name]}"), name)
