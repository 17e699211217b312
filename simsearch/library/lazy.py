"""An extractor that is loaded when the first image needs it, once, and is the right one."""

from __future__ import annotations

import threading

from simsearch.extract.extractor import Extractor
from simsearch.library.channel import Channel


class LazyExtractor:
    """Gives the extractor of a channel.

    Raises:
        FingerprintMismatch: the one given is not the one that made the rows.
    """

    def __init__(self, channel: Channel, extractor: Extractor | None, device: str) -> None:
        if extractor is not None:
            channel.require(extractor.fingerprint, f"extractor {extractor.name!r}")
        self._channel = channel
        self._extractor = extractor
        self._device = device
        self._lock = threading.Lock()

    def get(self) -> Extractor:
        """Return the extractor, loaded by the channel's model name if none was given.

        Raises:
            FingerprintMismatch: the model of that name is not the one that made the rows.
        """
        with self._lock:
            if self._extractor is None:
                from simsearch.extract.load import load_extractor

                extractor = load_extractor(self._channel.model, device=self._device)
                self._channel.require(extractor.fingerprint, f"model {self._channel.model!r}")
                self._extractor = extractor
            return self._extractor
