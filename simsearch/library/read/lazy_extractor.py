"""An extractor that is loaded once, when the first image needs it, and checked."""

from __future__ import annotations

import threading

from simsearch.errors import ModelError, ModelNotFound
from simsearch.extract.extractor import Extractor
from simsearch.library.format.channel import Channel


class LazyExtractor:
    """The extractor of a channel, loaded on first use.

    Raises:
        FingerprintMismatch: The given extractor did not make the rows.
    """

    def __init__(self, channel: Channel, extractor: Extractor | None, device: str) -> None:
        if extractor is not None:
            channel.require(extractor.fingerprint, f"extractor {extractor.name!r}")
        self._channel = channel
        self._extractor = extractor
        self._device = device
        self._admitted = False
        self._lock = threading.Lock()

    def get(self) -> Extractor:
        """Return the extractor, loaded by the channel's model name if none was given, and checked on this machine.

        Raises:
            FingerprintMismatch: The model of that name is not the one that made the rows.
            ModelNotFound: There is no model of that name here.
            ModelError: A class made the rows, which the caller has to pass; or this machine computes other rows.
            WeightsError: A network of timm made them, and its weights are not here: a library fetches nothing.
        """
        with self._lock:
            if self._extractor is None:
                self._extractor = self._load()
            if not self._admitted:
                self._extractor.admit()
                self._admitted = True
            return self._extractor

    def _load(self) -> Extractor:
        from simsearch.extract.load import load_extractor
        from simsearch.naming import is_class_name

        model = self._channel.model
        if is_class_name(model):  # a library may come from anybody, and must not name code to run
            raise ModelError(
                f"the class {model} made these rows and is not run unasked; if you trust it, give it: "
                f"--model {model}, or Library.open(..., extractor=...)"
            )
        try:
            extractor = load_extractor(model, device=self._device, fetch=False)
        except ModelNotFound as error:
            raise ModelNotFound(
                f"model {model[:80]!r} made these rows and is not here; give it: --model NAME, a folder with a slash, "
                "or module:Class for a class of your own; in Python Library.open(..., extractor=...)"
            ) from error
        self._channel.require(extractor.fingerprint, f"model {model!r}")
        return extractor
