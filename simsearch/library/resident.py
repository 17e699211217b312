"""What an open library keeps between searches: its indexes, and on a GPU its rows."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsearch.errors import DependencyMissing, IndexFailed
from simsearch.extract.device import type_of
from simsearch.library.index_record import IndexRecord
from simsearch.library.indexes import opened, records
from simsearch.library.snapshot import Snapshot

if TYPE_CHECKING:
    from simsearch.search.index import Index
    from simsearch.search.scan import Block

_SHARE = 0.5  # of a GPU's free memory that a library's rows may take


@dataclass(frozen=True, slots=True)
class Ready:
    """An index that is open.

    Attributes:
        record: What the library says of it.
        index: To be asked.
    """

    record: IndexRecord
    index: Index


class Resident:
    """Indexes and rows that stay open while the library is; safe for threads."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        self._device = device
        self._lock = threading.Lock()
        self._records: tuple[IndexRecord, ...] = ()
        self._open: dict[str, Ready | None] = {}
        self._failed_on_gpu = set[str]()
        self._rows: dict[tuple[str, str], Block] = {}
        self.look()

    def look(self) -> None:
        """See which indexes there are now; those that are gone are let go of."""
        with self._lock:
            self._records = records(self._folder)
            there = {record.file for record in self._records}
            gone = [self._open.pop(file) for file in set(self._open) - there]
        _close(gone)

    def index(self, snapshot: Snapshot, channel: str, metric: str) -> Ready | None:
        """The newest index that covers only segments of the snapshot; None where there is none.

        On GPUs where the library is and they can serve it. What is searched in another way than it might be is told by
        a warning, once.
        """
        for record in self._records:
            if (record.channel, record.metric) == (channel, metric) and record.fits(snapshot):
                with self._lock:
                    if record not in self._records:  # let go of meanwhile, by another thread
                        continue
                    if record.file not in self._open:
                        self._open[record.file] = self._opened(record)
                    ready = self._open[record.file]
                if ready is not None:
                    return ready
        return None

    def failed(self, ready: Ready, error: IndexFailed) -> None:
        """Tell that an open index cannot be searched: one on a GPU is opened on the CPU, another never asked again.

        Searches of it that are under way are answered first.
        """
        file = ready.record.file
        with self._lock:
            if self._open.get(file) is not ready:  # another search has told it, or it was closed
                return
            if ready.index.on == "cpu":
                self._open[file] = None
                _warn(f"{error}; searching exactly")
            else:
                self._failed_on_gpu.add(file)
                del self._open[file]
                _warn(f"{error}; searching on the CPU")
        _close([ready])

    def blocks(self, snapshot: Snapshot, channel: str) -> list[Block]:
        """The rows of each segment: on a GPU as tensors that stay there, if they fit; else as they lie in the files."""
        arrays: list[Any] = [segment.channels[channel].row for segment in snapshot.segments]
        if type_of(self._device) != "cuda":
            return arrays
        with self._lock:
            return self._uploaded(snapshot, channel, arrays)

    def close(self) -> None:
        """Let go of everything."""
        with self._lock:
            held = list(self._open.values())
            self._open, self._rows, self._records = {}, {}, ()
        _close(held)

    def _opened(self, record: IndexRecord) -> Ready | None:
        from simsearch.search.gpus import gpus_of, refused

        gpus = None if record.file in self._failed_on_gpu else gpus_of(self._device)
        chosen, why = record.curve.chosen, None
        if gpus is not None and chosen is not None:
            why = refused(record.spec, gpus, record.rows, effort=chosen.effort, depth=chosen.depth)
        try:
            if gpus is not None and why is None:
                try:
                    return Ready(record, opened(self._folder, record, gpus))
                except (IndexFailed, DependencyMissing) as error:
                    why = str(error)
            ready = Ready(record, opened(self._folder, record))
        except (IndexFailed, DependencyMissing) as error:
            _warn(f"{error}; searching exactly")
            return None
        if why is not None:
            _warn(f"the index {record.file} is searched on the CPU: {why}")
        return ready

    def _uploaded(self, snapshot: Snapshot, channel: str, arrays: list[Any]) -> list[Block]:
        from simsearch.extract.device import choose_device, free_memory
        from simsearch.search.scan import upload

        device = choose_device(self._device)
        keys = [(segment.uuid, channel) for segment in snapshot.segments]
        for key in set(self._rows) - set(keys):
            if key[1] == channel:
                del self._rows[key]
        missing = sum(a.nbytes for key, a in zip(keys, arrays, strict=True) if key not in self._rows)
        if missing > _SHARE * free_memory(device):
            return arrays
        for key, array in zip(keys, arrays, strict=True):
            if key not in self._rows:
                self._rows[key] = upload(array, device)
        return [self._rows[key] for key in keys]


def _close(held: Iterable[Ready | None]) -> None:
    for ready in held:
        if ready is not None:
            ready.index.close()


def _warn(what: str) -> None:
    warnings.warn(what, RuntimeWarning, stacklevel=2)
