"""What all pieces of an index share: the coarse quantiser, rotation and codebooks, trained once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from simsearch.distance import METRICS, Rows
from simsearch.errors import FingerprintMismatch, IndexFailed, InputError
from simsearch.library.format.atomic_files import HALF, digest, fault, naming_full_disk, read_file, sync
from simsearch.library.format.seal import sealed, unsealed
from simsearch.search.indexes.index import trained_on
from simsearch.search.indexes.spec import IndexSpec

FORMAT = 1
TRAINED, TOLD = "trained.faiss", "trained.json"
_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Training:
    """A trained index without rows, in a folder; its digest is what its pieces belong to.

    Attributes:
        folder: That holds it, its pieces, and what they are merged into.
        spec: Of the index.
        fingerprint: Of the model that made the rows.
        bytes: Of the file.
        digest: SHA-256 of the file, in hex.
    """

    folder: Path
    spec: IndexSpec
    fingerprint: str
    bytes: int
    digest: str

    @property
    def file(self) -> Path:
        """The trained index."""
        return self.folder / TRAINED


def train(folder: Path, spec: IndexSpec, blocks: Sequence[Rows], *, fingerprint: str, device: str = "auto") -> Training:
    """Train an index on some rows and keep it in a folder; one that is there is taken as it is.

    Args:
        folder: It is made if it is not there.
        spec: With lists, over rows of numbers; sizes are those of all rows that will come.
        blocks: Rows (n_i, d) to draw a sample from, which stand for all.
        fingerprint: Of the model that made them.
        device: Where to train; GPUs train lists where FAISS sees them.

    Raises:
        FingerprintMismatch: Another index was trained there, or for another model.
        InputError: The index has no lists to be merged.
        IndexFailed: FAISS cannot train it.
    """
    if not spec.lists or METRICS[spec.metric].of_codes:
        raise InputError(
            f"an index of kind {spec.kind} by {spec.metric} is not built in pieces: ask for one with lists"
        )
    if (folder / TOLD).exists():
        found = training_in(folder)
        _require_same(found, spec, fingerprint)
        return found
    folder.mkdir(parents=True, exist_ok=True)
    index = trained_on(spec, blocks, device=device)
    try:
        with whole(folder / TRAINED) as half:
            index.write(half)
    finally:
        index.close()
    made = Training(folder, spec, fingerprint, (folder / TRAINED).stat().st_size, digest(folder / TRAINED))
    fields = {"format": FORMAT, "spec": spec.as_json(), "fingerprint": fingerprint}
    write_told(folder / TOLD, {**fields, "bytes": made.bytes, "digest": made.digest})
    return made


def training_in(folder: Path) -> Training:
    """Return the training that a folder holds, its file checked.

    Raises:
        IndexFailed: There is none, or it is not what was written.
    """
    fields = read_told(folder / TOLD)
    try:
        spec = IndexSpec.of_json(fields["spec"])
        found = Training(folder, spec, str(fields["fingerprint"]), int(fields["bytes"]), str(fields["digest"]))
    except (KeyError, TypeError, ValueError) as error:
        raise IndexFailed(f"{folder / TOLD} describes no trained index: {error}; train in a new folder") from error
    if wrong := fault(found.file, found.bytes, found.digest, deep=True):
        raise IndexFailed(f"{wrong}; train in a new folder")
    return found


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a name of its own to write under, which then takes the place of a file: several processes may write one.

    Raises:
        StorageFull: The disk is full; nothing of it stays.
    """
    half = path.with_name(f"{path.name}-{uuid4().hex[:12]}{HALF}")
    try:
        with naming_full_disk(path.parent):
            yield half
            sync(half)
            half.rename(path)
            sync(path.parent)
    finally:
        half.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what processes that died had half written, a day after they did."""
    for half in folder.glob(f"*{HALF}"):
        if time.time() - half.stat().st_mtime > _A_DAY:
            half.unlink(missing_ok=True)


def write_told(path: Path, fields: dict[str, Any]) -> None:
    """Write a JSON file as a whole, with a digest over its fields."""
    with whole(path) as half:
        half.write_text(json.dumps(sealed(fields), indent=1) + "\n", encoding="utf-8")


def read_told(path: Path) -> dict[str, Any]:
    """Return the fields of a JSON file that `write_told` wrote.

    Raises:
        IndexFailed: There is none, or it is not what was written.
    """
    try:
        fields = unsealed(json.loads(read_file(path)))
    except (OSError, ValueError, RecursionError) as error:
        raise IndexFailed(f"{path} cannot be read: {error}") from error
    if fields.get("format") != FORMAT:
        raise IndexFailed(f"{path} is of another version of simsearch")
    return fields


def _require_same(found: Training, spec: IndexSpec, fingerprint: str) -> None:
    if found.spec != spec or found.fingerprint != fingerprint:
        raise FingerprintMismatch(
            f"{found.folder} holds an index trained as {found.spec} for {found.fingerprint[:16]}, not as {spec} for "
            f"{fingerprint[:16]}: pieces of two trainings are never merged; train in a new folder"
        )
