"""What an open library keeps between searches: its indexes, and on a GPU its rows."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsearch.errors import DependencyMissing, IndexFailed
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
        self._rows: dict[tuple[str, str], Block] = {}
        self.look()

    def look(self) -> None:
        """See which indexes there are now; those that are gone are let go of."""
        with self._lock:
            self._records = records(self._folder)
            there = {record.file for record in self._records}
            for file in set(self._open) - there:
                del self._open[file]

    def index(self, snapshot: Snapshot, channel: str, metric: str) -> Ready | None:
        """The newest index that covers only segments of the snapshot; None where there is none.

        One that cannot be opened is told by a warning, once, and not asked again.
        """
        for record in self._records:
            if (record.channel, record.metric) == (channel, metric) and record.fits(snapshot):
                with self._lock:
                    if record.file not in self._open:
                        self._open[record.file] = self._opened(record)
                    ready = self._open[record.file]
                if ready is not None:
                    return ready
        return None

    def failed(self, ready: Ready, error: IndexFailed) -> None:
        """Tell that an open index cannot be searched, and never ask it again."""
        with self._lock:
            self._open[ready.record.file] = None
        _warn(error)

    def blocks(self, snapshot: Snapshot, channel: str) -> list[Block]:
        """The rows of each segment: on a GPU as tensors that stay there, if they fit; else as they lie in the files."""
        arrays: list[Any] = [segment.channels[channel].row for segment in snapshot.segments]
        if not _is_gpu(self._device):
            return arrays
        with self._lock:
            return self._uploaded(snapshot, channel, arrays)

    def close(self) -> None:
        """Let go of everything."""
        with self._lock:
            for ready in self._open.values():
                if ready is not None:
                    ready.index.close()
            self._open, self._rows, self._records = {}, {}, ()

    def _opened(self, record: IndexRecord) -> Ready | None:
        try:
            return Ready(record, opened(self._folder, record))
        except (IndexFailed, DependencyMissing) as error:
            _warn(error)
            return None

    def _uploaded(self, snapshot: Snapshot, channel: str, arrays: list[Any]) -> list[Block]:
        import torch

        from simsearch.extract.device import choose_device
        from simsearch.search.scan import upload

        device = choose_device(self._device)
        keys = [(segment.uuid, channel) for segment in snapshot.segments]
        for key in set(self._rows) - set(keys):
            if key[1] == channel:
                del self._rows[key]
        missing = sum(a.nbytes for key, a in zip(keys, arrays, strict=True) if key not in self._rows)
        if missing > _SHARE * torch.cuda.mem_get_info(device)[0]:
            return arrays
        for key, array in zip(keys, arrays, strict=True):
            if key not in self._rows:
                self._rows[key] = upload(array, device)
        return [self._rows[key] for key in keys]


def _is_gpu(device: str) -> bool:
    if device == "cpu":
        return False
    from simsearch.extract.device import choose_device

    return choose_device(device).type == "cuda"


def _warn(error: Exception) -> None:
    warnings.warn(f"{error}; searching exactly", RuntimeWarning, stacklevel=2)
