"""A library of images on disk: the face of this room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import LibraryError
from simsearch.extract.extractor import Extractor
from simsearch.library.channel import DEFAULT_DTYPE, Channel, channel_of
from simsearch.library.create import make_library, same_channel
from simsearch.library.info import LibraryInfo
from simsearch.library.intake import Intake
from simsearch.library.matches import Matches
from simsearch.library.report import AddReport, AddSettings, Progress
from simsearch.library.selection import PathLike, as_paths
from simsearch.library.snapshot import Snapshot, load_snapshot
from simsearch.library.storage import OnStep, naming_full_disk, nothing
from simsearch.library.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

Tell = Callable[[Progress], None]


class Library:
    """Images and their rows in a folder; opened at one commit, which `refresh` moves to the newest.

    Make one with `Library.create` or `Library.open`. Searching is safe from several threads; one process at a time
    writes, and readers never wait for it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        extractor: Extractor | None = None,
        channel: str | None = None,
        device: str = "auto",
        on_step: OnStep = nothing,
    ) -> None:
        self.path = Path(path)
        self.device = device
        self._on_step = on_step
        self._snapshot: Snapshot | None = load_snapshot(self.path)
        self.channel = self.snapshot.channel(channel)
        self._loading = threading.Lock()
        self._extractor = extractor
        if extractor is not None:
            self.channel.require(extractor.fingerprint, f"extractor {extractor.name!r}")

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        model: str | Path | Extractor = "mini",
        dtype: str | None = None,
        device: str = "auto",
        on_step: OnStep = nothing,
    ) -> Library:
        """Return the library in a folder, made if there is none.

        Args:
            path: The folder, which need not exist.
            model: What makes its rows: a name, a model folder, `module:Class`, or an extractor.
            dtype: How rows are kept, float16 (the default) or float32; packed bits are always kept as bits.
            device: Where rows are made and searched.
            on_step: Told of every step of a write; for tests.

        Raises:
            LibraryExists: there is one of another model or dtype, or the folder holds other files.
            ModelNotFound: there is no such model.
        """
        folder = Path(path)
        extractor, name = _model(model, device)
        wanted = channel_of(extractor, model=name, dtype=dtype or DEFAULT_DTYPE)
        make_library(folder, wanted, extractor)
        channel = same_channel(folder, wanted, any_dtype=dtype is None)
        return cls(folder, extractor=extractor, channel=channel.name, device=device, on_step=on_step)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        extractor: Extractor | None = None,
        channel: str | None = None,
        device: str = "auto",
        on_step: OnStep = nothing,
    ) -> Library:
        """Return the library in a folder at its newest commit.

        Args:
            path: The folder.
            extractor: What makes rows of images; by default the channel's model, loaded when it is needed.
            channel: Whose rows are searched; by default the first channel's.
            device: Where rows are made and searched.
            on_step: Told of every step of a write; for tests.

        Raises:
            LibraryNotFound: there is none.
            LibraryDamaged: a file does not hold what the manifest says.
            FingerprintMismatch: the extractor is not the one that made the rows.
            InputError: there is no such channel.
        """
        return cls(path, extractor=extractor, channel=channel, device=device, on_step=on_step)

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
        """Let go of the files and the extractor."""
        self._snapshot = None
        self._extractor = None

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
        with self._loading:
            if self._extractor is None:
                from simsearch.extract.load import load_extractor

                extractor = load_extractor(self.channel.model, device=self.device)
                self.channel.require(extractor.fingerprint, f"model {self.channel.model!r}")
                self._extractor = extractor
            return self._extractor

    def refresh(self) -> None:
        """Move to the newest commit."""
        self._snapshot = load_snapshot(self.path, self.snapshot)

    def add(
        self,
        paths: PathLike | Iterable[PathLike] = (),
        *,
        from_list: PathLike | None = None,
        settings: AddSettings | None = None,
        prune: bool = False,
        rescan: bool = False,
        progress: Tell | None = None,
    ) -> AddReport:
        """Return what became of every image under `paths`; when it returns, all of it is on disk.

        Files of the same path, size and time are not read again; known contents are copied, not embedded.

        Args:
            paths: Files, folders, tars.
            from_list: A list of more, see `simsearch.images.find`.
            settings: How inputs are read and how often they are committed.
            prune: Remove items in the folders and tars among `paths` that are no longer there.
            rescan: Read also what seems unchanged.
            progress: Told how far it is; maybe from another thread, never twice at once.

        Raises:
            InputError: a path does not exist; nothing was done.
            LibraryLocked: another process is writing.
            StorageFull: the disk is full; what was committed is kept.
        """
        from simsearch.images.find import find
        from simsearch.library.add import add

        given = as_paths(paths)
        sources = find(given, from_list=from_list)
        with self._intake(settings or AddSettings(), self.extractor.runtime(), progress) as intake:
            pruned = given if prune else ()
            return add(intake, self.extractor, sources, settings=settings or AddSettings(), rescan=rescan, prune=pruned)

    def add_rows(
        self,
        path: str | Path,
        *,
        settings: AddSettings | None = None,
        progress: Tell | None = None,
    ) -> AddReport:
        """Return what became of every row of a Parquet file that `simsearch embed` wrote.

        Raises:
            FingerprintMismatch: another model made the rows.
            RowError: a row is NaN, infinite, zero-sum or of the wrong dimension; it is named and nothing was done.
        """
        from simsearch.library.add_rows import add_rows, check_rows_file

        check_rows_file(Path(path), self.channel)
        with self._intake(settings or AddSettings(), {}, progress) as intake:
            add_rows(intake, Path(path))
            return intake.report

    def search(
        self,
        queries: Any = (),
        *,
        from_list: PathLike | None = None,
        k: int = 10,
        metric: str | None = None,
        max_distance: float | None = None,
        settings: AddSettings | None = None,
    ) -> Matches:
        """Return the k nearest items of every query, exactly, in the order of the queries.

        Args:
            queries: One image or several: paths (a folder or tar gives one query for each image in it), PIL images,
                arrays, tensors; or rows as a float array (q, d).
            from_list: A list of more paths.
            k: Matches a query.
            metric: The distance; by default the one that the model's card recommends.
            max_distance: Leave out what is farther.
            settings: How images are read; few are decoded in this process, many in processes of their own.

        Raises:
            InputError: a path does not exist or a value is no image. An image that cannot be used is no error: its
                entry says why in `rejected`.
            MetricError: the metric is not defined on these rows.
        """
        from simsearch.library.query import QueryEmbedder, answer, as_sequence

        if isinstance(queries, np.ndarray) and queries.dtype.kind == "f":
            return self.search_rows(queries, k=k, metric=metric, max_distance=max_distance)
        snapshot, chosen = self.snapshot, self.channel.choose_metric(metric)
        embedder = QueryEmbedder(snapshot, self.channel, self.extractor, settings or AddSettings())
        asked = embedder.embed(as_sequence(queries), from_list=from_list)
        return answer(snapshot, self.channel, asked, k=k, metric=chosen, max_distance=max_distance, device=self.device)

    def search_rows(
        self, rows: NDArray[Any], *, k: int = 10, metric: str | None = None, max_distance: float | None = None
    ) -> Matches:
        """Return the k nearest items of every row, exactly.

        Args:
            rows: (q, d) or (d,), of the channel's model.
            k: Matches a row.
            metric: The distance; by default the one that the model's card recommends.
            max_distance: Leave out what is farther.

        Raises:
            RowError: a row is NaN, infinite, zero-sum or of the wrong dimension; it is named.
            MetricError: the metric is not defined on these rows.
        """
        from simsearch.library.query import answer, queries_of

        chosen = self.channel.choose_metric(metric)
        asked = queries_of(rows, self.channel, chosen)
        return answer(
            self.snapshot, self.channel, asked, k=k, metric=chosen, max_distance=max_distance, device=self.device
        )

    def remove(self, paths: PathLike | Iterable[PathLike], *, purge: bool = False) -> int:
        """Return how many items were removed.

        Args:
            paths: Files, folders (all below), tars, members (`shard.tar::member`), or `id:N`.
            purge: Also rewrite the files at once, so that nothing of what was removed stays on disk.

        Raises:
            InputError: the library has no such item; nothing was removed.
        """
        from simsearch.library.merge import purge as rewrite
        from simsearch.library.remove import remove

        with self._writing() as writer:
            count = remove(writer, as_paths(paths))
            if purge:
                rewrite(writer)
            return count

    def adopt(self, segment: str | Path) -> AddReport:
        """Take over a segment that a worker wrote with `write_segment`, and return what became of its items."""
        from simsearch.library.adopt import adopt

        with self._writing() as writer, naming_full_disk(self.path):
            return adopt(writer, Path(segment))

    def optimize(self) -> None:
        """Merge segments and drop what was removed; ids stay."""
        from simsearch.library.merge import optimize

        with self._writing() as writer:
            optimize(writer)

    def info(self) -> LibraryInfo:
        """Return what the library holds."""
        from simsearch.library.info import info

        return info(self.path, self.snapshot)

    def verify(self, deep: bool = False) -> list[str]:
        """Return what is wrong with the newest commit, one line each; `deep` reads every file whole."""
        from simsearch.library.verify import verify

        return verify(self.path, deep=deep, device=self.device)

    @contextmanager
    def _writing(self) -> Iterator[Writer]:
        with Writer(self.path, previous=self.snapshot, on_step=self._on_step) as writer:
            try:
                yield writer
            finally:
                self._snapshot = writer.snapshot

    @contextmanager
    def _intake(self, settings: AddSettings, runtime: dict[str, str], progress: Tell | None) -> Iterator[Intake]:
        if len(self.channels) > 1:
            names = ", ".join(channel.name for channel in self.channels)
            raise LibraryError(f"{self.path} has channels {names}; items with a row for each of them come by `adopt`")
        with self._writing() as writer:
            yield Intake(writer, self.channel, settings=settings, runtime=runtime, progress=progress)


def _model(model: str | Path | Extractor, device: str) -> tuple[Extractor, str]:
    """An extractor, and the name under which a later session finds it."""
    if isinstance(model, Extractor):
        return model, model.name
    from simsearch.extract.load import load_extractor

    name = str(Path(model).absolute()) if "/" in str(model) else str(model)
    return load_extractor(model, device=device), name
