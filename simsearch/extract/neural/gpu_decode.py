"""Decoding and resizing where the network runs: nvJPEG on a GPU; what it cannot read goes to Pillow as ever."""

from __future__ import annotations

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from simsearch.errors import ImageRejected, InputError
from simsearch.extract.neural.resize import resize
from simsearch.images.decode import TURNS, TURNS_THAT_SWAP
from simsearch.images.formats.jpeg_header import JpegHeader, plain_jpeg
from simsearch.images.preprocess import Preprocessing
from simsearch.images.quality import quality
from simsearch.images.source import Limits, Rejected, Source, load_bytes
from simsearch.images.workers.pool import Pool, prepare_apart
from simsearch.images.workers.prepared import Prepared
from simsearch.images.workers.process import DecodeJob

_AT_ONCE = 64  # files that are read, then decoded, together
_BYTES_AT_ONCE = 64 << 20
_PIXELS_AT_ONCE = 1 << 27  # in one call of the decoder, so that its memory is bounded
_READERS = 8

T = TypeVar("T")
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Read:
    """One file's bytes, and what its header says where the device may decode it."""

    data: bytes
    header: JpegHeader
    sha256: bytes


_Batch = list[tuple[Source | Rejected, _Read | Rejected | None]]


class DeviceDecoder:
    """Turns plain JPEGs into the pixels of a network on its device, through torchcodec or, without it, torchvision.

    On a GPU that is nvJPEG, on a CPU libjpeg. A photograph is decoded whole, never at a reduced scale. A file that
    kills the decoder kills this process: the protection of decode workers is only had by what goes to Pillow.
    """

    def __init__(self, preprocessing: Preprocessing, device: torch.device) -> None:
        """Prepare the decoder.

        Raises:
            InputError: What is installed cannot decode JPEGs on this device.
        """
        self._preprocessing, self._device = preprocessing, device
        package, self._decode = _decoder()
        self.name = f"{package} {version(package)} on {device.type}"
        self._try()
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def _try(self) -> None:
        """Require that the device decodes at all: else every file would silently go to Pillow."""
        buffer = BytesIO()
        Image.new("RGB", (16, 16)).save(buffer, "JPEG")
        try:
            self._decode([_as_tensor(buffer.getvalue())], mode="RGB", device=self._device)
        except Exception as error:
            raise InputError(f"{self.name} cannot decode JPEGs: {error}; do without decoding on the device") from error

    def pixels(self, files: Sequence[bytes], limits: Limits | None = None) -> list[Pixels | None]:
        """Return the pixels (s, s, 3) of each encoded image; None for what Pillow must decode."""
        headers = [self._header(data, limits or Limits()) for data in files]
        plain = [(data, header) for data, header in zip(files, headers, strict=True) if header is not None]
        made = iter(self._decoded(plain))
        return [None if header is None else next(made) for header in headers]

    def prepare(
        self,
        sources: Iterable[Source | Rejected],
        *,
        workers: int,
        limits: Limits,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Prepared | Rejected]:
        """Yield each input prepared or rejected, in input order; arguments are those of `images.prepare`."""
        others = Pool((self._preprocessing,), limits, workers) if workers else None
        readers = ThreadPoolExecutor(_READERS, thread_name_prefix="simsearch-read")
        try:
            for batch in _read_ahead(sources, lambda source: self._read(source, limits), readers):
                if stop is not None and stop():
                    return
                for result in self._prepared(batch, limits, others):
                    if not isinstance(result, DecodeJob):
                        yield result
                    elif others is not None and others.wait(result, stop):
                        yield result.taken()
                    else:
                        return
        finally:
            readers.shutdown(wait=False, cancel_futures=True)
            if others is not None:
                others.close()

    def _read(self, source: Source, limits: Limits) -> _Read | Rejected | None:
        """Return the bytes of an input that the device may decode, why there are none, or None for Pillow."""
        if isinstance(source.given, tuple):
            return None
        try:
            data = load_bytes(source, limits.max_bytes)
        except ImageRejected as error:
            return Rejected(source.without_data(), error.code, error.message)
        except MemoryError:
            return None
        header = self._header(data, limits)
        return None if header is None else _Read(data, header, hashlib.sha256(data).digest())

    def _header(self, data: bytes, limits: Limits) -> JpegHeader | None:
        return plain_jpeg(data, limits, exif=self._preprocessing.exif, icc=self._preprocessing.icc)

    def _prepared(
        self, batch: _Batch, limits: Limits, others: Pool | None
    ) -> Iterator[Prepared | Rejected | DecodeJob]:
        """Yield for each input what is prepared or rejected, or the job of a worker that will be."""

        def by_pillow(source: Source) -> Prepared | Rejected | DecodeJob:
            return prepare_apart(source, (self._preprocessing,), limits) if others is None else others.submit(source)

        begun = deque(by_pillow(source) for source, read in batch if read is None and isinstance(source, Source))
        squares = iter(self._decoded([(read.data, read.header) for _, read in batch if isinstance(read, _Read)]))
        for source, read in batch:
            if isinstance(source, Rejected):
                yield source
            elif isinstance(read, Rejected):
                yield read
            elif isinstance(read, _Read):
                square = next(squares)
                yield by_pillow(source) if square is None else _made(source, read, square)
            else:
                yield begun.popleft()

    @torch.inference_mode()
    def _decoded(self, files: Sequence[tuple[bytes, JpegHeader]]) -> list[Pixels | None]:
        """Return the pixels of plain JPEGs; None where the device's decoder does not take one."""
        found: list[Pixels | None] = []
        with torch.cuda.stream(self._stream) if self._stream is not None else nullcontext():
            for part in _cut(files, lambda each: each[1].width * each[1].height, _PIXELS_AT_ONCE):
                pictures = self._pictures([data for data, _ in part])
                squares = [
                    None if picture is None else self._square(picture, header)
                    for picture, (_, header) in zip(pictures, part, strict=True)
                ]
                made = [square for square in squares if square is not None]
                there = iter(torch.stack(made).cpu().numpy() if made else ())
                found += [None if square is None else next(there) for square in squares]
        return found

    def _pictures(self, files: Sequence[bytes]) -> list[Tensor | None]:
        """Return decoded pictures (3, h, w); one that fails does not cost the others."""
        try:
            return list(self._decode([_as_tensor(data) for data in files], mode="RGB", device=self._device))
        except (RuntimeError, ValueError, MemoryError):  # also where the device's memory runs out
            return [None] if len(files) == 1 else [self._pictures([data])[0] for data in files]

    def _square(self, picture: Tensor, header: JpegHeader) -> Tensor | None:
        if picture.shape != (3, header.height, header.width):
            return None
        return resize(turned(picture, header.orientation), self._preprocessing)


def _as_tensor(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def turned(picture: Tensor, orientation: int) -> Tensor:
    """Return a picture (3, h, w) upright, by the number that EXIF gives its orientation."""
    if TURNS.get(orientation) in TURNS_THAT_SWAP:
        picture = picture.transpose(1, 2)
    flips = _FLIPS.get(orientation, ())
    return picture.flip(flips) if flips else picture


_FLIPS = {2: (2,), 3: (1, 2), 4: (1,), 6: (2,), 7: (1, 2), 8: (1,)}  # after a transposition, where there is one


def _decoder() -> tuple[str, Callable[..., list[Tensor]]]:
    """Return the decoder of JPEGs that is installed, and the package that it comes from."""
    try:
        from torchcodec.decoders import decode_jpeg
    except (ImportError, RuntimeError, OSError):  # older than 0.16, or made for another torch
        from torchvision.io import decode_jpeg

        warnings.filterwarnings("ignore", "The image decoding", DeprecationWarning)  # torchcodec will take its place
        return "torchvision", decode_jpeg
    return "torchcodec", decode_jpeg


def _made(source: Source, read: _Read, square: Pixels) -> Prepared:
    width, height = read.header.width, read.header.height
    if TURNS.get(read.header.orientation) in TURNS_THAT_SWAP:
        width, height = height, width
    return Prepared(source, (square,), read.sha256, len(read.data), width, height, quality(square))


def _read_ahead(
    sources: Iterable[Source | Rejected], read: Callable[[Source], _Read | Rejected | None], readers: Executor
) -> Iterator[_Batch]:
    """Yield inputs in batches with what was read of them; the next batch is read while one is worked on."""
    waiting: list[tuple[Source | Rejected, Future[Any] | None]] = []
    for batch in _cut(sources, lambda each: 0 if isinstance(each, Rejected) else each.size, _BYTES_AT_ONCE):
        begun = [(each, None if isinstance(each, Rejected) else readers.submit(read, each)) for each in batch]
        if waiting:
            yield [(each, None if future is None else future.result()) for each, future in waiting]
        waiting = begun
    yield [(each, None if future is None else future.result()) for each, future in waiting]


def _cut(items: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Yield the items in order, `_AT_ONCE` at most together, and of that size at most but for a single larger one."""
    part: list[T] = []
    total = 0
    for item in items:
        if part and (len(part) == _AT_ONCE or total + size(item) > most):
            yield part
            part, total = [], 0
        part.append(item)
        total += size(item)
    if part:
        yield part
