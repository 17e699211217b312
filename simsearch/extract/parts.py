"""Inputs to what extractors take: pixels, and of extractors with several rows an image the rows themselves.

Those see the whole picture. Their rows are made where it is decoded, by a few threads, so that few whole pictures are
in memory, however many images are on their way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, fromarray

from simsearch.extract.extractor import Extractor, checked_parts
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Limits, Rejected, Source
from simsearch.images.workers.pool import prepare, prepare_apart
from simsearch.images.workers.prepared import Prepared

_MOST_THREADS = 4  # whole pictures in memory
Looks = Sequence[tuple[Extractor, Preprocessing]]
"""Extractors, each with how it sees a picture; several with the same extractor are several views."""


@dataclass(frozen=True, slots=True)
class _Whole(Preprocessing):
    """A preprocessing that only says how a file is decoded: the pixels are those of the whole picture."""

    def apply(self, image: Image) -> NDArray[np.uint8]:
        """Return all pixels of an RGB picture, uint8 (h, w, 3)."""
        return np.asarray(image)


def prepare_looks(
    looks: Looks,
    sources: Iterable[Source | Rejected],
    *,
    workers: int,
    limits: Limits,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Prepared | Rejected]:
    """Yield each input, in order, with one entry of `squares` a look: its pixels, or all its rows (p, d).

    Args:
        looks: Of the entries.
        sources: As of `find`; pixels from memory are given for each look.
        workers: Decoding processes; 0 is one that stays warm.
        limits: Bounds on the cost of one image.
        stop: As of `simsearch.images.prepare`.

    Raises:
        RowError: An extractor gave rows of another shape than it promises.
    """
    if not any(extractor.several for extractor, _ in looks):
        return prepare(sources, [how for _, how in looks], workers=workers, limits=limits, stop=stop)
    return _by_threads(_Looking(looks, limits), sources, max(1, min(workers, _MOST_THREADS)), stop)


class _Looking:
    """What is done with one input."""

    def __init__(self, looks: Looks, limits: Limits) -> None:
        self._extractors = [extractor for extractor, _ in looks]
        self._hows = [_Whole(**asdict(how)) if extractor.several else how for extractor, how in looks]
        self._limits = limits
        # A user's own class may not be made for threads; ours are.
        self._turns: list[Any] = [
            threading.Lock() if extractor.kind == "user" else nullcontext() for extractor in self._extractors
        ]

    def __call__(self, source: Source | Rejected) -> Prepared | Rejected:
        item = source if isinstance(source, Rejected) else prepare_apart(source, self._hows, self._limits)
        if isinstance(item, Rejected):
            return item
        each = zip(self._extractors, self._turns, item.squares, strict=True)
        return replace(item, squares=tuple(self._taken(*one) for one in each))

    @staticmethod
    def _taken(extractor: Extractor, turn: Any, square: NDArray[np.uint8]) -> NDArray[Any]:
        if not extractor.several:
            return square
        with turn:
            return checked_parts(extractor, extractor.parts([fromarray(square)]), 1)[0]


def _by_threads(
    look: _Looking, sources: Iterable[Source | Rejected], threads: int, stop: Callable[[], bool] | None
) -> Iterator[Prepared | Rejected]:
    waiting = deque[Future[Prepared | Rejected]]()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for source in sources:
                if stop is not None and stop():
                    return
                waiting.append(pool.submit(look, source))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()
