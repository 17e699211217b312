"""Root and name of the paths in a file of rows, written as a library looks paths up, however the file writes them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simsearch.library.selection import absolute

_ODD = r"//|/\.|/$|^\.|::"  # what `absolute` may write otherwise; all else it leaves as it is

Located = tuple[bytes | None, bytes | None]


def folder_of(file: Path) -> bytes:
    """Return what relative paths in a file are relative to."""
    return absolute(os.fsencode(file.parent))


def located(paths: pa.Array, folder: bytes) -> list[Located]:
    """Return root and name of each path, None where there is none; the name is empty where the path is that of `/`."""
    found: list[Located] = [
        (None, None) if path is None else (b"/", path[1:]) if path.startswith(b"/") else (folder, path)
        for path in paths.to_pylist()
    ]
    odd = pc.match_substring_regex(paths, _ODD).fill_null(False).to_numpy(zero_copy_only=False)
    for i in np.flatnonzero(odd).tolist():
        found[i] = _located(paths[i].as_py(), folder)
    return found


def _located(path: bytes, folder: bytes) -> Located:
    whole = absolute(os.path.join(folder, path))  # noqa: PTH118
    inside = not path.startswith(b"/") and whole.startswith(folder.rstrip(b"/") + b"/")
    root = folder if inside else b"/"
    return root, whole[len(root.rstrip(b"/")) + 1 :]
