"""Files to rows: decoding runs ahead in its own processes, networks work on full batches, order is kept."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError, RejectCode
from simsearch.extract.extractor import Extractor, checked_rows
from simsearch.extract.parts import prepare_looks
from simsearch.images.source import Limits, Rejected, Source
from simsearch.images.workers.prepared import Prepared
from simsearch.runtime.cpu import default_workers

AHEAD = 2
"""Batches that wait decoded while one is in the network."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """One image's rows with the facts of its file.

    Attributes:
        source: Of the image.
        rows: Of each extractor, (d,) float32, or (b,) uint8 for packed bits; all of them, (p, d) or (p, b), of one that
            gives several an image. None when `known` said that its content has rows.
        sha256: 32 bytes, of the file's content.
        n_bytes: Size of the file.
        width: Pixels, upright.
        height: Pixels, upright.
        quality: 0 to 100; blank images are near 0.
        more: Whether the file holds further pages or frames, which are left out.
    """

    source: Source
    rows: tuple[NDArray[Any], ...] | None
    sha256: bytes
    n_bytes: int
    width: int
    height: int
    quality: int
    more: bool = False

    @property
    def row(self) -> NDArray[Any] | None:
        """The first extractor's row; None when `known` said that its content has one."""
        return None if self.rows is None else self.rows[0]


Item = Prepared | Rejected | Embedded
Rows = Callable[[], Sequence[NDArray[Any]] | NDArray[Any]]
Begun = tuple[list[Item], list[Rows]]


def embed_sources(
    extractor: Extractor | Sequence[Extractor],
    sources: Iterable[Source | Rejected],
    *,
    batch_size: int = 64,
    workers: int | None = None,
    limits: Limits | None = None,
    known: Callable[[bytes], bool] | None = None,
) -> Iterator[Embedded | Rejected]:
    """Yield one result an input, in the order of the inputs.

    Rows do not depend on the batch size or the number of workers beyond the dtype's rounding; with one batch size on
    one kind of device they do not depend on the images beside them, to the bit (`Extractor.least_batch`). At most a few
    batches wait in memory, however slow the reader of this iterator is.

    Args:
        extractor: Of the rows; of several each gives a row, and a file is read once for all of them.
        sources: As of `find`.
        batch_size: Images that go through the extractor at once.
        workers: Decoding processes; None is one a core, 0 decodes one file after the other in a process that stays
            warm.
        limits: Bounds on pixels, bytes and seconds an image.
        known: Told the SHA-256 of each decoded file (not of pictures from memory), says whether its content already
            has a row; called in another thread.

    Raises:
        InputError: Batch_size or workers is out of range.
        RowError: An extractor gave rows of another shape than it promises.
    """
    extractors = (extractor,) if isinstance(extractor, Extractor) else tuple(extractor)
    if batch_size < 1 or (workers is not None and workers < 0):
        raise InputError(f"batch_size {batch_size} must be at least 1 and workers {workers} at least 0")
    count = default_workers() if workers is None else workers

    def prepared(stop: Callable[[], bool]) -> Iterator[Prepared | Rejected]:
        return _prepared(extractors, sources, workers=count, limits=limits or Limits(), stop=stop)

    with closing(read_ahead(prepared, batch_size, known)) as batches:
        for begun in _begun(extractors, batches, batch_size):
            yield from _finish(extractors, *begun)


def read_ahead(
    prepared: Callable[[Callable[[], bool]], Iterator[Prepared | Rejected]],
    batch_size: int,
    known: Callable[[bytes], bool] | None = None,
) -> Generator[list[Item]]:
    """Yield inputs in batches, filled in a thread while the caller works on the one before.

    Args:
        prepared: Given what says that nobody waits for more, returns the inputs.
        batch_size: Images of a batch that have pixels.
        known: As of `embed_sources`.
    """
    stopped = threading.Event()
    reader = _Reader(prepared(stopped.is_set), batch_size, known, stopped)
    try:
        yield from reader
    finally:
        reader.stop()


def _prepared(
    extractors: Sequence[Extractor], sources: Iterable[Source | Rejected], **how: Any
) -> Iterator[Prepared | Rejected]:
    """Yield what an extractor prepares in its own way where it is alone, else the pixels of all."""
    if len(extractors) == 1 and not extractors[0].several:
        return extractors[0].prepare(sources, **how)
    return prepare_looks([(extractor, extractor.preprocessing) for extractor in extractors], sources, **how)


class _Reader:
    """A thread that fills batches from the decoders while the network works; its queue is bounded."""

    def __init__(
        self,
        prepared: Iterator[Prepared | Rejected],
        batch_size: int,
        known: Callable[[bytes], bool] | None,
        stopped: threading.Event,
    ) -> None:
        self._prepared = prepared
        self._batch_size = batch_size
        self._known = known
        self._queue: queue.Queue[list[Item] | BaseException | None] = queue.Queue(AHEAD)
        self._stopped = stopped
        self._thread = threading.Thread(target=self._run, name="simsearch-reader", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[list[Item]]:
        while (batch := self._queue.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch

    def stop(self) -> None:
        """End the thread and the decoders, also in mid-stream."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for batch in self._batches():
                if not self._put(batch):
                    break
            self._put(None)
        except BaseException as error:
            self._put(error)
        finally:
            close = getattr(self._prepared, "close", None)
            if close:
                close()

    def _put(self, batch: list[Item] | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(batch, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def _batches(self) -> Iterator[list[Item]]:
        """Cut where enough images wait to be embedded, or where very many do not (a re-run over known content)."""
        batch: list[Item] = []
        waiting = 0
        for item in self._prepared:
            if self._stopped.is_set():
                return
            result = self._without_row(item)
            batch.append(result)
            waiting += isinstance(result, Prepared)
            if waiting == self._batch_size or len(batch) == 16 * self._batch_size:
                yield batch
                batch, waiting = [], 0
        if batch:
            yield batch

    def _without_row(self, item: Prepared | Rejected) -> Item:
        # A picture from memory is gone by now, and could not be embedded after all.
        if isinstance(item, Prepared) and item.source.has_path and self._known and self._known(item.sha256):
            return embedded(item, None)
        return item


def _begun(extractors: Sequence[Extractor], batches: Iterable[list[Item]], batch_size: int) -> Iterator[Begun]:
    """Yield each batch with its pending rows; where devices are asynchronous the next batches are begun before."""
    ahead = max(extractor.works_ahead for extractor in extractors)
    begun: deque[Begun] = deque()
    for batch in batches:
        squares = [item.squares for item in batch if isinstance(item, Prepared)]
        pixels = list(zip(*squares, strict=True))
        rows = [_start(each, one, batch_size) for each, one in zip(extractors, pixels, strict=bool(pixels))]
        begun.append((batch, rows))
        if len(begun) > ahead:
            yield begun.popleft()
    yield from begun


def _start(extractor: Extractor, squares: Sequence[NDArray[Any]], batch_size: int) -> Rows:
    """Begin a batch, filled up where rows would else depend on how few images came last; return its pending rows.

    The rows of an extractor that gives several were made where pictures were decoded.
    """
    if extractor.several:
        return lambda: squares
    count, least = len(squares), extractor.least_batch(batch_size)
    if count >= least:
        return extractor.start(np.stack(squares))
    rows = extractor.start(np.stack([*squares, *[squares[-1]] * (least - count)]))
    return lambda: checked_rows(extractor, rows(), least)[:count]


def _finish(extractors: Sequence[Extractor], batch: list[Item], begun: Sequence[Rows]) -> Iterator[Embedded | Rejected]:
    count = sum(isinstance(item, Prepared) for item in batch)
    made = [
        rows() if each.several else checked_rows(each, np.asarray(rows()), count)
        for each, rows in zip(extractors, begun, strict=bool(begun))
    ]
    rows = zip(*made, strict=True)
    for item in batch:
        yield checked(item, next(rows), extractors) if isinstance(item, Prepared) else item


def checked(item: Prepared, rows: tuple[NDArray[Any], ...], extractors: Sequence[Extractor]) -> Embedded | Rejected:
    """Return an image with its rows, one an extractor, or rejected where one is of no use."""
    for row, extractor in zip(rows, extractors, strict=True):
        problem = row_problem(row, extractor)
        if problem is not None:
            return Rejected(item.source, *problem)
    return embedded(item, rows)


def row_problem(row: NDArray[Any], extractor: Extractor) -> tuple[RejectCode, str] | None:
    """Return why an extractor's row (d,), or its rows (p, d), are of no use; None where they are."""
    if not len(row):
        return RejectCode.NO_FEATURES, f"{extractor.name} gives no row of it"
    if row.dtype.kind == "f" and not np.isfinite(row).all():
        return RejectCode.NON_FINITE, f"{extractor.name} gave a row with NaN or infinity"
    if row.dtype.kind == "f" and not row.any():
        return RejectCode.ZERO_ROW, f"{extractor.name} gave a row of zeros, which has no direction"
    return None


def embedded(item: Prepared, rows: tuple[NDArray[Any], ...] | None) -> Embedded:
    """Return an image with its rows, or None for a content that has some."""
    return Embedded(item.source, rows, item.sha256, item.n_bytes, item.width, item.height, item.quality, item.more)
