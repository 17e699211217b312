"""A folder of rows: what `simsearch embed` writes, in parts of bounded size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from simsearch.errors import InputError
from simsearch.extract.extractor import Extractor, require_one_row
from simsearch.extract.pipeline import Embedded, embed_sources
from simsearch.extract.rows_file import write_items, write_npy, write_rejected, write_rows
from simsearch.images.rejected import Rejected
from simsearch.images.source import Source

Format = Literal["parquet", "npy"]
REJECTED = "rejected.parquet"
PART_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class FolderReport:
    """What became of every input; rows + rejected = inputs.

    Attributes:
        rows: Rows written.
        parts: Files that they went into.
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
    part_rows: int = PART_ROWS,
    progress: Callable[[int], None] | None = None,
) -> FolderReport:
    """Embed every source into `part-*` files and return what became of them.

    Parts appear whole, in the order of the inputs; `rejected.parquet` comes last, so a folder that has it is complete.
    When the work is broken off, the rows that are there are written first.

    Args:
        extractor: Makes the rows.
        sources: What `find` gives.
        output: The folder, new or empty.
        form: "parquet" (one file a part), or "npy" ((n, d) `part-*.npy` beside `part-*.items.parquet`).
        batch_size: Images embedded at once.
        workers: Decoding processes, as in `embed_sources`.
        part_rows: Rows a part.
        progress: Told the number of inputs done.

    Raises:
        InputError: the folder holds files, or the extractor gives several rows an image.
    """
    require_one_row(extractor)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} is not an empty folder; give a new one, since rows are never mixed")
    output.mkdir(parents=True, exist_ok=True)
    parts = _Parts(extractor, output, form)
    rejected: list[Rejected] = []
    try:
        for result in embed_sources(extractor, sources, batch_size=batch_size, workers=workers):
            if isinstance(result, Rejected):
                rejected.append(result)
            else:
                parts.add(result, part_rows)
            if progress is not None:
                progress(parts.rows + len(rejected))
    finally:
        parts.flush()
    write_rejected(output / REJECTED, rejected)
    return FolderReport(parts.rows, parts.written, len(rejected), Counter(str(entry.code) for entry in rejected))


class _Parts:
    """The rows that wait to fill a part, and how many were written."""

    def __init__(self, extractor: Extractor, output: Path, form: Format) -> None:
        self._extractor = extractor
        self._output = output
        self._form = form
        self._waiting: list[Embedded] = []
        self.rows = 0
        self.written = 0

    def add(self, embedded: Embedded, part_rows: int) -> None:
        self._waiting.append(embedded)
        self.rows += 1
        if len(self._waiting) >= part_rows:
            self.flush()

    def flush(self) -> None:
        part, self._waiting = self._waiting, []
        if not part:
            return
        stem = self._output / f"part-{self.written:05d}"
        identity = {"model": self._extractor.name, "fingerprint": self._extractor.fingerprint}
        if self._form == "npy":
            write_npy(stem.with_suffix(".npy"), [entry.row for entry in part if entry.row is not None])
            write_items(stem.with_suffix(".items.parquet"), part, **identity)
        else:
            write_rows(stem.with_suffix(".parquet"), part, **identity, dimension=self._extractor.dimension)
        self.written += 1
