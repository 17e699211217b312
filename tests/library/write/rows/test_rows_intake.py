"""Rows of a file have the outcomes that they would have one after the other, whatever the batches and segments."""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simsearch.errors import RowError
from simsearch.extract.embeddings import parquet
from simsearch.library import AddReport, Library
from simsearch.library.format.channel import Channel, problem_of
from simsearch.library.format.items import Item
from simsearch.library.write.ingest import Intake
from simsearch.library.write.rows import add_rows, draft, new_rows
from simsearch.library.write.rows.add_rows import suspects
from simsearch.library.write.rows.new_rows import NewRows
from simsearch.library.write.rows.paths import located
from simsearch.library.write.writer import Writer
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, make

D = FakeExtractor.dimension
SPELLED = ("/z/{}.png", "/z/./{}.png", "//z/{}.png", "in/{}.png", "./in/{}.png", "in//{}.png", "../out{}.png", "/t::{}")


@dataclass(frozen=True)
class Given:
    """One row of a file, as whoever wrote it meant it."""

    path: bytes | None
    sha256: bytes | None
    size: tuple[int | None, ...]
    row: np.ndarray


def drawn(rng: np.random.Generator, count: int, *, paths: int, contents: int) -> list[Given]:
    """Rows among which paths and contents come again; a content may come with another row, which is not kept."""
    palette = rng.random((max(2, contents // 2), D), np.float32) + 0.01
    rows = []
    for _ in range(count):
        number = int(rng.integers(paths))
        path = None if rng.random() < 0.2 else str(rng.choice(SPELLED)).format(number).encode()
        if path is not None and rng.random() < 0.1:
            path = b"/\xff/" + path
        sha256 = None if rng.random() < 0.3 else bytes([int(rng.integers(contents))]) * 32
        size = tuple(None if rng.random() < 0.3 else int(rng.integers(101)) for _ in range(3))
        rows.append(Given(path, sha256, size, palette[rng.integers(len(palette))]))
    return rows


def all_new(rng: np.random.Generator, count: int) -> list[Given]:
    """Rows of which no path and no content comes again; some have none."""
    rows = drawn(rng, count, paths=1, contents=1)
    return [
        replace(
            given, path=given.path and given.path + rng.bytes(8).hex().encode(), sha256=given.sha256 and rng.bytes(32)
        )
        for given in rows
    ]


def write(file: Path, rows: list[Given], rng: np.random.Generator) -> Path:
    """Write rows as anybody might: each column in one of the types that are read."""
    texts: list[str | None] = [None] * len(rows)
    encoded: list[str | None] = [None] * len(rows)
    for i, given in enumerate(rows):
        if given.path is not None and (b"\xff" in given.path or rng.random() < 0.05):
            encoded[i] = base64.b64encode(given.path).decode()
        elif given.path is not None:
            texts[i] = given.path.decode()
    columns: dict[str, Any] = {"path": pa.array(texts, rng.choice([pa.string(), pa.large_string()]))}
    columns["path_b64"] = pa.array(encoded, pa.string())
    if rng.random() < 0.5:
        columns["sha256"] = pa.array([given.sha256 for given in rows], rng.choice([pa.binary(), pa.binary(32)]))
    else:
        cells = [given.sha256 and str(rng.choice([given.sha256.hex(), given.sha256.hex().upper()])) for given in rows]
        columns["sha256"] = pa.array(cells, pa.string())
    for i, name in enumerate(("width", "height", "quality")):
        kind = rng.choice([pa.int32(), pa.int64(), pa.uint8(), pa.float64()])
        columns[name] = pa.array([given.size[i] for given in rows]).cast(kind)
    kind = rng.choice([pa.list_(pa.float32(), D), pa.list_(pa.float32()), pa.large_list(pa.float64())])
    columns["embedding"] = pa.array([given.row.tolist() for given in rows], kind)
    kept = [name for name in columns if name == "embedding" or rng.random() < 0.95]
    told = {"model": "fake", "fingerprint": FakeExtractor.fingerprint}
    pq.write_table(pa.table(columns).select(kept).replace_schema_metadata(told), file, row_group_size=7)
    names = {"path": "path", "path_b64": "path", "sha256": "sha256"}
    for gone in set(columns) - set(kept):
        for i, given in enumerate(rows):
            if gone in names and not (gone == "path" and encoded[i]) and not (gone == "path_b64" and texts[i]):
                rows[i] = replace(rows[i], **{names[gone]: None})  # type: ignore[arg-type]
            elif gone not in names:
                at = ("width", "height", "quality").index(gone)
                rows[i] = replace(rows[i], size=tuple(None if j == at else s for j, s in enumerate(given.size)))
    return file


@dataclass
class KernelCache:
    """An item as the oracle holds it."""

    given: Given
    place: tuple[bytes, bytes]  # path and root, empty where there is none
    row: np.ndarray
    live: bool = True


class OneByOne:
    """The oracle: each row alone looks through all items that there are."""

    def __init__(self) -> None:
        self.items: list[KernelCache] = []

    def add(self, rows: list[Given], folder: Path) -> AddReport:
        counts = Counter(self._outcome(given, placed(given.path, os.fsencode(folder))) for given in rows)
        return AddReport(**counts)  # type: ignore[arg-type]

    def _outcome(self, given: Given, place: tuple[bytes, bytes]) -> str:
        live = [item for item in self.items if item.live]
        holders = [item for item in live if item.place[0] == place[0] != b""]
        row = given.row.astype(np.float16)
        for holder in holders:
            contents = {holder.given.sha256, given.sha256}
            if np.array_equal(holder.row, row) if contents == {None} else len(contents) == 1:
                return "unchanged"
        copies = [item for item in live if item.given.sha256 == given.sha256 is not None]
        if given.path is None and any(item.given.path is None for item in copies):
            return "unchanged"
        for holder in holders:
            holder.live = False
        self.items.append(KernelCache(given, place, copies[0].row if copies else row))
        return "replaced" if holders else "exact_copies" if copies else "added"

    def held(self) -> list[tuple[Any, ...]]:
        return [
            (i, *item.place, item.given.sha256 or bytes(32), item.given.size, item.row.tobytes())
            for i, item in enumerate(self.items)
            if item.live
        ]


def placed(path: bytes | None, folder: bytes) -> tuple[bytes, bytes]:
    """Path and root of what a file in a folder calls so."""
    if path is None:
        return b"", b""
    whole = b"/" + os.path.normpath(os.path.join(folder, path)).lstrip(b"/")  # noqa: PTH118
    return whole, folder if not path.startswith(b"/") and whole.startswith(folder + b"/") else b"/"


def held(library: Library) -> Iterator[tuple[Any, ...]]:
    """All that is told of each live item."""
    snapshot = library.snapshot
    for place, path in snapshot.paths():
        segment = snapshot.segments[place.segment]
        told = segment.items.slice(place.position, 1).to_pylist()[0]
        row = snapshot.row(place, library.channel.name)
        assert row is not None
        root = b"" if told["root"] is None else segment.roots[told["root"]]
        size = (told["width"], told["height"], told["quality"])
        unknown = {told[name] for name in ("bytes", "mtime_ns", "owner", "attributes")}
        assert unknown == {None}
        sha256 = segment.sha256[place.position].tobytes()
        assert sha256 == (told["sha256"] or bytes(32))
        yield snapshot.id(place), path or b"", root, sha256, size, row.tobytes()


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(s, marks=pytest.mark.slow) for s in range(6, 150))])
def test_rows_of_files_become_what_they_would_one_by_one(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(draft, "_MOST_ROWS", int(rng.integers(5, 60)))
    monkeypatch.setattr(parquet, "_ROWS_AT_ONCE", int(rng.integers(3, 20)))
    monkeypatch.setattr(new_rows, "_MOST_SEGMENTS", int(rng.integers(5)))
    library, oracle = make(tmp_path / "library"), OneByOne()
    for number in range(3):
        folder = tmp_path / f"given{int(rng.integers(2))}"
        folder.mkdir(exist_ok=True)
        rows = drawn(rng, int(rng.integers(1, 80)), paths=int(rng.integers(1, 60)), contents=int(rng.integers(1, 40)))
        rows = all_new(rng, int(rng.integers(60))) + rows
        file = write(folder / f"{number}.parquet", rows, rng)
        assert library.add_rows(file) == oracle.add(rows, folder)
        assert sorted(held(library)) == oracle.held()
        gone = rng.choice(library.snapshot.ids(), 2)
        library.remove([f"id:{item}" for item in gone])
        for item in gone:
            oracle.items[item].live = False
        if rng.random() < 0.3:
            library.optimize()
    assert library.verify(deep=True) == []


def test_rows_alone_become_what_the_oracle_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = drawn(rng, 40, paths=20, contents=12)
    library, oracle = make(tmp_path / "library"), OneByOne()
    with Writer(library.path) as writer:
        intake = Intake(writer, settings=replace(HERE, commit_every=1), runtime=lambda _: {})
        for given in rows:
            path, root = placed(given.path, b"/here")
            name = path[len(root.rstrip(b"/")) + 1 :] if path else None
            width, height, quality = given.size
            item = Item(root or None, name, given.sha256, width=width, height=height, quality=quality)
            assert intake.take(item, (given.row.astype(np.float16),))
        report = intake.report
    library.refresh()
    assert report == oracle.add(rows, Path("/here"))
    assert sorted(held(library)) == oracle.held()


def test_a_large_file_becomes_segments_of_their_final_size(tmp_path: Path, small_steps: None) -> None:
    library = make(tmp_path / "l")
    library.add_rows(written(tmp_path / "r.parquet", 450))
    sizes = [len(segment) for segment in library.snapshot.segments]
    assert sizes[:2] == [90, 90]
    assert len(sizes) == 5  # reading goes on within a row group, so that the first batch is smaller
    assert library.snapshot.state.generation == 3  # two are committed at once, and two, and the last


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 90 rows, batches of 30, and two segments that are written while the file is checked."""
    monkeypatch.setattr(draft, "_MOST_ROWS", 100)
    monkeypatch.setattr(parquet, "_ROWS_AT_ONCE", 30)
    monkeypatch.setattr(new_rows, "_MOST_SEGMENTS", 2)


def written(file: Path, count: int, *, wrong: int | None = None) -> Path:
    """A file of so many new rows of known contents, one of which may be NaN."""
    rng = np.random.default_rng(count)
    rows = [replace(given, sha256=rng.bytes(32)) for given in all_new(rng, count)]
    if wrong is not None:
        rows[wrong] = replace(rows[wrong], row=np.full(D, np.nan, np.float32))
    return write(file, rows, np.random.default_rng(1))


@pytest.mark.parametrize("at", [0, 29, 30, 100, 180, 300, 449])
def test_one_wrong_row_leaves_every_byte_as_it_was(tmp_path: Path, small_steps: None, at: int) -> None:
    library = make(tmp_path / "l")
    library.add_rows(written(tmp_path / "r.parquet", 20))

    def there() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted((tmp_path / "l").rglob("*")) if path.is_file()}

    before = there()
    with pytest.raises(RowError, match=f"row {at} of"):
        library.add_rows(written(tmp_path / "wrong.parquet", 450, wrong=at))
    assert there() == before
    assert len(library) == 20
    assert library.add_rows(written(tmp_path / "right.parquet", 450)).added == 450


def test_new_rows_are_decoded_once_and_others_from_the_first_that_may_not_be(
    tmp_path: Path, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []

    def noting(path: Path, *, start: int = 0) -> Iterator[Any]:
        starts.append(start)
        yield from parquet.read_rows(path, start=start)

    monkeypatch.setattr(add_rows, "read_rows", noting)
    library = make(tmp_path / "l")
    both = written(tmp_path / "both.parquet", 220)
    pq.write_table(pq.read_table(both).slice(70), tmp_path / "new.parquet")
    library.add_rows(tmp_path / "new.parquet")
    assert starts == [0]
    library.add_rows(tmp_path / "new.parquet")
    assert starts == [0, 0, 0]
    assert library.add_rows(both) == AddReport(added=70, unchanged=150)
    assert starts[3:] == [0, 60]


def test_segments_of_a_writer_that_died_before_it_committed_them_are_swept(tmp_path: Path, small_steps: None) -> None:
    library = make(tmp_path / "l")
    with Writer(library.path) as writer:
        new = NewRows(Intake(writer, settings=HERE, runtime=lambda _: {}))
        for batch in parquet.read_rows(written(tmp_path / "r.parquet", 170)):
            new.take(batch, located(batch.path, b"/here"))
        new._pool.shutdown()
    assert len(list((tmp_path / "l" / "segments").iterdir())) == 1
    again = make(tmp_path / "l")
    assert again.add_rows(tmp_path / "r.parquet") == AddReport(added=170)
    assert len(again.swept) == 1
    assert again.verify(deep=True) == []


def test_a_lost_manifest_is_made_again_from_segments_that_were_committed_at_once(
    tmp_path: Path, small_steps: None
) -> None:
    library = make(tmp_path / "l")
    library.add_rows(written(tmp_path / "r.parquet", 150))
    before, order = list(held(library)), [segment.uuid for segment in library.snapshot.segments]
    library.close()
    for path in (tmp_path / "l").glob("manifest*"):
        path.unlink()
    Library.repair(tmp_path / "l")
    again = make(tmp_path / "l")
    assert list(held(again)) == before
    assert [segment.uuid for segment in again.snapshot.segments] == order
    assert again.snapshot.state.next_id == 150


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("non_negative", [True, False])
def test_no_row_that_cannot_be_kept_escapes_the_look_at_many(dtype: str, non_negative: bool) -> None:
    channel = Channel("c", "m", "f", 3, dtype, "cosine", non_negative)
    edges = [0.0, 1e-45, 2.0**-25, 2.0**-25 * 1.0001, 2.0**-24, 1.0, 65504.0, 65519.99, 65520.0, 3e38, np.inf, np.nan]
    edges += [-value for value in edges]
    rows = np.array([(a, b, c) for a in edges for b in edges for c in (0.0, -1e-45, 1.0, np.nan)], np.float32)
    found = set(suspects(rows, channel).tolist())

    def is_wrong(row: np.ndarray) -> bool:
        try:
            return problem_of(channel.round(row), channel, "it") is not None
        except ValueError:
            return True

    assert {i for i, row in enumerate(rows) if is_wrong(row)} <= found
    assert len(found) < len(rows)


def test_half_precision_is_that_of_numpy() -> None:
    channel = Channel("c", "m", "f", 3, "float16", "cosine", False)
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    exact = halves[np.isfinite(halves)].astype(np.float32)
    between = (np.sort(exact)[1:] + np.sort(exact)[:-1]) / 2
    tried = np.concatenate([exact, between, np.nextafter(between, np.inf), np.nextafter(between, -np.inf)])
    tried = np.append(tried, [65519.99, 65520, -65520, 1e38, np.inf, -np.inf, np.nan]).astype(np.float32)
    with np.errstate(over="ignore"):
        wanted = tried.astype(np.float16)
    for times in (1, 10):  # by numpy, and by Arrow
        found = channel.round(np.tile(tried, (times, 1)))
        for row in found:
            np.testing.assert_array_equal(row.view(np.uint16)[:-1], wanted.view(np.uint16)[:-1])
            assert np.isnan(row[-1])
