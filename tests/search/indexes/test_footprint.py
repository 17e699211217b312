"""What an index takes is computed as FAISS takes it, and what does not fit into the memory is not begun."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsearch.errors import IndexFailed
from simsearch.library.indexes import build as building
from simsearch.search.indexes.choice import LEAST_CODE, index_for
from simsearch.search.indexes.footprint import footprint
from simsearch.search.indexes.index import build
from simsearch.search.indexes.spec import CODE_KINDS, KINDS, spec_for
from tests.scale.worlds import world

GIB = 1 << 30


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("room", [None, 24])
def test_a_file_is_as_large_as_computed(kind: str, room: int | None, tmp_path: Path) -> None:
    if room is not None and kind not in ("rabitq", "ivf_pq"):
        return
    rows = np.random.default_rng(0).random((4000, 96), np.float32)
    spec = spec_for(len(rows), 96, "l2", kind=kind, bytes_a_row=room)
    index = build(spec, [rows], device="cpu")
    index.write(tmp_path / "index")
    index.close()
    assert footprint(spec, len(rows)).file == pytest.approx((tmp_path / "index").stat().st_size, rel=0.04)


@pytest.mark.parametrize("kind", [kind for kind in CODE_KINDS if kind != "multi_hash"])
def test_a_file_of_codes_is_as_large_as_computed(kind: str, tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (20_000, 12), np.uint8)
    spec = spec_for(len(codes), 12, "hamming", kind=kind)
    index = build(spec, [codes], device="cpu")
    index.write(tmp_path / "index")
    index.close()
    assert footprint(spec, len(codes)).file == pytest.approx((tmp_path / "index").stat().st_size, rel=0.06)


@given(
    count=st.integers(50_000, 10**9), memory=st.integers(1 << 26, 1 << 38), dimension=st.sampled_from([64, 512, 2048])
)
def test_the_longest_code_that_fits_is_chosen(count: int, memory: int, dimension: int) -> None:
    whole = spec_for(count, dimension, "js")
    try:
        spec = index_for(count, dimension, "js", memory=memory)
    except IndexFailed:
        least = spec_for(count, dimension, "js", kind="rabitq", bytes_a_row=LEAST_CODE)
        shorter = [whole] if whole.code_bytes - 8 < LEAST_CODE else [whole, least]
        assert all(footprint(one, count).building > memory for one in shorter[:1])
        return
    assert footprint(spec, count).building <= memory
    assert spec == whole or footprint(whole, count).building > memory


def test_a_requested_size_is_not_changed() -> None:
    with pytest.raises(IndexFailed, match=r"rabitq over 100,000,000 rows takes .* bytes of memory and 1,073,741,824"):
        index_for(10**8, 512, "js", kind="rabitq", bytes_a_row=72, memory=GIB)
    with pytest.raises(IndexFailed, match="ivf_flat"):
        index_for(10**7, 512, "js", kind="ivf_flat", memory=GIB)
    assert index_for(10**4, 512, "js", memory=1).kind == "flat"


def test_optimize_begins_nothing_that_the_memory_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = world(0, 3000).library(tmp_path / "library")
    monkeypatch.setattr(building, "available_memory", lambda: 1000)
    with pytest.raises(IndexFailed, match="1,000 are there"):
        library.optimize(recall=0.5, kind="ivf_flat")
    assert not library.info().indexes
    monkeypatch.setattr(building, "available_memory", lambda: None)
    assert library.optimize(recall=0.5, kind="ivf_flat")
