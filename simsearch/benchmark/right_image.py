"""How often the right image comes first: every original in the library, edited copies of all of them as queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.edits import (
    Images,
    Progress,
    check_extractors,
    edited_copies,
    embed_photographs,
    photographs,
)
from simsearch.decide import clopper_pearson
from simsearch.errors import InputError
from simsearch.extract.extractor import Extractor
from simsearch.images.perturb import Perturbation
from simsearch.search.exact import knn


@dataclass(frozen=True, slots=True)
class Share:
    """A share of queries with its exact 95 % interval (Clopper & Pearson, 1934); one query a photograph."""

    successes: int
    trials: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, successes: int, trials: int) -> Share:
        """The share of these counts."""
        return cls(successes, trials, successes / trials, *clopper_pearson(successes, trials))

    def to_dict(self) -> dict[str, Any]:
        """The same as a plain dictionary, for JSON."""
        return asdict(self)


def right_image_first(
    extractors: Sequence[Extractor],
    images: Images,
    edits: Sequence[Perturbation],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Mapping[str, Mapping[str, Share]]:
    """For each edit and each extractor the share of copies whose nearest row is their own original.

    Each extractor is searched by the metric that it recommends; ties go to the earlier photograph, so that a method
    which cannot tell two images apart is right for one of them only.

    Args:
        extractors: What is compared; names must differ.
        images: A folder, or a sequence of paths and PIL images.
        edits: The edits, each made once of every photograph.
        seed: Decides noise, letters and places.
        progress: Called with (photographs edited, photographs).

    Returns:
        By name of the edit, then by name of the extractor.

    Raises:
        InputError: There are no photographs or no edits, one cannot be decoded, or extractors share a name.
    """
    check_extractors(extractors)
    originals = photographs(images)
    if not originals or not edits:
        raise InputError(f"{len(originals)} photographs and {len(edits)} edits: there must be at least one of each")
    libraries = embed_photographs(extractors, originals)
    right = np.zeros((len(edits), len(extractors)), np.int64)
    for number, copies in enumerate(edited_copies(enumerate(originals), edits, seed)):
        for x, (extractor, library) in enumerate(zip(extractors, libraries, strict=True)):
            right[:, x] += _nearest(extractor.rows(copies), library, extractor.metric) == number
        if progress is not None:
            progress(number + 1, len(originals))
    return {
        edit.name: {
            extractor.name: Share.of(int(right[e, x]), len(originals)) for x, extractor in enumerate(extractors)
        }
        for e, edit in enumerate(edits)
    }


def _nearest(queries: NDArray[Any], library: NDArray[Any], metric: str) -> NDArray[np.int64]:
    return knn(queries, [library], k=1, metric=metric).positions[:, 0]
