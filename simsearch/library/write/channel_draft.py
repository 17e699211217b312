"""Rows of a channel that is being filled: kept by content, in pieces that a later run goes on from."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import LibraryDamaged
from simsearch.library.format.atomic_files import digest, load_array, naming_full_disk, remove_folder, save_array, sync
from simsearch.library.format.channel import Channel
from simsearch.library.format.layout import REEMBED, require_folder

_CONTENT = 32  # bytes of the SHA-256 before those of a row
_PIECE = ".npy"


class ChannelDraft:
    """The rows that a channel has so far, each by the SHA-256 of its image's bytes.

    A piece is an array (m, 32 + bytes of a row) uint8, named by its own SHA-256: one that is torn is made again.
    """

    def __init__(self, library: Path, channel: Channel) -> None:
        self._channel = channel
        self._library = library
        self._folder = library / REEMBED / f"{channel.fingerprint}-{channel.dtype}"
        self._pieces: list[NDArray[np.uint8]] = []
        self._places: dict[bytes, tuple[int, int]] = {}
        require_folder(self._folder.parent)
        require_folder(self._folder)
        for path in sorted(self._folder.glob(f"*{_PIECE}")):
            if not path.is_symlink() and digest(path) == path.stem:
                self._take(load_array(path, np.uint8), path)

    def __contains__(self, content: bytes) -> bool:
        return content in self._places

    def __len__(self) -> int:
        return len(self._places)

    def keep(self, contents: Sequence[bytes], rows: NDArray[Any]) -> None:
        """Keep rows (m, d), in the channel's dtype, of the contents of images.

        Raises:
            StorageFull: There is no room; what was kept before stays.
        """
        if not contents:
            return
        keys = np.frombuffer(b"".join(contents), np.uint8).reshape(-1, _CONTENT)
        piece = np.concatenate([keys, np.ascontiguousarray(rows).view(np.uint8)], axis=1)
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

    def rows(self, contents: Sequence[bytes]) -> NDArray[Any]:
        """Return the rows of contents that it has, (n, d)."""
        channel = self._channel
        rows = np.empty((len(contents), channel.dimension), channel.numpy_dtype)
        for i, content in enumerate(contents):
            piece, at = self._places[content]
            rows[i] = self._pieces[piece][at, _CONTENT:].view(channel.numpy_dtype)
        return rows

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
        self._places |= {key.tobytes(): (number, i) for i, key in enumerate(piece[:, :_CONTENT])}
