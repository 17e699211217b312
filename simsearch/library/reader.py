"""The reading half of a library: one commit, searched."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import LibraryError
from simsearch.extract.extractor import Extractor
from simsearch.library.channel import Channel
from simsearch.library.info import LibraryInfo
from simsearch.library.lazy import LazyExtractor
from simsearch.library.matches import Matches
from simsearch.library.neighbours import Found, SearchPlan, nearest
from simsearch.library.report import AddSettings
from simsearch.library.resident import Resident
from simsearch.library.selection import PathLike
from simsearch.library.snapshot import Snapshot, load_snapshot
from simsearch.library.together import Together
from simsearch.search.asked import checked_k, checked_limit


class Reader:
    """A library opened at one commit, which `refresh` moves to the newest; safe for threads.

    Indexes stay open between searches, rows stay on a GPU, and calls of several threads are answered together.

    Attributes:
        opened_in: Seconds that opening took; an index is opened by the first search that asks it, or by `prepare`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        extractor: Extractor | None = None,
        channel: str | None = None,
        device: str = "auto",
    ) -> None:
        self.path = Path(path)
        self.device = device
        began = time.perf_counter()
        self._snapshot: Snapshot | None = load_snapshot(self.path)
        self._resident = Resident(self.path, device)
        self._together = Together[SearchPlan, Found](lambda plan, rows: nearest(rows, plan))
        self.opened_in = time.perf_counter() - began
        self.channel = self.snapshot.channel(channel)
        self._extractor = LazyExtractor(self.channel, extractor, device)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """The number of items that are searched."""
        return len(self.snapshot)

    def close(self) -> None:
        """Let go of the files, once searches that are under way have ended."""
        self._together.close()
        self._resident.close()
        self._snapshot = None

    @property
    def snapshot(self) -> Snapshot:
        """The commit that this object sees.

        Raises:
            LibraryError: it was closed.
        """
        if self._snapshot is None:
            raise LibraryError(f"the library {self.path} was closed; open it again")
        return self._snapshot

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What the library's extractors are."""
        return self.snapshot.state.channels

    @property
    def extractor(self) -> Extractor:
        """What makes rows of images.

        Raises:
            FingerprintMismatch: the model of that name is not the one that made the rows.
        """
        return self._extractor.get()

    def refresh(self) -> None:
        """Move to the newest commit."""
        self._snapshot = load_snapshot(self.path, self.snapshot)
        self._resident.look()

    def prepare(self, metric: str | None = None) -> float:
        """Open what a search by that metric needs, index and rows on a GPU, and return how many seconds that took."""
        began = time.perf_counter()
        chosen = self.channel.choose_metric(metric)
        if self._resident.index(self.snapshot, self.channel.name, chosen) is None:
            self._resident.blocks(self.snapshot, self.channel.name)
        return time.perf_counter() - began

    def search(
        self,
        queries: Any = (),
        *,
        from_list: PathLike | None = None,
        k: int = 10,
        metric: str | None = None,
        max_distance: float | None = None,
        exact: bool = False,
        settings: AddSettings | None = None,
    ) -> Matches:
        """Return the k nearest items of every query, in the order of the queries.

        Exactly, unless `optimize` built an index for the metric: then what the index names is measured exactly, items
        that came later are searched in full, `certified` is false and `recall` tells what the index was measured to
        find.

        Args:
            queries: One image or several: paths (a folder or tar gives one query for each image in it), PIL images,
                arrays, tensors; or rows as a float array (q, d).
            from_list: A list of more paths.
            k: Matches a query.
            metric: The distance; by default the one that the model's card recommends. On bits of a quantiser
                `asymmetric` counts a bit by how surely the query has it, which ranks better; a query is embedded even
                if the library has its image, since only bits are kept.
            max_distance: Leave out what is farther.
            exact: Look at every row, also where there is an index.
            settings: How images are read; few are decoded in this process, many in processes of their own.

        Raises:
            InputError: a path does not exist, a value is no image, or k or max_distance is no such number. An image
                that cannot be used is no error: its entry says why in `rejected`.
            MetricError: the metric is not defined on these rows.
            LibraryDamaged: a stored row was damaged; it is named.
        """
        from simsearch.library.query import QueryEmbedder, answer, as_sequence

        if isinstance(queries, np.ndarray) and queries.dtype.kind == "f":
            return self.search_rows(queries, k=k, metric=metric, max_distance=max_distance, exact=exact)
        plan = self._plan(k, metric, max_distance, exact=exact)
        embedder = QueryEmbedder(plan, self.extractor, settings or AddSettings())
        return answer(embedder.embed(as_sequence(queries), from_list=from_list), plan, self._found)

    def search_rows(
        self,
        rows: NDArray[Any],
        *,
        k: int = 10,
        metric: str | None = None,
        max_distance: float | None = None,
        exact: bool = False,
    ) -> Matches:
        """Return the k nearest items of every row (q, d) or (d,) of the channel's model, as `search` does.

        Rows for the metric `asymmetric` are margins (q, bits), as `simsearch.extract.quantised.margins_of` embeds them.

        Raises:
            RowError: a row is NaN, infinite, zero-sum or of the wrong dimension; it is named.
            MetricError: the metric is not defined on these rows.
        """
        from simsearch.library.query import answer, queries_of

        plan = self._plan(k, metric, max_distance, exact=exact)
        return answer(queries_of(rows, plan), plan, self._found)

    def _found(self, rows: NDArray[Any], plan: SearchPlan) -> Sequence[Found]:
        return self._together(plan, rows)

    def _plan(self, k: int, metric: str | None, max_distance: float | None, *, exact: bool) -> SearchPlan:
        chosen, number = self.channel.choose_metric(metric), checked_k(k)
        limit = None if max_distance is None else checked_limit(max_distance)
        return SearchPlan(self.snapshot, self.channel, number, chosen, limit, self.device, exact, self._resident)

    def info(self) -> LibraryInfo:
        """Return what the library holds."""
        from simsearch.library.info import info

        return info(self.path, self.snapshot)

    def verify(self, deep: bool = False) -> list[str]:
        """Return what is wrong with the newest commit, one line each; `deep` reads every file whole."""
        from simsearch.library.verify import verify

        return verify(self.path, deep=deep, device=self.device)
