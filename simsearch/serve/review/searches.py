"""Searches for duplicates, which take up to minutes: one at a time in a thread, with progress and an answer."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from simsearch.errors import InputError, SearchRunning, SimsearchError
from simsearch.library import Duplicates, Library
from simsearch.library.duplicates.search import DuplicateSearch
from simsearch.library.settings import AddSettings

State = Literal["running", "done", "failed", "stopped"]
KEPT = 4
"""Searches whose answers are kept."""
_LOG = logging.getLogger("simsearch.serve")


class _Stopped(Exception):
    """Somebody stopped the search."""


@dataclass(frozen=True, slots=True)
class DuplicatesAsked:
    """How duplicates are searched; each means what it means in `Library.duplicates`.

    Attributes:
        channel: Whose rows.
        metric: The distance.
        max_distance: Of a pair.
        max_false_pairs: Pairs of strangers to expect within the distance in all.
        views: Kinds of views in which each file is also compared.
        grouping: How groups are made.
        keep: Which file stays.
        exact: Whether all pairs are compared, also where there is an index.
        confirmed: Whether only the pairs are wanted that somebody confirmed.
    """

    channel: str | None = None
    metric: str | None = None
    max_distance: float | None = None
    max_false_pairs: float | None = None
    views: str = ""
    grouping: str = "pairs"
    keep: str = "best"
    exact: bool = False
    confirmed: bool = False

    def require_possible(self, library: Library, settings: AddSettings) -> None:
        """Require what can be told without a search.

        Raises:
            InputError: A value is none that there is.
        """
        channel = library.channel if self.channel is None else library.snapshot.channel(self.channel)
        how: dict[str, Any] = {"grouping": self.grouping, "keep": self.keep, "views": self.views or ()}
        DuplicateSearch(library, channel, self.metric, settings=settings, **how)
        if self.max_distance is not None and self.max_false_pairs is not None:
            raise InputError("a distance and a number of false pairs are two ways to say one thing: give one of them")


@dataclass(slots=True)
class Search:
    """A search, as far as it is.

    Attributes:
        number: By which it is asked for.
        asked: How.
        generation: The commit that it is of.
        state: Whether it runs, is done, failed or was stopped.
        compared: Contents that are compared.
        of: How many there are; 0 while that is not known.
        found: The answer, once it is done.
        error: Why it failed.
        seconds: That it took, or takes so far.
    """

    number: int
    asked: DuplicatesAsked
    generation: int
    state: State = "running"
    compared: int = 0
    of: int = 0
    found: Duplicates | None = None
    error: Exception | None = None
    _began: float = field(default_factory=time.monotonic)
    _ended: float | None = None
    _stop: bool = False
    _after: list[Callable[[Duplicates], None]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Seconds that it took, or takes so far."""
        return (time.monotonic() if self._ended is None else self._ended) - self._began

    def stop(self) -> None:
        """Have it end at its next step."""
        self._stop = True

    def advance(self, compared: int, of: int) -> None:
        """Note how far it is.

        Raises:
            _Stopped: Somebody stopped it.
        """
        self.compared, self.of = compared, of
        if self._stop:
            raise _Stopped

    def end(self, state: State) -> None:
        """Note that it ended; whoever sees the state sees the answer too."""
        self._ended = time.monotonic()
        self.state = state


class Searches:
    """The searches of a service: one runs, the answers of the last few are kept."""

    def __init__(self, settings: AddSettings, *, most: int) -> None:
        """Make it.

        Args:
            settings: Of reading images for their views.
            most: Pairs that one search holds.
        """
        self._settings, self._most = settings, most
        self._pool = ThreadPoolExecutor(1, "duplicates")
        self._lock = threading.Lock()
        self._searches: OrderedDict[int, Search] = OrderedDict()
        self._next = 1

    def start(
        self, asked: DuplicatesAsked, library: Library, *, done: Callable[[Duplicates], None] = lambda _found: None
    ) -> Search:
        """Begin a search and return it at once; one that runs already for the same question is returned as it is.

        Args:
            asked: How.
            library: At the commit that is searched.
            done: Called with the answer, in the search's thread, before it counts as done.

        Raises:
            InputError: A value is none that there is.
            SearchRunning: Another search runs.
        """
        asked.require_possible(library, self._settings)
        with self._lock:
            running = next((one for one in self._searches.values() if one.state == "running"), None)
            if running is not None and running.asked == asked:
                running._after.append(done)
                return running
            if running is not None:
                raise SearchRunning(f"search {running.number} for duplicates runs, and one runs at a time: wait for it")
            made = Search(self._next, asked, library.snapshot.state.generation, _after=[done])
            self._searches[made.number] = made
            self._next += 1
            while len(self._searches) > KEPT:
                self._searches.popitem(last=False)
        self._pool.submit(self._run, made, library)
        return made

    def get(self, number: int) -> Search:
        """Return a search by its number.

        Raises:
            InputError: There is none, or it is too long ago.
        """
        with self._lock:
            found = self._searches.get(number)
        if found is None:
            raise InputError(f"there is no search {number}: the last {KEPT} are kept; start it again")
        return found

    def forget(self, number: int) -> None:
        """Stop a search and let its answer go.

        Raises:
            InputError: There is none.
        """
        self.get(number).stop()
        with self._lock:
            if self._searches[number].state != "running":
                del self._searches[number]

    def close(self) -> None:
        """Stop what runs, and wait for its end."""
        with self._lock:
            for one in self._searches.values():
                one.stop()
        self._pool.shutdown(cancel_futures=True)

    def _run(self, made: Search, library: Library) -> None:
        how = {**asdict(made.asked), "views": made.asked.views or ()}
        try:
            found = library.duplicates(**how, max_pairs=self._most, settings=self._settings, progress=made.advance)
            while (after := self._next_step(made, found)) is not None:
                after(found)
        except _Stopped:
            made.end("stopped")
        except Exception as error:
            made.error = error
            made.end("failed")
            if not isinstance(error, SimsearchError):
                _LOG.exception("a defect, in a search for duplicates")

    def _next_step(self, made: Search, found: Duplicates) -> Callable[[Duplicates], None] | None:
        """Return what is still to be called with an answer; None, and the search counts as done, where nothing is."""
        with self._lock:
            if made._after:
                return made._after.pop(0)
            made.found, made.compared = found, made.of
            made.end("done")
            return None
