"""Pictures as codes: digests of the file's bytes, PDQ of the whole picture, and rows of channels."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import ImageRejected, RejectCode
from simsearch.extract.extractor import Extractor, require_one_row
from simsearch.extract.pipeline import Embedded, embed_sources
from simsearch.images.quality import quality
from simsearch.images.source import Found, Rejected, Source, load_bytes, source_of
from simsearch.images.workers.single import decode_apart
from simsearch.library.lists.codes import PDQ
from simsearch.library.settings import AddSettings
from simsearch.runtime.cpu import default_workers

if TYPE_CHECKING:
    from PIL.Image import Image

    from simsearch.extract.hashes.pdq import Pdq
    from simsearch.library.format.channel import Channel

_AT_ONCE = 64
_FEW = 32  # pictures that one decoder reads: starting more would take longer
_MOST_THREADS = 4  # whole pictures in memory


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
    digests: Mapping[str, bytes] = field(default_factory=dict)
    rows: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    quality: int | None = None
    pdq_quality: int | None = None
    rejected: Rejected | None = None


@dataclass(frozen=True, slots=True)
class Makers:
    """What makes codes of pictures.

    Attributes:
        pdq: PDQ, of the whole picture, as others hash it: of a picture that is first brought to 512 pixels, as a
            channel's, the hash differs in some ten bits. None where it is not wanted.
        channels: The extractor of each type of code, with the channel by which its rows are rounded.
    """

    pdq: Pdq | None = None
    channels: Mapping[str, tuple[Extractor, Channel]] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of code that are made."""
        return (*([PDQ] if self.pdq else []), *self.channels)

    @property
    def extractors(self) -> list[Extractor]:
        """All of them, in the order of `kinds`."""
        return [*([self.pdq] if self.pdq else []), *(extractor for extractor, _ in self.channels.values())]

    def only(self, kind: str) -> Makers:
        """Return what makes one type of code."""
        if kind == PDQ:
            return Makers(self.pdq)
        return Makers(None, {kind: self.channels[kind]})

    def fingerprint(self, kind: str) -> str:
        """Return the fingerprint of the model whose rows a type of code is."""
        return self.pdq.fingerprint if kind == PDQ and self.pdq else self.channels[kind][0].fingerprint


def pictures(
    inputs: Iterable[Found], makers: Makers, digests: Collection[str], settings: AddSettings
) -> Iterator[Picture]:
    """Yield each input as codes, in order.

    Args:
        inputs: As of `find`; a picture from memory is given once for each of `makers.extractors`.
        makers: Of rows; where there are none nothing is decoded.
        digests: Names of the digests that are wanted.
        settings: Of reading.
    """
    threads = min(_MOST_THREADS, default_workers())
    look = partial(_looked, pdq=makers.pdq, wanted=digests, settings=settings)
    iterator = iter(inputs)
    with ThreadPoolExecutor(threads) as pool:
        while chunk := list(itertools.islice(iterator, _AT_ONCE)):
            looked = list(pool.map(look, chunk))
            yield from _with_channels(chunk, looked, makers, settings) if makers.channels else looked


def _looked(found: Found, *, pdq: Pdq | None, wanted: Collection[str], settings: AddSettings) -> Picture:
    """Return an input with its digests and its PDQ hash."""
    source = source_of(found).without_data()
    if isinstance(found, Rejected):
        return Picture(source, rejected=found)
    if isinstance(found.given, tuple):
        return Picture(source) if pdq is None else _hashed(Picture(source), found.given[0], pdq)
    try:
        data = load_bytes(found, settings.limits.max_bytes)
    except ImageRejected as error:
        return Picture(source, rejected=Rejected(source, error.code, error.message))
    names = {*wanted, "sha256"}
    plain = Picture(source, {name: hashlib.new(name, data, usedforsecurity=False).digest() for name in names})
    if pdq is None:
        return plain
    try:
        return _hashed(plain, decode_apart(data, limits=settings.limits).image, pdq)
    except ImageRejected as error:
        return replace(plain, rejected=Rejected(source, error.code, error.message))


def _hashed(picture: Picture, image: Image, pdq: Pdq) -> Picture:
    rows, qualities = pdq.with_quality([image])
    seen = quality(pdq.preprocessing.apply(image))
    return replace(picture, rows={PDQ: rows[0]}, quality=seen, pdq_quality=int(qualities[0]))


def _with_channels(
    chunk: Sequence[Found], looked: Sequence[Picture], makers: Makers, settings: AddSettings
) -> Iterator[Picture]:
    """Yield pictures with the rows of channels."""
    workers = settings.workers
    if workers is None:
        workers = 0 if len(chunk) < _FEW else min(default_workers(), len(chunk))
    how: dict[str, Any] = {"batch_size": settings.batch_size, "limits": settings.limits, "workers": workers}
    extractors = [extractor for extractor, _ in makers.channels.values()]
    for extractor in extractors:
        require_one_row(extractor)
    inputs = [_without_first(found) if makers.pdq else found for found in chunk]
    for outcome, picture in zip(embed_sources(extractors, inputs, **how), looked, strict=True):
        if isinstance(outcome, Rejected):
            yield replace(picture, rows={}, rejected=picture.rejected or outcome)
        elif picture.digests and picture.digests["sha256"] != outcome.sha256:
            changed = Rejected(picture.source, RejectCode.IO_ERROR, "it was changed while it was read; check it again")
            yield Picture(picture.source, rejected=changed)
        else:
            yield replace(picture, rows={**picture.rows, **dict(_rows(outcome, makers))}, quality=outcome.quality)


def _rows(outcome: Embedded, makers: Makers) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the rows of channels by the type of code, as they are stored; those that could not be are left out."""
    for (kind, (_, channel)), row in zip(makers.channels.items(), outcome.rows or (), strict=True):
        rounded = channel.round(row)
        if rounded.dtype.kind != "f" or (np.isfinite(rounded).all() and rounded.any()):
            yield kind, rounded


def _without_first(found: Found) -> Found:
    """Return a picture from memory without the form that PDQ sees."""
    if isinstance(found, Source) and isinstance(found.given, tuple):
        return replace(found, given=found.given[1:])
    return found
