"""simsearch: deep image embeddings, their near-copies, and how far each match can be trusted.

Importing this package loads neither torch nor faiss: public names resolve on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch import distance as distance
    from simsearch import errors as errors
    from simsearch.extract import Extractor as Extractor
    from simsearch.extract import load_extractor as load_extractor
    from simsearch.images import Rejected as Rejected
    from simsearch.images import perturbation as perturbation
    from simsearch.library import Library as Library
    from simsearch.library import Match as Match
    from simsearch.library import Matches as Matches
    from simsearch.search import knn as knn
    from simsearch.serve import Client as Client

__version__ = "0.1.0"

attach(
    __name__,
    {
        "Client": "serve",
        "Extractor": "extract",
        "Library": "library",
        "Match": "library",
        "Matches": "library",
        "Rejected": "images",
        "distance": "",
        "errors": "",
        "knn": "search",
        "load_extractor": "extract",
        "perturbation": "images",
    },
    "__version__",
)
