"""A folder of rows: what `simsearch embed` writes, in parts of bounded size."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from simsearch.errors import InputError
from simsearch.extract.embeddings.journal import REJECTED, Journal, PathDigest
from simsearch.extract.embeddings.parquet import write_items, write_npy, write_rejected, write_rows
from simsearch.extract.extractor import Extractor, require_one_row
from simsearch.extract.pipeline import Embedded
from simsearch.extract.runner import Runner
from simsearch.images.source import Found, Limits, Rejected, Source, source_of

Format = Literal["parquet", "npy"]
PART_ROWS = 65_536
PART_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class FolderReport:
    """The outcomes of every input; rows + rejected = inputs.

    Attributes:
        rows: Rows written.
        parts: Files of rows.
        rejected: Inputs without a row.
        codes: Those by their code.
    """

    rows: int
    parts: int
    rejected: int
    codes: Mapping[str, int]


def write_folder(
    extractor: Extractor,
    sources: Iterable[Source | Rejected],
    output: Path,
    *,
    form: Format = "parquet",
    batch_size: int = 64,
    workers: int | None = None,
    limits: Limits | None = None,
    part_rows: int = PART_ROWS,
    seconds: float = PART_SECONDS,
    share: bool = False,
    progress: Callable[[int], None] | None = None,
    runner: Runner | None = None,
) -> FolderReport:
    """Embed every source into `part-*` files and return the outcomes.

    Parts appear whole, in the order of the inputs; `rejected.parquet` comes last, so a folder that has it is complete.
    Interrupted in any way, the same call resumes behind the last part; after its end, the same call embeds inputs
    added since, into further parts. Each input has its row once, and one process at a time writes. Inputs
    are told apart by their paths: a file that changed meanwhile keeps its row.

    Args:
        extractor: Of the rows.
        sources: As of `find`; to resume, the same as before and maybe more.
        output: The folder: new, empty, or one of such a run.
        form: "parquet" (one file a part), or "npy" ((n, d) `part-*.npy` beside `part-*.items.parquet`).
        batch_size: Images embedded at once.
        workers: Decoding processes, as in `embed_sources`.
        limits: Bounds on the cost of one image.
        part_rows: Rows a part, at most.
        seconds: After which a part is written though it is not full.
        share: Whether `sources` are only some of the inputs: then those that are there must be among them.
        progress: Called with the number of inputs done.
        runner: Where inputs become rows; None is this process.

    Raises:
        InputError: The folder holds files and is none of such a run; it was begun in another form, or with other
            inputs; or the extractor gives several rows an image.
        FingerprintMismatch: It was begun with another model.
        OutputLocked: Another process writes to it.
    """
    require_one_row(extractor)
    runner = runner or Runner()
    with Journal(output, extractor, form) as journal:
        rest = _not_there(iter(sources), journal, output, share=share)
        parts = _Parts(extractor, output, form, journal, runner)
        try:
            how: dict[str, Any] = {"batch_size": batch_size, "workers": workers, "limits": limits}
            for result in runner.embed(lambda: (extractor,), rest, **how):
                parts.add(result, part_rows, seconds)
                if progress is not None:
                    progress(journal.inputs + parts.waiting)
        finally:
            parts.flush()
        rejected = journal.rejected()
        if not journal.finished:
            write_rejected(output / REJECTED, rejected)
            journal.end()
        codes = Counter(str(entry.code) for entry in rejected)
        return FolderReport(journal.rows, journal.parts, len(rejected), codes)


def _not_there(sources: Iterator[Found], journal: Journal, output: Path, *, share: bool) -> Iterator[Found]:
    """Yield the inputs that are in no part yet.

    As a rule they stand behind those that are; then nothing but digests is kept of these. Where they do not, some were
    added between them, and paths are compared.
    """
    for number, entry in enumerate(journal.entries):
        chunk = list(itertools.islice(sources, entry.inputs))
        names = PathDigest()
        for found in chunk:
            names.add(source_of(found))
        if names.hexdigest() != entry.digest:
            there = {path for later in range(number, len(journal.entries)) for path in journal.paths(later)}
            return _added(itertools.chain(chunk, sources), there, output, first=number == 0, share=share)
    return sources


def _added(sources: Iterator[Found], there: set[bytes], output: Path, *, first: bool, share: bool) -> Iterator[Found]:
    """Yield the inputs that are not among those that are there; some must be, else they are other inputs altogether."""
    waiting: list[Found] = []
    known = not first
    for found in sources:
        waiting.append(found)
        known |= source_of(found).path in there
        if known and not share:
            break
    paths = {source_of(found).path for found in waiting}
    if not known or (share and not there <= paths):
        why = " (--shard counts inputs by their place, and some were added or went)" if share else ""
        raise InputError(
            f"{output} was begun with other inputs than these{why}: give those again, or a new folder for these"
        )
    return (found for found in itertools.chain(waiting, sources) if source_of(found).path not in there)


class _Parts:
    """The buffered results of a part."""

    def __init__(self, extractor: Extractor, output: Path, form: Format, journal: Journal, runner: Runner) -> None:
        self._extractor = extractor
        self._output = output
        self._form = form
        self._journal = journal
        self._runner = runner
        self._began = time.monotonic()
        self._rows: list[Embedded] = []
        self._rejected: list[Rejected] = []
        self._names = PathDigest()

    @property
    def waiting(self) -> int:
        """Inputs that are not in a part yet."""
        return len(self._rows) + len(self._rejected)

    def add(self, result: Embedded | Rejected, part_rows: int, seconds: float) -> None:
        """Take a result; write a part if it is full, or has waited for long."""
        self._names.add(result.source)
        if isinstance(result, Rejected):
            self._rejected.append(result)
        else:
            self._rows.append(result)
        if len(self._rows) >= part_rows or time.monotonic() - self._began >= seconds:
            self.flush()

    def flush(self) -> None:
        """Write what waits, and then, in the journal, that it is there."""
        if not self.waiting:
            return
        rows, rejected, names = self._rows, self._rejected, self._names
        self._rows, self._rejected, self._names = [], [], PathDigest()
        if rows:
            self._write(self._output / f"part-{self._journal.parts:05d}", rows)
        self._journal.add(len(rows), rejected, names.hexdigest())
        self._runner.settled()
        self._began = time.monotonic()

    def _write(self, stem: Path, rows: list[Embedded]) -> None:
        identity = {"model": self._extractor.name, "fingerprint": self._extractor.fingerprint}
        if self._form == "npy":
            write_npy(stem.with_suffix(".npy"), [entry.row for entry in rows if entry.row is not None])
            write_items(stem.with_suffix(".items.parquet"), rows, **identity)
        else:
            write_rows(stem.with_suffix(".parquet"), rows, **identity, dimension=self._extractor.dimension)
