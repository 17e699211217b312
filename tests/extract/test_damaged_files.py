"""Rows files, cards and YAML that are damaged or of wrong types: one named error in one line, nothing committed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simsearch import Library
from simsearch.benchmark.settings import settings_of
from simsearch.errors import InputError, ModelError, SimsearchError
from simsearch.extract.embeddings.parquet import read_rows, rows_info
from simsearch.extract.networks.build import build_network
from simsearch.extract.zoo.card import CARD, load_card
from simsearch.runtime.user_files import read_yaml
from simsearch.training.config import read_config
from tests.fake import FakeExtractor

ROWS = 50
D = FakeExtractor.dimension


def columns(**changed: Any) -> dict[str, Any]:
    flat = pa.array(np.random.default_rng(0).random(ROWS * D, np.float32))
    return {
        "path": pa.array([f"/photos/{i}.jpg" for i in range(ROWS)]),
        "path_b64": pa.nulls(ROWS, pa.string()),
        "sha256": pa.array([f"{i:064x}" for i in range(ROWS)]),
        "width": pa.array([40] * ROWS, pa.int32()),
        "height": pa.array([30] * ROWS, pa.int32()),
        "quality": pa.array([80] * ROWS, pa.int16()),
        "embedding": pa.FixedSizeListArray.from_arrays(flat, D),
    } | changed


def write(path: Path, table: dict[str, Any], metadata: dict[bytes, bytes] | None = None, **options: Any) -> Path:
    told = {b"model": b"fake", b"fingerprint": FakeExtractor.fingerprint.encode()} | (metadata or {})
    pq.write_table(pa.table(table).replace_schema_metadata(told), path, **options)
    return path


def same(value: Any, kind: pa.DataType | None = None) -> pa.Array:
    return pa.array([value] * ROWS, kind)


def last(value: Any, good: Any, kind: pa.DataType | None = None) -> pa.Array:
    """Wrong in the last row alone, when others could be committed already."""
    return pa.array([good] * (ROWS - 1) + [value], kind)


OFFSETS = np.arange(0, 2 * ROWS + 2, 2, dtype=np.int32)
WRONG: dict[str, dict[str, Any]] = {
    "strings": {"embedding": pa.FixedSizeListArray.from_arrays(pa.array(["a"] * ROWS * 2), 2)},
    "lists of two lengths": {"embedding": last([1.0] * (D + 1), [1.0] * D)},
    "a null list": {"embedding": last(None, [1.0] * D)},
    "a null in a list": {"embedding": last([1.0] * (D - 1) + [None], [1.0] * D)},
    "empty lists": {"embedding": same([], pa.list_(pa.float32()))},
    "of lists": {"embedding": pa.FixedSizeListArray.from_arrays(same([1.0]), 1)},
    "bools": {"embedding": pa.FixedSizeListArray.from_arrays(same(True), 1)},
    "of none": {"embedding": pa.array([[]] * ROWS, pa.list_(pa.float32(), 0))},
    "path integers": {"path": same(3)},
    "path lists": {"path": same(["a"])},
    "path with zero": {"path": last("a\0b", "a")},
    "path no text": {"path": pa.Array.from_buffers(
        pa.string(), ROWS, [None, pa.py_buffer(OFFSETS), pa.py_buffer(b"\xff\xfe" * ROWS)]
    )},
    "path_b64 integers": {"path_b64": same(3)},
    "path_b64 none": {"path_b64": last("###", None, pa.string())},
    "sha256 integers": {"sha256": same(3)},
    "sha256 short": {"sha256": last("00", "0" * 64)},
    "sha256 long bytes": {"sha256": same(b"x" * 33)},
    "width 2^40": {"width": last(1 << 40, 3)},
    "width text": {"width": same("wide")},
    "width negative": {"width": last(-1, 3)},
    "height inf": {"height": last(float("inf"), 3.0)},
    "height fraction": {"height": last(1.5, 3.0)},
    "quality 10^6": {"quality": last(1_000_000, 3)},
    "quality bool": {"quality": same(True)},
    "quality dates": {"quality": pa.array([0] * ROWS, pa.timestamp("ns"))},
}  # fmt: skip


def refused(path: Path, folder: Path) -> None:
    """The file is refused in one line of bounded length, and the library stays as it was."""
    with Library.create(folder, model=FakeExtractor()) as library:
        with pytest.raises(InputError) as caught:
            library.add_rows(path)
        assert len(str(caught.value)) < 800
        assert "\n" not in str(caught.value)
        assert len(library) == 0


@pytest.mark.parametrize("what", WRONG)
def test_a_column_of_the_wrong_kind_is_refused_before_anything_is_committed(tmp_path: Path, what: str) -> None:
    refused(write(tmp_path / "r.parquet", columns(**WRONG[what])), tmp_path / "l")


@pytest.mark.parametrize("key", [b"model", b"fingerprint"])
def test_names_that_are_no_text_are_refused(tmp_path: Path, key: bytes) -> None:
    refused(write(tmp_path / "r.parquet", columns(), {key: b"\xff\xfe"}), tmp_path / "l")


def test_what_pandas_makes_of_missing_numbers_is_read(tmp_path: Path) -> None:
    given = columns(width=pa.array([40.0] * (ROWS - 1) + [float("nan")]), quality=pa.nulls(ROWS))
    (batch,) = read_rows(write(tmp_path / "r.parquet", given))
    assert batch.width.to_pylist() == [40] * (ROWS - 1) + [None]


@pytest.mark.parametrize("seeds", [range(80), pytest.param(range(80, 1000), marks=pytest.mark.slow)])
@pytest.mark.parametrize("checksums", [True, False])
def test_mutants_of_a_rows_file_are_read_or_named(tmp_path: Path, seeds: range, checksums: bool) -> None:
    path = write(tmp_path / "r.parquet", columns(), write_page_checksum=checksums)
    whole = path.read_bytes()
    for seed in seeds:
        rng = random.Random(seed)
        mutant = bytearray(whole)
        kind = rng.randrange(4)
        if kind == 0:
            del mutant[rng.randrange(len(mutant)) :]
        elif kind == 1:
            start = rng.randrange(len(mutant))
            del mutant[start : start + rng.randrange(1, 64)]
        else:
            near = rng.choice([len(mutant), 3000])  # the footer is at the end, and decides the most
            for _ in range(rng.choice([1, 1, 4, 64])):
                mutant[-1 - rng.randrange(near)] = rng.randrange(256)
        path.write_bytes(mutant)
        try:
            rows_info(path)
            list(read_rows(path))
        except InputError as error:
            assert_short(error, seed)


def assert_short(error: Exception, what: object) -> None:
    assert "\n" not in str(error), what
    assert len(str(error)) < 900, what


CARD_FAULTS = {
    "block": ("block", '"text"'),
    "stem": ("stem", '"text"'),
    "pool": ("pool", "3"),
    "depth of text": ("depths", '["a", 1, 1, 1]'),
    "three depths": ("depths", "[1, 1, 1]"),
    "huge depth": ("depths", "[1, 1, 1, 1000000000000]"),
    "negative width": ("stem_width", "-1"),
    "bool": ("row", "true"),
    "huge row": ("row", "9" * 40),
    "text row": ("row", '"20"'),
    "ratio": ("sk_ratio", '"a"'),
    "scales": ("scales", "[]"),
    "unknown": ("nothing", "1"),
}


@pytest.mark.parametrize("fault", CARD_FAULTS)
def test_an_argument_that_no_network_takes_is_named(tiny: Path, tmp_path: Path, fault: str) -> None:
    key, value = CARD_FAULTS[fault]
    lines = (tiny / CARD).read_text().splitlines()
    kept = [line for line in lines if not line.startswith(f"{key} = ")]
    kept.insert(kept.index("[arguments]") + 1, f"{key} = {value}")
    (tmp_path / CARD).write_text("\n".join(kept))
    with pytest.raises(ModelError):
        build_network(load_card(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000 + "]" * 5000,
        "a = " + "{b = " * 5000 + "1" + "}" * 5000,
        "a." * 5000 + "b = 1",
        "a = " + "9" * 5000,
        "\xff",
        "a = 1\na = 2",
        "[" * 5000,
        "x" * (2 << 20),
    ],
    ids=range(8),
)
def test_toml_that_is_no_card_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD).write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError) as caught:
        load_card(tmp_path)
    assert len(str(caught.value)) < 700


def test_mutants_of_a_card_are_read_or_named(tiny: Path, tmp_path: Path) -> None:
    whole = (tiny / CARD).read_bytes()
    for seed in range(300):
        rng = random.Random(seed)
        mutant = bytearray(whole)
        for _ in range(rng.choice([1, 1, 3, 20])):
            at = rng.randrange(len(mutant))
            mutant[at : at + rng.choice([0, 1, 8])] = rng.choice(
                [b"", b"9", b"-", b'"', b"[", b"\n", b"e9", bytes([rng.randrange(256)])]
            )
        (tmp_path / CARD).write_bytes(mutant)
        try:
            build_network(load_card(tmp_path))
        except SimsearchError as error:
            assert_short(error, seed)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 3000 + "]" * 3000,
        "{a: " * 3000,
        "- " * 3000 + "a",
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"b{i}: &b{i} [{f'*b{i - 1}, ' * 10 if i else '*a'}]\n" for i in range(9)),
        "a: &a [*a]",
        "a: " + "9" * 5000,
        "a: 2020-99-99",
        "a: !!python/object/apply:os.mkdir [sung]",
        "? [a]\n: 1",
        "3",
        "x" * (2 << 20),
        "\xff",
    ],
    ids=range(12),
)
def test_yaml_that_holds_no_settings_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode("latin-1"))
    for read in (read_config, lambda one: settings_of(read_yaml(one)), read_yaml):
        try:
            read(path)
        except InputError as error:
            assert_short(error, text[:20])  # others are sound YAML
    assert [one.name for one in tmp_path.iterdir()] == ["x.yaml"]
