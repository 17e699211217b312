"""Pictures as codes: digests of the file's bytes, PDQ with its quality, and rows of channels, from one decoding."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import ImageRejected, RejectCode
from simsearch.extract.extractor import Extractor
from simsearch.extract.pipeline import Embedded, embed_sources
from simsearch.images.source import Found, Rejected, Source, load_bytes, source_of
from simsearch.library.lists.codes import PDQ, PDQ_BYTES
from simsearch.library.settings import AddSettings
from simsearch.runtime.cpu import default_workers

if TYPE_CHECKING:
    from simsearch.library.format.channel import Channel

_AT_ONCE = 64
_FEW = 32  # pictures that one decoder reads: starting more would take longer


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture is compared by.

    Attributes:
        source: The input.
        digests: Of its bytes, by their names; none for pixels from memory. A file that is no picture has them too.
        rows: By the type of code, each (d,).
        quality: How much there is to see, 0 (blank) to 100; None where it was not looked at.
        pdq_quality: Of its PDQ hash, 0 to 100.
        rejected: Why it has no rows.
    """

    source: Source
    digests: Mapping[str, bytes]
    rows: Mapping[str, NDArray[Any]]
    quality: int | None = None
    pdq_quality: int | None = None
    rejected: Rejected | None = None


class GradedPdq(Extractor):
    """PDQ with its quality as a last byte."""

    name, non_negative, metric = "pdq-with-quality", True, "hamming"
    dimension: int = PDQ_BYTES + 1
    kind = "hash"

    def __init__(self) -> None:
        from simsearch.extract.hashes.pdq import Pdq

        self._pdq = Pdq()
        self.fingerprint = hashlib.sha256(f"{self._pdq.fingerprint} quality".encode()).hexdigest()
        self.preprocessing = self._pdq.preprocessing

    @property
    def of(self) -> str:
        """The fingerprint of PDQ itself."""
        return self._pdq.fingerprint

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return codes and qualities: (n, 33) uint8."""
        from PIL.Image import fromarray

        rows, qualities = self._pdq.with_quality([fromarray(image) for image in pixels])
        return np.column_stack([rows, qualities.astype(np.uint8)])


@dataclass(frozen=True, slots=True)
class Maker:
    """What makes rows of a type of code.

    Attributes:
        extractor: Of the rows.
        channel: By which they are rounded; None for PDQ.
    """

    extractor: Extractor
    channel: Channel | None = None


def pictures(
    inputs: Iterable[Found], makers: Mapping[str, Maker], digests: Collection[str], settings: AddSettings
) -> Iterator[Picture]:
    """Yield each input as codes, in order.

    Args:
        inputs: As of `find`.
        makers: Of rows, by the type of code; without any nothing is decoded.
        digests: Names of the digests that are wanted.
        settings: Of reading.
    """
    for chunk in _batched(inputs):
        read = [_digests(found, digests, settings) for found in chunk]
        if not makers:
            yield from (
                Picture(source_of(found), told, {}, rejected=bad)
                for found, (told, bad) in zip(chunk, read, strict=True)
            )
            continue
        workers = settings.workers
        if workers is None:
            workers = 0 if len(chunk) < _FEW else min(default_workers(), len(chunk))
        how: dict[str, Any] = {"batch_size": settings.batch_size, "limits": settings.limits, "workers": workers}
        extractors = [maker.extractor for maker in makers.values()]
        for outcome, (told, _) in zip(embed_sources(extractors, chunk, **how), read, strict=True):
            yield _picture(outcome, told, makers)


def _batched(inputs: Iterable[Found]) -> Iterator[tuple[Found, ...]]:
    iterator = iter(inputs)
    while chunk := tuple(itertools.islice(iterator, _AT_ONCE)):
        yield chunk


def _digests(found: Found, wanted: Collection[str], settings: AddSettings) -> tuple[dict[str, bytes], Rejected | None]:
    """Return digests of an input's bytes, or why there are none."""
    if isinstance(found, Rejected):
        return {}, found
    if isinstance(found.given, tuple):
        return {}, None
    try:
        data = load_bytes(found, settings.limits.max_bytes)
    except ImageRejected as error:
        return {}, Rejected(found.without_data(), error.code, error.message)
    return {name: hashlib.new(name, data, usedforsecurity=False).digest() for name in {*wanted, "sha256"}}, None


def _picture(outcome: Embedded | Rejected, digests: Mapping[str, bytes], makers: Mapping[str, Maker]) -> Picture:
    source = outcome.source
    if isinstance(outcome, Rejected):
        return Picture(source, digests, {}, rejected=outcome)
    if digests and digests["sha256"] != outcome.sha256:
        changed = Rejected(source, RejectCode.IO_ERROR, "it was changed while it was read; check it again")
        return Picture(source, {}, {}, rejected=changed)
    rows, pdq_quality = dict[str, NDArray[Any]](), None
    for (kind, maker), row in zip(makers.items(), outcome.rows or (), strict=True):
        if kind == PDQ:
            rows[kind], pdq_quality = row[:PDQ_BYTES], int(row[PDQ_BYTES])
        else:
            rounded = row if maker.channel is None else maker.channel.round(row)
            if rounded.dtype.kind != "f" or (np.isfinite(rounded).all() and rounded.any()):
                rows[kind] = rounded
    return Picture(source, digests, rows, outcome.quality, pdq_quality)
