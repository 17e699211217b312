"""Rows of a channel that is being filled: kept by content, in pieces that a later run goes on from."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import LibraryDamaged
from simsearch.library.format.atomic_files import digest, load_array, naming_full_disk, remove_folder, save_array, sync
from simsearch.library.format.channel import Channel, Row
from simsearch.library.format.layout import REEMBED, require_folder
from simsearch.library.format.segment import ChannelRows

_CONTENT = 32  # bytes of the SHA-256 before those of a row
_PIECE = ".npy"


class ChannelDraft:
    """The rows that a channel has so far, by the SHA-256 of their image's bytes.

    Several rows of an image follow each other. A piece is an array (m, 32 + bytes of a row) uint8, named by its own
    SHA-256: one that is torn is made again.
    """

    def __init__(self, library: Path, channel: Channel) -> None:
        self._channel = channel
        self._library = library
        self._folder = library / REEMBED / f"{channel.fingerprint}-{channel.dtype}"
        self._pieces: list[NDArray[np.uint8]] = []
        self._places: dict[bytes, tuple[int, int, int]] = {}  # piece, first row, rows
        require_folder(self._folder.parent)
        require_folder(self._folder)
        for path in sorted(self._folder.glob(f"*{_PIECE}")):
            if not path.is_symlink() and digest(path) == path.stem:
                self._take(load_array(path, np.uint8), path)

    def __contains__(self, content: bytes) -> bool:
        return content in self._places

    def __len__(self) -> int:
        return len(self._places)

    def keep(self, contents: Sequence[bytes], rows: Sequence[Row]) -> None:
        """Keep rows, (d,) or (p, d) in the channel's dtype, of the contents of images.

        Raises:
            StorageFull: There is no room; what was kept before stays.
        """
        if not contents:
            return
        held = ChannelRows.of(rows, self._channel)
        keys = np.frombuffer(b"".join(contents), np.uint8).reshape(-1, _CONTENT)[held.item]
        piece = np.concatenate([keys, np.ascontiguousarray(held.row, self._channel.numpy_dtype).view(np.uint8)], axis=1)
        half = self._folder / f"{uuid.uuid4().hex}.half"
        with naming_full_disk(self._library):
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                save_array(half, piece)
                path = half.rename(half.with_name(f"{digest(half)}{_PIECE}"))
                sync(self._folder)
            finally:
                half.unlink(missing_ok=True)
        self._take(load_array(path, np.uint8), path)

    def rows(self, contents: Sequence[bytes]) -> list[Row]:
        """Return the rows of contents that it has, (p, d) each."""
        places = map(self._places.__getitem__, contents)
        return [
            np.ascontiguousarray(self._pieces[piece][first : first + count, _CONTENT:]).view(self._channel.numpy_dtype)
            for piece, first, count in places
        ]

    def discard(self) -> None:
        """Remove all that is kept on the disk."""
        remove_folder(self._folder)
        with suppress(OSError):  # other channels are being filled, or there is none
            self._folder.parent.rmdir()

    def _take(self, piece: NDArray[np.uint8], path: Path) -> None:
        width = _CONTENT + self._channel.dimension * self._channel.numpy_dtype.itemsize
        if piece.ndim != 2 or piece.shape[1] != width:
            raise LibraryDamaged(f"{path} holds no rows of {self._channel.model}; remove it")
        number = len(self._pieces)
        self._pieces.append(piece)
        keys = [key.tobytes() for key in piece[:, :_CONTENT]]
        for content, run in itertools.groupby(enumerate(keys), key=lambda pair: pair[1]):
            (first, _), *more = run
            self._places[content] = number, first, 1 + len(more)
