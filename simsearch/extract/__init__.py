"""Image to row: model cards, networks, hashes, Extractor and batch pipeline; torch loads only with a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.extract.extractor import Extractor as Extractor
    from simsearch.extract.extractor import SeveralExtractor as SeveralExtractor
    from simsearch.extract.hashes.formats import floats_from_base64 as floats_from_base64
    from simsearch.extract.hashes.formats import floats_to_base64 as floats_to_base64
    from simsearch.extract.hashes.formats import from_base64 as from_base64
    from simsearch.extract.hashes.formats import from_hex as from_hex
    from simsearch.extract.hashes.formats import from_vectors as from_vectors
    from simsearch.extract.hashes.formats import to_base64 as to_base64
    from simsearch.extract.hashes.formats import to_hex as to_hex
    from simsearch.extract.hashes.formats import to_vectors as to_vectors
    from simsearch.extract.load import Method as Method
    from simsearch.extract.load import known_methods as known_methods
    from simsearch.extract.load import load_extractor as load_extractor
    from simsearch.extract.pipeline import Embedded as Embedded
    from simsearch.extract.pipeline import embed_sources as embed_sources
    from simsearch.extract.quantise.extractor import QuantisedExtractor as QuantisedExtractor
    from simsearch.extract.quantise.fit import fit_quantiser as fit_quantiser
    from simsearch.extract.quantise.hyperplanes import Quantiser as Quantiser
    from simsearch.extract.quantise.hyperplanes import load_quantiser as load_quantiser
    from simsearch.extract.zoo.card import ModelCard as ModelCard
    from simsearch.extract.zoo.find import find_model as find_model
    from simsearch.extract.zoo.find import list_models as list_models

attach(
    __name__,
    {
        "Embedded": "pipeline",
        "Extractor": "extractor",
        "Method": "load",
        "ModelCard": "zoo.card",
        "QuantisedExtractor": "quantise.extractor",
        "Quantiser": "quantise.hyperplanes",
        "SeveralExtractor": "extractor",
        "embed_sources": "pipeline",
        "find_model": "zoo.find",
        "fit_quantiser": "quantise.fit",
        "floats_from_base64": "hashes.formats",
        "floats_to_base64": "hashes.formats",
        "from_base64": "hashes.formats",
        "from_hex": "hashes.formats",
        "from_vectors": "hashes.formats",
        "known_methods": "load",
        "list_models": "zoo.find",
        "load_extractor": "load",
        "load_quantiser": "quantise.hyperplanes",
        "to_base64": "hashes.formats",
        "to_hex": "hashes.formats",
        "to_vectors": "hashes.formats",
    },
)
