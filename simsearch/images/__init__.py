"""What an image is: find files, decode safely, preprocess, perturb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.images import perturb
    from simsearch.images.decode import Decoded as Decoded
    from simsearch.images.decode import decode as decode
    from simsearch.images.find import find as find
    from simsearch.images.formats.colour import to_rgb as to_rgb
    from simsearch.images.perturb import Perturbation as Perturbation
    from simsearch.images.preprocess import Preprocessing as Preprocessing
    from simsearch.images.quality import quality as quality
    from simsearch.images.source import Limits as Limits
    from simsearch.images.source import Rejected as Rejected
    from simsearch.images.source import Source as Source
    from simsearch.images.source import load_bytes as load_bytes
    from simsearch.images.workers.pool import prepare as prepare
    from simsearch.images.workers.prepared import Prepared as Prepared

    perturbation = perturb.by_name

attach(
    __name__,
    {
        "Decoded": "decode",
        "Limits": "source",
        "Perturbation": "perturb",
        "Prepared": "workers.prepared",
        "Preprocessing": "preprocess",
        "Rejected": "source",
        "Source": "source",
        "decode": "decode",
        "find": "find",
        "load_bytes": "source",
        "perturbation": "perturb:by_name",
        "prepare": "workers.pool",
        "quality": "quality",
        "to_rgb": "formats.colour",
    },
)
