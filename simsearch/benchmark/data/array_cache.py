"""A cache of named arrays on disk: one file an entry, written atomically, checked when read."""

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
from safetensors.numpy import load, save

Arrays = dict[str, NDArray[Any]]


def digest(*parts: Any) -> str:
    """Return the SHA-256, in hex, of JSON values.

    Example:
        >>> digest("a", 1) == digest("a", 1) != digest("a", 2)
        True
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ArrayCache:
    """A folder of entries; a damaged one counts as missing.

    Attributes:
        folder: Of the entries; created with the first one.
    """

    folder: Path

    def read(self, kind: str, key: str) -> Arrays | None:
        """Return the arrays of an entry, writable, or None."""
        try:
            data = self._path(kind, key).read_bytes()
        except OSError:
            return None
        seal, _, sealed = data.partition(b"\n")
        if hashlib.sha256(sealed).hexdigest().encode() != seal:
            return None
        narrowed, _, body = sealed.partition(b"\n")
        arrays = load(body)
        return {
            name: arrays[name].astype(np.float32 if was_float else arrays[name].dtype)
            for name, was_float in json.loads(narrowed).items()
        }

    def write(self, kind: str, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write an entry atomically: its SHA-256, which floats are stored as bytes, a safetensors file."""
        packed = {name: np.asarray(_smallest(array), order="C") for name, array in arrays.items()}
        narrowed = json.dumps({name: array.dtype != arrays[name].dtype for name, array in packed.items()})
        sealed = narrowed.encode() + b"\n" + save(packed)
        seal = hashlib.sha256(sealed).hexdigest().encode()
        path = self._path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=".part-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(seal + b"\n" + sealed)
            Path(part).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(part).unlink()
            raise

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / kind / key[:2] / key


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as bytes where its values are, as SIFT's descriptors: a quarter of the size."""
    if array.dtype == np.float32 and array.size:
        with np.errstate(invalid="ignore"):  # NaN is kept, as it is
            small = array.clip(0, 255).astype(np.uint8)
        if np.array_equal(small, array):
            return small
    return array
