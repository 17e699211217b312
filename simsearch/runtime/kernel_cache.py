"""Compiled passes on disk, so that a process need not compile again what another has compiled.

They lie below the user's cache, in one folder for each state of the sources, of the compiler and of the processor.
What is read back is run, so the folder is used only where it is this user's and nobody else may write or read it; in
any other case, also on a full disk, passes are compiled in memory, as if there were no folder.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import stat
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from simsearch.runtime.files import PACKAGE, user_cache

_ROOMS = ("runtime", "search", "spatial")  # which hold what is compiled; a test says so
_STATES = 4  # folders of other sources, compilers or processors that stay: those used last
_LOADED, _LOADS = 1 / 32, 1 / 2  # of the time to compile: to read one; to read one and to import the compiler
_DIGEST = hashlib.sha256().digest_size
_met: Counter[tuple[object, ...]] = Counter()  # work of this process so far, by the label of its pass


class KernelCache:
    """Files of one state of the sources, by name; those that cannot be read or written count as missing."""

    def __init__(self, root: Path, state: str) -> None:
        """Create the folder, for this user alone, and remove the least recently used ones.

        Args:
            root: The folder of all states.
            state: Which one.
        """
        self.folder = root / state
        self._names: frozenset[str] = frozenset()
        if os.name != "posix":  # where modes and owners of files mean nothing
            return
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.utime(self.folder)
        with suppress(OSError), self._opened():
            self._names = frozenset(path.name for path in self.folder.iterdir())
            _prune(root, state)

    def holds(self, label: str) -> bool:
        """Return whether there is a pass of that label, as far as this process knows."""
        return any(name.startswith(f"{label}.") for name in self._names)

    def read(self, name: str) -> bytes | None:
        """Return the content under a name; None where it is missing, damaged, or not this user's."""
        with suppress(OSError), self._opened() as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # else a pipe of that name would block
            with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
                about = os.fstat(file.fileno())
                whole = file.read() if stat.S_ISREG(about.st_mode) and about.st_uid == os.getuid() else b""
            if hashlib.sha256(whole[_DIGEST:]).digest() == whole[:_DIGEST]:
                return whole[_DIGEST:]
        return None

    def write(self, name: str, data: bytes) -> None:
        """Write it atomically, whoever else writes it at the same time."""
        with suppress(OSError), self._opened() as folder:
            half = f"{os.getpid()}-{os.urandom(4).hex()}.half"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            try:
                with os.fdopen(os.open(half, flags, 0o600, dir_fd=folder), "wb") as file:
                    file.write(hashlib.sha256(data).digest() + data)
                os.replace(half, name, src_dir_fd=folder, dst_dir_fd=folder)
                self._names |= {name}
            except OSError:
                os.unlink(half, dir_fd=folder)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Return the folder as a descriptor, so that what is checked is what is used.

        Raises:
            OSError: There is none, or it is not this user's alone.
        """
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            about = os.fstat(folder)
            if about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o077:
                raise PermissionError(f"{self.folder} is not this user's alone")
            yield folder
        finally:
            os.close(folder)


@cache
def kept() -> KernelCache:
    """Return this process's cache; None where the user has no home, or the package no sources."""
    try:
        return KernelCache(user_cache() / "kernels", state_of(*(PACKAGE / room for room in _ROOMS)))
    except (OSError, RuntimeError, ImportError):
        return KernelCache(Path(os.devnull), "nothing")


def pays(met: float, compiling: float, *label: object) -> bool:
    """Return whether so much work is worth a compiled pass.

    Args:
        met: The work, in any unit.
        compiling: The work that takes as long as importing the compiler and compiling the pass.
        label: Of the pass, in parts; one that is on disk pays sooner.
    """
    loading = compiling * (_LOADED if "numba" in sys.modules else _LOADS)
    return met >= compiling or (met >= loading and kept().holds(named(*label)))


def pays_by_now(more: int, compiling: float, *label: object) -> bool:
    """Return whether so much more work, added to that of this process so far, is worth a compiled pass; see `pays`."""
    _met[label] += more
    return pays(_met[label], compiling, *label)


def named(*label: object) -> str:
    """Return the label of a pass from its parts: its name and specialisation.

    Example:
        >>> named("nearest", 3)
        'nearest-3'
    """
    return "-".join(map(str, label))


def state_of(*folders: Path) -> str:
    """Return a digest of all that compiled code depends on: source files in folders, versions, settings and processor.

    Raises:
        OSError: There are no source files to detect changes by.
        ImportError: The compiler is not installed.
    """
    digest = hashlib.sha256()
    for folder in folders:
        if not (paths := sorted(folder.rglob("*.py"))):
            raise FileNotFoundError(f"{folder} holds no sources")
        for path in paths:
            digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    versions = [sys.version, np.__version__, *map(version, ("numba", "llvmlite"))]
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_"))
    digest.update("\n".join([*versions, *settings, platform.platform(), *_processor()]).encode())
    return digest.hexdigest()[:24]


def _processor() -> list[str]:
    """Return Linux's description of the first processor."""
    kinds = re.compile("vendor|model|cpu family|stepping|flags|Features|CPU")
    with suppress(OSError):
        return [line for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines() if kinds.match(line)]
    return [platform.processor()]


def _prune(root: Path, state: str) -> None:
    others = sorted((path for path in root.iterdir() if path.name != state), key=_used, reverse=True)
    for path in others[_STATES:]:
        shutil.rmtree(path, ignore_errors=True)


def _used(path: Path) -> float:
    with suppress(OSError):
        return path.lstat().st_mtime
    return 0.0
