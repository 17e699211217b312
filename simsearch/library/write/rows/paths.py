"""Root and name of the paths in a file of rows, normalised as in a library."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from simsearch.library.format.items import join
from simsearch.library.select_items import absolute

_ODD = r"//|/\.|/$|^\.|::"  # paths that `absolute` may change
_TOP = b"/"


@dataclass(frozen=True, slots=True)
class Located:
    """The paths of some rows' images; None and null for those without one.

    Attributes:
        paths: The whole path of each.
        roots: The root of each.
        names: What follows the root, large_binary; empty where the path is that of `/`.
    """

    paths: Sequence[bytes | None]
    roots: Sequence[bytes | None]
    names: pa.Array


def folder_of(file: Path) -> bytes:
    """Return the folder to which relative paths in a file are relative."""
    return absolute(os.fsencode(file.parent))


def located(paths: pa.Array, folder: bytes) -> Located:
    """Return the absolute paths of images (large_binary); relative ones lie below an absolute folder."""
    given = paths.to_pylist()
    odd = pc.match_substring_regex(paths, _ODD)
    if not paths.null_count and not pc.any(odd).as_py() and pc.all(pc.starts_with(paths, "/")).as_py():
        return Located(given, [_TOP] * len(given), pc.binary_replace_slice(paths, 0, 1, ""))
    cells = zip(given, odd.to_pylist(), strict=True)
    pairs = [(None, None) if path is None else _pair(path, folder, odd=is_odd) for path, is_odd in cells]
    whole = [None if root is None or name is None else join(root, name) for root, name in pairs]
    return Located(whole, [root for root, _ in pairs], pa.array([name for _, name in pairs], pa.large_binary()))


def _pair(path: bytes, folder: bytes, *, odd: bool) -> tuple[bytes, bytes]:
    relative = not path.startswith(_TOP)
    if not odd:
        return (folder, path) if relative else (_TOP, path[1:])
    whole = absolute(os.path.join(folder, path))  # noqa: PTH118
    root = folder if relative and whole.startswith(join(folder, b"")) else _TOP
    return root, whole[len(join(root, b"")) :]
