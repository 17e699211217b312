"""CSV files of users: any bytes are read or refused by name."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsearch.act.exchange.feedback import read_verdicts
from simsearch.errors import InputError
from simsearch.runtime.user_files import read_csv


@pytest.mark.parametrize("text", ["", "\n", "\ufeff", "a\n1\n", "a;b\n1;2\n"])
def test_a_csv_without_its_columns_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="has no column"):
        read_csv(path, ("a", "b"))


def test_short_lines_have_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1\n1,2\n")
    assert read_csv(path, ("a", "b")) == [{"a": "1", "b": ""}, {"a": "1", "b": "2"}]


@given(st.binary(max_size=60), st.integers(0, 5000))
def test_any_verdicts_are_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, digits: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "verdicts.csv"
    path.write_bytes(b"entry,verdict\n" + b"1" * digits + b",confirm\n" + data)
    with contextlib.suppress(InputError):
        assert read_verdicts(path)[0].entry == int("1" * digits)
