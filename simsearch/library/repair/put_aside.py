"""Putting a new manifest in place, and what it does not use aside, by renaming: nothing is lost."""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path

from simsearch.library.format.atomic_files import sync
from simsearch.library.format.layout import ASIDE, LOGS, MANIFEST, PARTIAL, SEGMENTS, is_segment_name, require_file
from simsearch.library.format.manifest import Manifest

_BESIDE = MANIFEST + PARTIAL
_ENDINGS = ("", *(log.removeprefix(MANIFEST) for log in LOGS))


def written_beside(folder: Path) -> Manifest:
    """Return the manifest to be written before `manifest_in_place`; remove the leftovers of an interrupted repair."""
    for ending in _ENDINGS:
        path = folder / f"{_BESIDE}{ending}"
        require_file(path)
        path.unlink(missing_ok=True)
    return Manifest(folder, _BESIDE)


def segment_aside(folder: Path, name: str) -> str:
    """Rename a segment so that no writer takes it for a dead one's, and return its new name."""
    path = folder / SEGMENTS / name
    given = name if is_segment_name(name) else hashlib.blake2b(os.fsencode(name), digest_size=16).hexdigest()
    if path.is_symlink() or not path.is_dir():
        return f"{SEGMENTS}/{name}"
    free = (path.with_name(f"{given}{ASIDE}") for given in _numbered(given))
    target = next(target for target in free if not os.path.lexists(target))
    path.rename(target)
    sync(path.parent)
    return f"{SEGMENTS}/{target.name}"


def _numbered(name: str) -> itertools.chain[str]:
    fresh = (hashlib.blake2b(f"{name} {i}".encode(), digest_size=16).hexdigest() for i in itertools.count(1))
    return itertools.chain([name], fresh)


def manifest_in_place(folder: Path) -> str | None:
    """Rename the old manifest with its logs, then the new one; return the new name of the old one."""
    sync(folder / _BESIDE)
    numbers = (f"{MANIFEST}{ASIDE}-{i}" for i in itertools.count(1))
    aside = next(name for name in numbers if not any(os.path.lexists(folder / f"{name}{end}") for end in _ENDINGS))
    kept = None
    for ending in _ENDINGS:  # a log beside another manifest would be replayed into it
        if (folder / f"{MANIFEST}{ending}").exists():
            (folder / f"{MANIFEST}{ending}").rename(folder / f"{aside}{ending}")
            kept = aside
    sync(folder)
    (folder / _BESIDE).rename(folder / MANIFEST)
    sync(folder)
    return kept
