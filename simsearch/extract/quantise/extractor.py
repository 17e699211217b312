"""A network and a quantiser as one extractor: images to bits, the same for any batch size."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import FingerprintMismatch, InputError, MetricError, ModelError
from simsearch.extract.extractor import Extractor, require_one_row
from simsearch.extract.quantise.hyperplanes import Quantiser, load_quantiser
from simsearch.extract.zoo.card import load_card
from simsearch.extract.zoo.find import find_model
from simsearch.naming import quantised_parts

_AT_ONCE = 8  # images: on a CPU, fewer or more at once give rows that differ by 1e-6
_AT_ONCE_ON_GPU = 64


class QuantisedExtractor(Extractor):
    """An extractor whose rows are the bits of another's.

    The network always sees the same number of images at once, blank ones among them if need be, so that the bits of an
    image do not depend on what else is embedded; across devices and precisions some bits still differ (docs/bits.md).

    Attributes:
        inner: The extractor of the rows.
        quantiser: From rows to bits.
    """

    kind = "hash"
    non_negative = True
    metric = "hamming"

    def __init__(self, inner: Extractor, quantiser: Quantiser) -> None:
        """Join the two.

        Raises:
            FingerprintMismatch: The quantiser was fitted to rows of another model.
            InputError: The extractor gives several rows an image, or bits already.
        """
        require_one_row(inner)
        if inner.gives_codes:
            raise InputError(f"{inner.name} gives bits already; quantise a network")
        if quantiser.model != inner.fingerprint:
            raise FingerprintMismatch(
                f"the quantiser was fitted to rows of model {quantiser.model[:16]}, {inner.name} is "
                f"{inner.fingerprint[:16]}; fit one to its rows with `simsearch bits fit`"
            )
        self.inner = inner
        self.quantiser = quantiser
        self.name = f"{inner.name}-{quantiser.bits}bits"
        self.fingerprint = hashlib.sha256(f"{inner.fingerprint} {quantiser.digest}".encode()).hexdigest()
        self.dimension = -(-quantiser.bits // 8)
        self.preprocessing = inner.preprocessing
        device = getattr(inner, "device", None)
        self._at_once = _AT_ONCE_ON_GPU if device is not None and device.type == "cuda" else _AT_ONCE

    @property
    def bits(self) -> int:
        """Length of a code; zeros fill its last byte."""
        return self.quantiser.bits

    def prepare(self, sources: Any, **settings: Any) -> Any:
        """Yield what the network's own `prepare` does."""
        return self.inner.prepare(sources, **settings)

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the codes of pixels (n, s, s, 3): packed (n, bytes), zeros behind the last bit."""
        return self.quantiser.encode(self.floats(pixels))

    def floats(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the rows (n, d) behind the codes."""
        blank = -len(pixels) % self._at_once
        padded = np.concatenate([pixels, np.zeros((blank, *pixels.shape[1:]), np.uint8)])
        parts = [self.inner.embed_pixels(padded[i : i + self._at_once]) for i in range(0, len(padded), self._at_once)]
        return np.concatenate([np.empty((0, self.inner.dimension), np.float32), *parts])[: len(pixels)]

    def _where(self) -> str:
        return self.inner._where()

    def admit(self) -> None:
        """Require that this runtime reproduces the golden rows of the network.

        Raises:
            ModelError: They differ by more than its card's tolerance.
        """
        self.inner.admit()

    def runtime(self) -> dict[str, str]:
        """Return that of the network."""
        return self.inner.runtime()


class MarginExtractor(Extractor):
    """An extractor whose rows are the margins behind a quantiser's bits: how surely an image has each."""

    kind = "network"
    non_negative = False
    metric = "l2"

    def __init__(self, coded: QuantisedExtractor) -> None:
        self._coded = coded
        self.name = f"{coded.name}-margins"
        self.fingerprint = hashlib.sha256(f"{coded.fingerprint} margins".encode()).hexdigest()
        self.dimension = coded.bits
        self.preprocessing = coded.preprocessing

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the margins (n, bits) of pixels (n, s, s, 3): above 0 where the bit is 1."""
        return self._coded.quantiser.margins(self._coded.floats(pixels)).astype(np.float32)

    def runtime(self) -> dict[str, str]:
        """Return that of the network."""
        return self._coded.runtime()


def margins_of(extractor: Extractor) -> MarginExtractor:
    """Return the extractor of the margins behind an extractor's bits.

    Raises:
        MetricError: It makes its bits in another way, or makes none.
    """
    if not isinstance(extractor, QuantisedExtractor):
        raise MetricError(
            f"{extractor.name} has no margins to be asked with: only the bits of a quantiser have (--bits)"
        )
    return MarginExtractor(extractor)


def quantised(name: str, inner: Extractor) -> QuantisedExtractor:
    """Return the extractor of such a name as `mini(bits=96)` or `./folder(bits=own.safetensors)`, from its rows'.

    Raises:
        ModelNotFound: There is no such model.
        ModelError: It has no quantiser of so many bits, or the file is damaged.
        FingerprintMismatch: The quantiser is of another model.
    """
    model, which = quantised_parts(name)
    quantiser = load_quantiser(Path(which)) if not which.isdecimal() else _of_model(find_model(model), int(which))
    return QuantisedExtractor(inner, quantiser)


def _of_model(folder: Path, bits: int) -> Quantiser:
    card = load_card(folder)
    for entry in card.quantisers:
        if entry.bits == bits:
            quantiser = load_quantiser(folder / entry.file)
            if (quantiser.bits, quantiser.digest) != (bits, entry.digest):
                raise ModelError(
                    f"{card.name}: {folder / entry.file} has {quantiser.bits} bits and digest {quantiser.digest}, the "
                    f"card says {bits} and {entry.digest}; restore the file"
                )
            return quantiser
    known = ", ".join(str(entry.bits) for entry in card.quantisers) or "none"
    raise ModelError(
        f"{card.name} has no quantiser of {bits} bits (there are: {known}); make one with `simsearch bits fit` and "
        "give its file in place of the number"
    )
