"""One extractor on several devices: batches are distributed round-robin, their rows come in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import FingerprintMismatch
from simsearch.extract.extractor import Extractor, require_one_row
from simsearch.images.source import Rejected
from simsearch.images.workers.prepared import Prepared


class OnDevices(Extractor):
    """Extractors of one fingerprint, each with a thread of its own while this is entered.

    Whatever is stored, counted and committed goes its one way, as on one device: the batches are the same, only where
    they are computed differs.

    Raises:
        FingerprintMismatch: They are not the same.
        InputError: They give several rows an image.
    """

    def __init__(self, extractors: Sequence[Extractor]) -> None:
        first = extractors[0]
        require_one_row(first)
        if other := next((one for one in extractors if one.fingerprint != first.fingerprint), None):
            raise FingerprintMismatch(f"{first.name} and {other.name} are not the same model, and make other rows")
        self._each = tuple(extractors)
        self.name, self.fingerprint, self.dimension = first.name, first.fingerprint, first.dimension
        self.non_negative, self.metric, self.preprocessing = first.non_negative, first.metric, first.preprocessing
        self.kind, self.label = first.kind, first.label
        self.works_ahead = sum(1 + one.works_ahead for one in self._each)
        self.card_folder: Path | None = getattr(first, "card_folder", None)
        self._turn = 0
        self._threads: list[ThreadPoolExecutor] = []

    def __enter__(self) -> Self:
        self._threads = [ThreadPoolExecutor(1, f"simsearch-device-{i}") for i in range(len(self._each))]
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.shutdown(wait=True, cancel_futures=True)
        self._threads = []

    @property
    def bits(self) -> int | None:
        """As the extractors have it."""
        return self._each[0].bits

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return one row an image, computed on the first device."""
        return self._each[0].embed_pixels(pixels)

    def least_batch(self, batch_size: int) -> int:
        """Return what the extractors' own `least_batch` does."""
        return max(one.least_batch(batch_size) for one in self._each)

    def start(self, pixels: NDArray[np.uint8]) -> Callable[[], NDArray[Any]]:
        """Begin to embed pixels on the device whose turn it is, and return the callable that waits for their rows."""
        if not self._threads:
            return super().start(pixels)
        turn, self._turn = self._turn, (self._turn + 1) % len(self._each)
        begun = self._threads[turn].submit(self._each[turn].start, pixels)

        def rows() -> NDArray[Any]:
            return begun.result()()

        return rows

    def prepare(self, sources: Any, **settings: Any) -> Iterator[Prepared | Rejected]:
        """Yield what the extractors' own `prepare` does."""
        return self._each[0].prepare(sources, **settings)

    def runtime(self) -> dict[str, str]:
        """Return that of the first, with all devices named."""
        facts = self._each[0].runtime()
        devices = [one.runtime().get("device") for one in self._each]
        return facts if None in devices else {**facts, "device": ", ".join(str(device) for device in devices)}

    def admit(self) -> None:
        """Require that every device reproduces the golden rows.

        Raises:
            ModelError: One does not.
        """
        for one in self._each:
            one.admit()
