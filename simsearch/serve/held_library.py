"""The library that a service owns: read by pools of threads, written by one, moved to new commits as they come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np

from simsearch.errors import ImageRejected, SimsearchError
from simsearch.library import ImageList, Library
from simsearch.library.format.layout import CALIBRATIONS, INDEXES, LISTS, LOGS, MANIFEST
from simsearch.library.lists.store import ENTRIES
from simsearch.library.read.thumbnails import LIMITS, SIDE, small_jpeg
from simsearch.serve.settings import ServeSettings

_LOG = logging.getLogger("simsearch.serve")
_Found = TypeVar("_Found")
_NO_PICTURE = b"\xff\xd8\xff"  # the beginning of a JPEG
_Stamp = tuple[tuple[int, int, int], ...]
_NO_FILE = (0, 0, 0)


class View:
    """A library at one commit, searched by each of its channels; what one request sees from its beginning to its end.

    Attributes:
        library: By its first channel.
        generation: Of the commit.
    """

    def __init__(self, library: Library) -> None:
        self.library = library.pinned()
        self.generation = self.library.snapshot.state.generation
        self._by_channel = {one.name: self.library.pinned(one.name) for one in self.library.channels}

    def by(self, channel: str | None) -> Library:
        """Return the library, searched by a channel, by default the one that it was opened with.

        Raises:
            InputError: There is no such channel.
        """
        chosen = self.library.channel.name if channel is None else self.library.snapshot.channel(channel).name
        return self._by_channel[chosen]


class HeldLists:
    """The lists of a library, each read from the disk once until it changes there; safe for threads."""

    def __init__(self) -> None:
        self._lists: dict[str, tuple[tuple[int, int, int], ImageList]] = {}

    def of(self, library: Library, names: Sequence[str] | None = None) -> list[ImageList]:
        """Return lists of these names, by default all, as they are now; they are not to be changed.

        Raises:
            InputError: There is none of a name.
            LibraryDamaged: A file of one is not what was written.
        """
        found = []
        for name in library.lists() if names is None else names:
            stamp = _file_stamp(library.path / LISTS / f"{name}{ENTRIES}")
            known = self._lists.get(name)
            if known is not None and known[0] == stamp and stamp != _NO_FILE:
                known[1].read_sightings()
                found.append(known[1])
                continue
            opened = library.list(name)
            self._lists[name] = (stamp, opened)
            found.append(opened)
        return found


class HeldLibrary:
    """A library that one process owns.

    Attributes:
        view: The newest commit that was taken up; a request takes it once.
        lists: Its block and allow lists.
        ready: Whether searches by the channels' metrics need nothing more, models included as far as they are here.
        problem: What could not be loaded; empty for nothing.
        failures: How often a newer commit could not be taken up, or not be made fast to search.
    """

    def __init__(self, library: Library, settings: ServeSettings) -> None:
        self._library = library
        self._settings = settings
        self._rows = ThreadPoolExecutor(settings.threads, "rows")
        self._images = ThreadPoolExecutor(settings.image_threads, "images")
        self._writer = ThreadPoolExecutor(1, "writer")
        self._preparer = ThreadPoolExecutor(
            1, "preparer"
        )  # tables of many codes take seconds, for which no write waits
        self._stamp = _stamp(library.path)
        self.lists = HeldLists()
        self.view = View(library)
        self.ready, self.problem, self.failures = False, "", 0

    async def ask(self, work: Callable[[View], _Found], *, images: bool = False) -> _Found:
        """Return what work finds in the newest commit; it runs in a thread, away from the event loop.

        Args:
            work: To be done.
            images: Whether it decodes pictures.
        """
        return await _run(self._images if images else self._rows, lambda: work(self.view))

    async def write(self, work: Callable[[Library], _Found]) -> tuple[_Found, View]:
        """Return what work returns that changes the library, and the library after it; one is done at a time.

        Raises:
            LibraryLocked: Another process is writing.
            StorageFull: The disk is full.
        """
        return await _run(self._writer, lambda: self._written(work))

    def refresh(self) -> bool:
        """Take up the newest commit, indexes and rates, and return whether there were newer ones."""
        stamp = _stamp(self._library.path)
        if stamp == self._stamp:
            return False
        self._library.refresh()
        self.view, self._stamp = View(self._library), stamp
        return True

    async def watch(self) -> None:
        """Refresh again and again, until it is cancelled; what fails is logged, and the older commit still answers."""
        while True:
            await asyncio.sleep(self._settings.poll_s)
            why = "a newer commit cannot be taken up"
            try:
                if await _run(self._writer, self.refresh):
                    why = "a newer commit is searched without what makes it fast"
                    await _run(self._preparer, self._prepare)
            except (SimsearchError, OSError) as error:
                self.failures += 1
                _LOG.warning("%s: %s", why, error)

    async def warm(self) -> None:
        """Make it ready; where a model is not here, for all but pictures."""
        try:
            await _run(self._preparer, self._prepare)
        except (SimsearchError, OSError) as error:
            self.problem = self._logged("not ready", error)
            return
        try:
            await _run(self._preparer, self._load)
        except (SimsearchError, OSError) as error:
            self.problem = self._logged("pictures cannot be searched", error)
        self.ready = True

    def close(self) -> None:
        """Close the library, once what is under way has ended."""
        for pool in (self._rows, self._images, self._writer, self._preparer):
            pool.shutdown()
        self._library.close()

    def _prepare(self) -> None:
        for channel in self._library.channels:
            self.view.by(channel.name).prepare()

    def _load(self) -> None:
        with suppress(ImageRejected):
            small_jpeg(_NO_PICTURE, side=SIDE, limits=LIMITS)  # starts a decoding process
        for channel in self._library.channels:
            self.view.by(channel.name).search(np.zeros((8, 8, 3), np.uint8), k=1, max_distance=0.0)  # few are read

    def _logged(self, what: str, error: Exception) -> str:
        _LOG.error("%s: %s", what, error)
        return f"{what}: {type(error).__name__}; the log says more"

    def _written(self, work: Callable[[Library], _Found]) -> tuple[_Found, View]:
        found = work(self._library)
        self.view = View(self._library)
        return found, self.view


async def _run(pool: Executor, work: Callable[[], _Found]) -> _Found:
    return await asyncio.get_running_loop().run_in_executor(pool, work)


def _stamp(folder: Path) -> _Stamp:
    """Return what changes whenever somebody commits, builds an index or calibrates."""
    return tuple(_file_stamp(folder / name) for name in (MANIFEST, *LOGS, INDEXES, CALIBRATIONS))


def _file_stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return _NO_FILE
    return status.st_mtime_ns, status.st_size, status.st_ino
