"""Finished parts on disk: named arrays, one file a part, written whole, checked before they are believed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def digest(*parts: Any) -> str:
    """SHA-256, in hex, of JSON values.

    Example:
        >>> digest("a", 1) == digest("a", 1) != digest("a", 2)
        True
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of parts. A part that is damaged counts as not there, so that it is made again.

    Attributes:
        folder: Where they are; it is made with the first part.
    """

    folder: Path

    def read(self, kind: str, key: str) -> Arrays | None:
        """The arrays of a part, or None."""
        try:
            data = self._path(kind, key).read_bytes()
        except OSError:
            return None
        head, _, body = data.partition(b"\n")
        try:
            facts = json.loads(head)
            if hashlib.sha256(body).hexdigest() != facts["sha256"]:
                return None
            return dict(_unpacked(facts["arrays"], body))
        except (ValueError, KeyError, TypeError):
            return None

    def write(self, kind: str, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write a part, whole or not at all."""
        packed = {name: _smallest(array) for name, array in arrays.items()}
        body = b"".join(np.ascontiguousarray(array).tobytes() for array in packed.values())
        facts = [
            [name, stored.dtype.str, list(stored.shape), arrays[name].dtype.str] for name, stored in packed.items()
        ]
        head = json.dumps({"sha256": hashlib.sha256(body).hexdigest(), "arrays": facts}).encode()
        path = self._path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=".part-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(head + b"\n" + body)
            Path(part).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(part).unlink()
            raise

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / kind / key[:2] / key


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    """SIFT's float descriptors are whole numbers below 256: a quarter of the bytes holds them."""
    if array.dtype == np.float32 and array.size:
        with np.errstate(invalid="ignore"):  # NaN is kept, as it is
            small = array.clip(0, 255).astype(np.uint8)
        if np.array_equal(small, array):
            return small
    return array


def _unpacked(facts: list[Any], body: bytes) -> list[tuple[str, NDArray[Any]]]:
    out, at = [], 0
    for name, stored, shape, dtype in facts:
        n_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(stored).itemsize
        array = np.frombuffer(bytearray(body[at : at + n_bytes]), stored).reshape(shape)  # aligned, may be written to
        out.append((name, array.astype(dtype, copy=False)))
        at += n_bytes
    return out
