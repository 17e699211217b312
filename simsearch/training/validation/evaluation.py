"""Evaluation: recall of edited copies of held-out photographs, among strangers edited alike."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsearch.decide import recall_at_fpr
from simsearch.distance import by_name
from simsearch.errors import InputError
from simsearch.images.perturb import Perturbation
from simsearch.images.preprocess import Preprocessing
from simsearch.runtime.cpu import default_workers
from simsearch.search.exact import knn
from simsearch.training.data.images import Pictures

Pixels = NDArray[np.uint8]
Seen = dict[Preprocessing, Pixels]
Embed = Callable[[Pixels], NDArray[Any]]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trial:
    """The material of a measurement.

    Attributes:
        edits: Each applied to every picture.
        own: Photographs that are in the library.
        strangers: Photographs that are not.
        preprocessings: Of each model.
        seed: Of noise, letters and places.
    """

    edits: tuple[Perturbation, ...]
    own: Pictures
    strangers: Pictures
    preprocessings: tuple[Preprocessing, ...]
    seed: int

    def originals(self) -> tuple[Pixels, ...]:
        """Return the library's pixels (n, s, s, 3), for each model as it takes them."""
        return self._stacked([self._seen(self.own.image(i)) for i in range(len(self.own))])

    def queries(self) -> Iterator[tuple[Pixels, ...]]:
        """Yield for each edit the pixels (n + m, s, s, 3) of all its copies, own ones first, for each model."""
        pictures = [side.image(i) for side in (self.own, self.strangers) for i in range(len(side))]
        with ThreadPoolExecutor(default_workers()) as pool:
            for edit in self.edits:
                stream = zlib.crc32(edit.name.encode())

                def edited(i: int, edit: Perturbation = edit, stream: int = stream) -> Seen:
                    rng = np.random.default_rng((self.seed, stream, i))
                    return self._seen(edit.apply(pictures[i], rng))

                yield self._stacked(list(pool.map(edited, range(len(pictures)))))

    def _seen(self, image: Image.Image) -> Seen:
        return {how: how.apply(image) for how in dict.fromkeys(self.preprocessings)}

    def _stacked(self, seen: list[Seen]) -> tuple[Pixels, ...]:
        by_how = {how: np.stack([one[how] for one in seen]) for how in dict.fromkeys(self.preprocessings)}
        return tuple(by_how[how] for how in self.preprocessings)


@dataclass(frozen=True, slots=True)
class Scores:
    """The distances of one model.

    Attributes:
        right: (n, e) from each edited copy to its own original.
        strangers: (m, e) from each edited stranger to the nearest image of the library.
    """

    right: Values
    strangers: Values

    def recall(self, fpr: float) -> float:
        """Return the share of copies whose original lies within the threshold of that false-positive rate."""
        return recall_at_fpr(self.right, self.strangers, fpr).recall


def scores(
    originals: Sequence[Pixels], queries: Iterable[Sequence[Pixels]], models: Sequence[Embed], metrics: Sequence[str]
) -> list[Scores]:
    """Return the distances of each model for the same pictures.

    Args:
        originals: For each model (n, s, s, 3) of the library.
        queries: For each edit and model (n + m, s, s, 3), the copies of the library's pictures first.
        models: From pixels (k, s, s, 3) to rows (k, d).
        metrics: The distance of each.

    Raises:
        InputError: A model gave a row that is no number.
    """
    n = len(originals[0])
    library = [_rows(*one) for one in zip(models, originals, metrics, strict=True)]
    right: list[list[Values]] = [[] for _ in models]
    strange: list[list[Values]] = [[] for _ in models]
    for seen in queries:
        for k, (embed, pixels, metric) in enumerate(zip(models, seen, metrics, strict=True)):
            rows = _rows(embed, pixels, metric)
            right[k].append(_to_own(rows[:n], library[k], metric))
            strange[k].append(knn(rows[n:], [library[k]], k=1, metric=metric).distances[:, 0].astype(np.float64))
    return [Scores(np.stack(a, 1), np.stack(b, 1)) for a, b in zip(right, strange, strict=True)]


def supported_fpr(strangers: int, wanted: float | None) -> float:
    """Return the false-positive rate that is wanted, or by default the lowest, from 0.005, that strangers support.

    Example:
        >>> supported_fpr(600, None), supported_fpr(100, None), supported_fpr(100, 0.001)
        (0.005, 0.03, 0.001)
    """
    return wanted if wanted is not None else min(0.5, max(0.005, 3 / strangers))


def _to_own(rows: NDArray[Any], library: NDArray[Any], metric: str) -> Values:
    """Return the distance of each row (n, d) to the library's row in the same place (n,), rounded as `knn` rounds."""
    measure = by_name(metric)
    own = [measure(row[None], original[None])[0, 0] for row, original in zip(rows, library, strict=True)]
    return np.asarray(own, np.float32).astype(np.float64)


def _rows(embed: Embed, pixels: Pixels, metric: str) -> NDArray[Any]:
    """Return rows for which the metric is defined: for js a row of zeros becomes a flat one, far from all."""
    rows = embed(pixels)
    if not np.isfinite(rows).all():
        raise InputError("the network gives rows that are no numbers; train with a lower optimiser.rate")
    dead = np.asarray((rows == 0).all(axis=1))
    return np.where(dead[:, None], np.float32(1), rows) if metric == "js" and dead.any() else rows
