"""The names in a library's folder that are ours: only they are read, written or swept, and never through a link."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from simsearch.errors import LibraryDamaged, LibraryExists, shown

MANIFEST = "manifest.sqlite"
LOGS = tuple(f"{MANIFEST}-{what}" for what in ("wal", "shm", "journal"))
LOCK = "writer.lock"
SEGMENTS = "segments"
INDEXES = "indexes"
CALIBRATIONS = "calibrations"
LISTS = "lists"
MODELS = "models"
REEMBED = "reembed"
"""Rows of channels that are being filled, until a commit makes them part of the library."""
ITEMS = "items.arrow"
PARTIAL = ".partial"
ASIDE = ".aside"
"""The suffix of what `repair` puts aside; only `remove --purge` removes such."""
_FOLDERS = (SEGMENTS, INDEXES, CALIBRATIONS, LISTS, MODELS, REEMBED)
_FILES = (MANIFEST, *LOGS, LOCK)
_SEGMENT = re.compile(rf"[0-9a-f]{{32}}(?:{re.escape(PARTIAL)})?")
_SEGMENT_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.(?:arrow|npy)(?:\.[A-Za-z0-9]+)?")
_METRIC = "js|cosine|l1|l2|hamming|asymmetric"
_INDEX = re.compile(rf"[A-Za-z0-9._-]+-(?:{_METRIC})-[0-9a-f]+\.(?:faiss|json)(?:\.half)?")
FUSED = "fused"
_CALIBRATION = re.compile(rf"(?:[A-Za-z0-9._-]+-(?:{_METRIC})|{FUSED})\.json(?:\.half)?")
_LIST = re.compile(rf"[A-Za-z0-9_-]+(?:\.arrow|\.seen\.json|\.rates\.json)(?:\.half)?|{re.escape(LOCK)}")
_KEPT = re.compile(rf"{re.escape(MANIFEST)}(?:{re.escape(ASIDE)}-[0-9]+|{re.escape(PARTIAL)})(?:-(?:wal|shm|journal))?")
_HOLDER = re.compile(rb"[0-9]{0,20} *")
_SQLITE = b"SQLite format 3\0"


def is_segment_name(name: str) -> bool:
    """Return whether a folder of that name in `segments` is one of ours."""
    return _SEGMENT.fullmatch(name) is not None


def holds_only_ours(segment: Path) -> bool:
    """Return whether a folder in `segments` holds only files of a segment."""
    return all(
        _SEGMENT_FILE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False) for entry in _entries(segment)
    )


def is_index_name(name: str) -> bool:
    """Return whether a file of that name in `indexes` is one of ours."""
    return _INDEX.fullmatch(name) is not None


def is_calibration_name(name: str) -> bool:
    """Return whether a file of that name in `calibrations` is one of ours."""
    return _CALIBRATION.fullmatch(name) is not None


def is_list_file(name: str) -> bool:
    """Return whether a file of that name in `lists` is one of ours."""
    return _LIST.fullmatch(name) is not None


def is_holder(content: bytes) -> bool:
    """Return whether this is the content of a lock of ours: the number of a process."""
    return _HOLDER.fullmatch(content) is not None


def require_folder(path: Path) -> None:
    """Refuse anything else in place of one of our folders; a missing one is fine.

    Raises:
        LibraryDamaged: It is a link, or no folder.
    """
    _require(path, stat.S_ISDIR, "a folder")


def require_file(path: Path) -> None:
    """Refuse anything else in place of one of our files; a missing one is fine.

    Raises:
        LibraryDamaged: It is a link, or no regular file.
    """
    _require(path, stat.S_ISREG, "a file")


def require_own(folder: Path) -> None:
    """Refuse links and the like within a library's folder; the folder itself may be or lie behind one.

    Raises:
        LibraryDamaged: One of our names is taken by something else.
    """
    for name in _FOLDERS:
        require_folder(folder / name)
    for name in _FILES:
        require_file(folder / name)


def require_alone(path: Path) -> None:
    """Refuse to write into a file with a second hard link, whose owner is unknown; a missing one is fine.

    Raises:
        LibraryDamaged: It has.
    """
    if os.path.lexists(path) and path.lstat().st_nlink > 1:
        raise LibraryDamaged(
            f"{path} has other names (hard links), which would change with it; put a copy in its place"
        )


def data_in(folder: Path) -> list[str]:
    """Return the names in `segments` and `indexes`, in order, of a library that was used."""
    found = [f"{SEGMENTS}/{entry.name}" for entry in _entries(folder / SEGMENTS) if _is_segment(entry)]
    return found + [f"{INDEXES}/{entry.name}" for entry in _entries(folder / INDEXES) if is_index_name(entry.name)]


def kept_aside(folder: Path) -> list[Path]:
    """Return the manifests and segments that `repair` put aside, and the leftovers of an interrupted one."""
    manifests = [folder / entry.name for entry in _entries(folder) if _KEPT.fullmatch(entry.name)]
    names = [entry.name for entry in _entries(folder / SEGMENTS) if entry.name.endswith(ASIDE)]
    segments = [folder / SEGMENTS / name for name in names if is_segment_name(name.removesuffix(ASIDE))]
    return [path for path in manifests + segments if not path.is_symlink()]


def require_free(folder: Path) -> None:
    """Refuse a folder that holds anything but the leftovers of an interrupted `create`.

    Raises:
        LibraryExists: Foreign files are there.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise LibraryExists(f"{shown(folder)} is there and is no folder; give a new one")
    for entry in _entries(folder):
        if not _is_half_made(folder, entry.name):
            raise LibraryExists(
                f"{shown(folder)} is no library and holds {shown(entry.name)!r}; give a new or an empty folder"
            )


def is_half_made(manifest: Path) -> bool:
    """Return whether nothing was written into a manifest yet, by its first bytes."""
    with manifest.open("rb") as file:
        return file.read(len(_SQLITE)) in {b"", _SQLITE}


def _is_half_made(folder: Path, name: str) -> bool:
    path = folder / name
    if path.is_symlink():
        return False
    if name == SEGMENTS:
        return path.is_dir() and not any(path.iterdir())
    if name == LOCK:
        return path.is_file() and path.stat().st_size <= 20 and is_holder(path.read_bytes())
    if name == MANIFEST:
        return path.is_file() and is_half_made(path)
    return name in LOGS and path.is_file() and (folder / MANIFEST).is_file()


def _is_segment(entry: os.DirEntry[str]) -> bool:
    if not entry.is_dir(follow_symlinks=False):
        return False
    return is_segment_name(entry.name) or (Path(entry.path) / ITEMS).is_file()


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    if folder.is_symlink() and folder.name in _FOLDERS:
        return []
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _require(path: Path, is_right: Callable[[int], bool], what: str) -> None:
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not is_right(mode):
        found = "a link" if stat.S_ISLNK(mode) else "something else"
        raise LibraryDamaged(f"{path} must be {what} and is {found}; nothing was read or written through it")
