"""Laws of the pipeline: order, nothing lost, the same rows for any batch size and worker count, bounded memory."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simsearch.errors import InputError, RowError
from simsearch.extract.extractor import Extractor
from simsearch.extract.pipeline import Embedded, embed_sources
from simsearch.images.find import find
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Limits, Rejected, Source
from simsearch.images.workers.pool import Pool, in_order


class Mean(Extractor):
    """Mean colours; black gives a zero row, pure red a NaN."""

    name = "mean"
    fingerprint = "00"
    dimension = 3
    non_negative = True
    metric = "js"
    preprocessing = Preprocessing(8, "squash", 8, "box", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(pixels))
        rows = pixels.reshape(len(pixels), -1, 3).mean(axis=1).astype(np.float32)
        rows[(rows == (255, 0, 0)).all(axis=1)] = np.nan
        return rows


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    for i in range(23):
        Image.fromarray(rng.integers(1, 256, (12, 10, 3), dtype=np.uint8)).save(tmp_path / f"{i:02}.png")
    (tmp_path / "05.png").write_bytes(b"broken")
    Image.new("RGB", (9, 9)).save(tmp_path / "07.png")
    Image.new("RGB", (9, 9), (255, 0, 0)).save(tmp_path / "09.png")
    return tmp_path


def results(folder: Path, **settings: int) -> list[Embedded | Rejected]:
    return list(embed_sources(Mean(), find([folder]), **settings))  # type: ignore[arg-type]


def test_order_is_kept_and_nothing_is_lost(folder: Path) -> None:
    names = [result.source.name for result in results(folder, batch_size=4, workers=0)]
    assert names == sorted(names)
    assert len(names) == 23


class Ahead(Mean):
    """Rows that are there only when they are asked for, as those of a device."""

    works_ahead = True

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def start(self, pixels: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        number = sum(what.startswith("begin") for what in self.order)
        self.order.append(f"begin {number}")

        def finish() -> NDArray[np.float32]:
            self.order.append(f"end {number}")
            return self.embed_pixels(pixels)

        return finish


def test_a_device_has_its_next_batch_before_the_rows_of_the_last_are_asked_for(folder: Path) -> None:
    extractor, expected = Ahead(), results(folder, batch_size=5, workers=0)
    found = list(embed_sources(extractor, find([folder]), batch_size=5, workers=0))
    assert [one.source for one in found] == [one.source for one in expected]
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, Embedded) and isinstance(other, Embedded):
            np.testing.assert_array_equal(one.row, other.row)
    assert extractor.order[:4] == ["begin 0", "begin 1", "end 0", "begin 2"]
    assert extractor.order[-2:] == ["end 3", "end 4"]
    assert sum(what.startswith("begin") for what in extractor.order) == 5


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (5, 0), (64, 0), (4, 1), (7, 2)])
def test_rows_are_the_same_for_any_batch_size_and_worker_count(folder: Path, batch_size: int, workers: int) -> None:
    expected = results(folder, batch_size=3, workers=0)
    found = results(folder, batch_size=batch_size, workers=workers)
    for a, b in zip(expected, found, strict=True):
        assert type(a) is type(b)
        if isinstance(a, Embedded) and isinstance(b, Embedded):
            assert a.row is not None
            assert b.row is not None
            assert (a.row == b.row).all()
            assert a.sha256 == b.sha256 == hashlib.sha256(Path(bytes(a.source.path).decode()).read_bytes()).digest()


def test_bad_files_and_bad_rows_are_rejected_with_codes(folder: Path) -> None:
    rejected = {r.source.name: str(r.code) for r in results(folder, workers=0) if isinstance(r, Rejected)}
    assert rejected == {b"05.png": "unknown_format", b"07.png": "zero_row", b"09.png": "non_finite"}


def test_known_content_is_not_embedded_again(folder: Path) -> None:
    known = hashlib.sha256((folder / "03.png").read_bytes()).digest()
    extractor = Mean()
    found = list(embed_sources(extractor, find([folder]), batch_size=4, workers=0, known=known.__eq__))
    without = [r.source.name for r in found if isinstance(r, Embedded) and r.row is None]
    assert without == [b"03.png"]
    assert sum(extractor.batches) == 23 - 2  # the broken file and the known one


def test_reading_ahead_is_bounded(folder: Path) -> None:
    taken = 0

    def endless() -> Iterator[Source | Rejected]:
        nonlocal taken
        sources = list(find([folder]))
        while True:
            for source in sources:
                taken += 1
                yield source

    stream = embed_sources(Mean(), endless(), batch_size=2, workers=0)
    for _ in range(10):
        next(stream)
    time.sleep(0.3)
    assert taken < 40
    stream.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name == "simsearch-reader"]


def test_an_error_in_the_extractor_reaches_the_caller_and_ends_the_threads(folder: Path) -> None:
    class Broken(Mean):
        def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            raise RuntimeError("no such kernel")

    with pytest.raises(RuntimeError, match="no such kernel"):
        list(embed_sources(Broken(), find([folder]), workers=0))
    assert not [t for t in threading.enumerate() if t.name == "simsearch-reader"]


def test_stopping_does_not_wait_for_a_full_batch(folder: Path) -> None:
    taken = 0

    def slow() -> Iterator[Source | Rejected]:
        nonlocal taken
        (source, *_) = find([folder])
        for _ in range(1000):
            time.sleep(0.01)
            taken += 1
            yield source

    stream = embed_sources(Mean(), slow(), batch_size=100, workers=0)
    next(stream)
    before = taken
    stream.close()  # type: ignore[attr-defined]
    assert taken <= before + 30, "the reader was in the middle of a batch of 100"


def test_stopping_does_not_wait_for_a_decoder_that_hangs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "01.png").write_bytes(b"hang")

    def faulty(sources, preprocessing, *, workers, limits, **more):  # type: ignore[no-untyped-def]
        pool = Pool((preprocessing,), limits, workers, extra=("--decoder", "tests.images.faults:faulty"))
        return in_order(sources, pool, *more.values())

    monkeypatch.setattr("simsearch.images.workers.pool.prepare", faulty)
    stream = embed_sources(Mean(), find([folder]), batch_size=1, workers=1, limits=Limits(timeout_s=10))
    next(stream)
    time.sleep(0.2)
    began = time.monotonic()
    stream.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("shape", [(1, 3), (30, 3), (22, 4), (22,)])
def test_an_extractor_that_loses_rows_is_named(folder: Path, shape: tuple[int, ...]) -> None:
    class Careless(Mean):
        def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.ones(shape, np.float32)

    with pytest.raises(RowError, match=r"mean gave rows of shape .* for 22 images .* must return \(22, 3\)"):
        list(embed_sources(Careless(), find([folder]), workers=0))
    images = [np.zeros((4, 4, 3), np.uint8)] * 22
    with pytest.raises(RowError, match="for 22 images"):
        Careless().embed(images)


def test_rows_are_float32_whatever_the_extractor_computes_in(folder: Path) -> None:
    class Double(Mean):
        def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:  # type: ignore[override]
            return super().embed_pixels(pixels).astype(np.float64)

    found = embed_sources(Double(), find([folder]), workers=0)
    assert {r.row.dtype for r in found if isinstance(r, Embedded) and r.row is not None} == {np.dtype(np.float32)}
    assert Double().embed(np.ones((4, 4, 3), np.uint8)).dtype == np.float32


def test_many_images_are_not_all_decoded_at_once(folder: Path) -> None:
    extractor = Mean()
    rows = extractor.embed([folder / "03.png"] * 100)
    assert sum(extractor.batches) == len(rows) == 100
    assert max(extractor.batches) <= 32


def test_an_error_in_the_sources_reaches_the_caller(folder: Path) -> None:
    def failing() -> Iterator[Source | Rejected]:
        yield from find([folder])
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk is gone"):
        list(embed_sources(Mean(), failing(), workers=0))


def test_settings_out_of_range_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="batch_size 0"):
        results(folder, batch_size=0)
    with pytest.raises(InputError, match="workers -1"):
        results(folder, workers=-1)


class SizeBound(Mean):
    """Rows that depend on the size of the batch, as those of kernels chosen by it."""

    def least_batch(self, batch_size: int) -> int:
        return batch_size

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return super().embed_pixels(pixels) + np.float32(1e-3) * len(pixels)


@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_rows_do_not_depend_on_how_full_the_last_batch_is(folder: Path, count: int) -> None:
    good = [found for found in find([folder]) if found.path[-6:] not in (b"05.png", b"07.png", b"09.png")]  # type: ignore[union-attr]
    extractor = SizeBound()
    some = list(embed_sources(extractor, good[:count], batch_size=4, workers=0))
    all_of_them = list(embed_sources(SizeBound(), good, batch_size=4, workers=0))
    rows = [[one.rows for one in each if isinstance(one, Embedded)] for each in (some, all_of_them[:count])]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert set(extractor.batches) == {4}


def test_the_rows_of_a_network_are_to_the_bit_those_of_any_split(tiny: Path, folder: Path) -> None:
    from simsearch import load_extractor

    extractor = load_extractor(tiny, device="cpu")
    good = [found for found in find([folder]) if found.path[-6:] != b"05.png"]  # type: ignore[union-attr]
    whole = list(embed_sources(extractor, good, batch_size=8, workers=0))
    split = [
        one
        for i in range(0, len(good), 7)
        for one in embed_sources(extractor, good[i : i + 7], batch_size=8, workers=0)
    ]
    alone = [one for each in good[:5] for one in embed_sources(extractor, [each], batch_size=8, workers=0)]
    for several in (split, alone):
        for one, other in zip(several, whole, strict=False):
            assert isinstance(one, Embedded)
            assert isinstance(other, Embedded)
            np.testing.assert_array_equal(one.row, other.row)
