"""A piece of an index: the rows of some positions, coded by the one training; named by its content, adopted once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simsearch.distance import Rows
from simsearch.errors import FingerprintMismatch, IndexFailed, InputError
from simsearch.library.format.atomic_files import digest, fault
from simsearch.scale.pieces.training import FORMAT, Training, read_told, whole, write_told
from simsearch.search.indexes.faiss_pieces import FaissPiece
from simsearch.search.indexes.index import features, pieces

PIECES = "pieces"
_MOST = 1 << 62

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an index.

    Attributes:
        file: That holds it.
        first: Id of its first row; the others follow.
        rows: How many.
        content: What names its rows.
        bytes: Of the file.
        sha256: Of the file, in hex.
    """

    file: Path
    first: int
    rows: int
    content: str
    bytes: int
    sha256: str

    @property
    def end(self) -> int:
        """The id behind its last row."""
        return self.first + self.rows


def build_piece(
    training: Training,
    blocks: Sequence[Rows],
    *,
    first: int,
    content: str,
    progress: Progress = lambda _done, _of: None,
) -> Piece:
    """Code some rows by a training, and keep them as a piece; one of the same content that is there is taken.

    Pieces may be built by any number of processes and machines, in any order, each from a copy of the training.

    Args:
        training: Of all pieces.
        blocks: Rows (n_i, d), often memory-mapped.
        first: Id of the first row, in 64 bits; the others follow.
        content: What names these rows and changes when they do: as the SHA-256 of their file.
        progress: Called with rows coded, and rows.

    Raises:
        InputError: There are no rows, or the ids are none.
        IndexFailed: FAISS cannot code them.
    """
    count = sum(map(len, blocks))
    if not count or not 0 <= first < _MOST - count:
        raise InputError(f"a piece of {count} rows from id {first} on: give rows, and ids from 0")
    name = hashlib.sha256(f"{training.digest} {first} {count} {content}".encode()).hexdigest()[:32]
    path = training.folder / PIECES / f"{name}.faiss"
    told = path.with_suffix(".json")
    if told.exists():
        return _read(told, training)
    path.parent.mkdir(parents=True, exist_ok=True)
    piece = FaissPiece.of_trained(training.file, training.spec)
    try:
        for done, rows in pieces(blocks):
            piece.add_as(features(training.spec, rows), np.arange(done - len(rows), done) + first)
            progress(done, count)
        with whole(path) as half:
            piece.write(half)
    finally:
        piece.close()
    made = Piece(path, first, count, content, path.stat().st_size, digest(path))
    facts: dict[str, Any] = {"format": FORMAT, "training": training.digest, "first": first, "rows": count}
    write_told(told, {**facts, "content": content, "bytes": made.bytes, "sha256": made.sha256})
    return made


def pieces_of(training: Training) -> tuple[Piece, ...]:
    """Return the pieces of a training that are whole, by their ids; a file without its JSON was never finished.

    Raises:
        FingerprintMismatch: One is of another training.
        IndexFailed: One is not what was written.
    """
    found = [_read(told, training) for told in sorted((training.folder / PIECES).glob("*.json"))]
    return tuple(sorted(found, key=lambda piece: (piece.first, piece.rows)))


def _read(told: Path, training: Training) -> Piece:
    fields = read_told(told)
    if fields.get("training") != training.digest:
        raise FingerprintMismatch(
            f"{told} is of the training {str(fields.get('training'))[:16]}, and {training.folder} holds "
            f"{training.digest[:16]}: pieces of two trainings are never merged; build it again"
        )
    try:
        first, rows, size = (int(fields[name]) for name in ("first", "rows", "bytes"))
        piece = Piece(told.with_suffix(".faiss"), first, rows, str(fields["content"]), size, str(fields["sha256"]))
    except (KeyError, TypeError, ValueError) as error:
        raise IndexFailed(f"{told} describes no piece: {error}; remove it and build it again") from error
    if wrong := fault(piece.file, piece.bytes, piece.sha256, deep=True):
        raise IndexFailed(f"{wrong}; remove it with its JSON file and build the piece again")
    return piece
