"""An index built in pieces is the index built in one go; what is missing, doubled or foreign is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simsearch.errors import FingerprintMismatch, IndexFailed, InputError, StorageFull
from simsearch.scale import Training, build_piece, merge, open_merged, pieces_of, train, training_in
from simsearch.scale.pieces.piece import PIECES
from simsearch.search.approximate_search import approximate
from simsearch.search.exact import knn
from simsearch.search.indexes.index import build
from simsearch.search.indexes.spec import IndexSpec, spec_for

N, D = 1500, 16
KINDS = ("rabitq", "ivf_pq", "ivf_flat", "ivf_sq8")


def rows_of(seed: int = 0, count: int = N) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, D), np.float32)


def spec_of(kind: str = "rabitq") -> IndexSpec:
    return spec_for(N, D, "l2", kind=kind, bytes_a_row=4 if kind == "ivf_pq" else None)


def built(training: Training, rows: NDArray[np.float32], ends: list[int]) -> None:
    starts = [0, *ends]
    for start, end in reversed([*zip(starts, [*ends, len(rows)], strict=True)]):
        if end > start:
            build_piece(training, [rows[start:end]], first=start, content=f"{start}-{end}")


@pytest.mark.parametrize("kind", KINDS)
@given(ends=st.lists(st.integers(0, N), max_size=4).map(sorted))
@settings(max_examples=4, deadline=None)
def test_pieces_are_one_index(kind: str, ends: list[int]) -> None:
    rows, spec = rows_of(), spec_of(kind)
    whole = build(spec, [rows], device="cpu")
    queries = rows_of(1, 20)
    with tempfile.TemporaryDirectory() as folder:
        training = train(Path(folder), spec, [rows], fingerprint="f", device="cpu")
        built(training, rows, ends)
        merged = merge(training, rows=N)
        assert merged.count == N
        for effort in (4, merged.efforts()[-1]):
            wanted = whole.candidates(queries, 30, effort)
            assert np.array_equal(np.sort(merged.candidates(queries, 30, effort)), np.sort(wanted))
        found = approximate(queries, [rows], merged, k=5, effort=merged.efforts()[-1], depth=N)
        assert np.array_equal(found.positions, knn(queries, [rows], k=5, metric="l2", device="cpu").positions)
        merged.close()
    whole.close()


def test_ids_have_64_bits(tmp_path: Path) -> None:
    rows = rows_of()
    training = train(tmp_path, spec_of(), [rows], fingerprint="f", device="cpu")
    far = build_piece(training, [rows], first=5 << 32, content="far")
    assert (far.first, far.end) == (5 << 32, (5 << 32) + N)
    from simsearch.search.indexes.faiss_float import FaissIndex

    piece = FaissIndex.read(far.file, training.spec)
    assert piece.search(rows[:5], 1, training.spec.lists)[:, 0].tolist() == [(5 << 32) + i for i in range(5)]


def test_what_is_there_is_taken_and_not_built_again(tmp_path: Path) -> None:
    rows = rows_of()
    training = train(tmp_path, spec_of(), [rows], fingerprint="f", device="cpu")
    assert train(tmp_path, spec_of(), [rows[:10]], fingerprint="f") == training == training_in(tmp_path)
    one = build_piece(training, [rows[:700]], first=0, content="a")
    before = one.file.stat().st_mtime_ns
    assert build_piece(training, [rows[:700]], first=0, content="a") == one
    assert one.file.stat().st_mtime_ns == before
    build_piece(training, [rows[700:]], first=700, content="b")
    merge(training, rows=N).close()
    for path in (tmp_path / PIECES).iterdir():
        path.unlink()
    again = merge(training, rows=N)  # of which nothing but what was merged is left
    assert again.count == N == open_merged(tmp_path).count
    for name in ("moved", os.fsdecode(b"caf\xe9")):
        moved = tmp_path.with_name(name)
        tmp_path.rename(moved)
        assert open_merged(moved).candidates(rows[3:4], 1, training.spec.lists)[0, 0] == 3
        moved.rename(tmp_path)


def test_a_folder_of_any_name_is_merged_in(tmp_path: Path) -> None:
    rows, home = rows_of(), tmp_path / os.fsdecode(b"caf\xe9 'x\n")
    training = train(home, spec_of(), [rows], fingerprint="f", device="cpu")
    built(training, rows, [600])
    merged = merge(training, rows=N)
    assert merged.candidates(rows[7:8], 1, training.spec.lists)[0, 0] == 7
    merged.close()
    assert open_merged(home).candidates(rows[7:8], 1, training.spec.lists)[0, 0] == 7


def test_what_is_missing_or_doubled_is_told(tmp_path: Path) -> None:
    rows = rows_of()
    training = train(tmp_path, spec_of(), [rows], fingerprint="f", device="cpu")
    build_piece(training, [rows[:500]], first=0, content="a")
    build_piece(training, [rows[1000:]], first=1000, content="c")
    with pytest.raises(InputError, match="ids 500 to 999 are in no piece"):
        merge(training, rows=N)
    build_piece(training, [rows[500:1000]], first=500, content="b")
    with pytest.raises(InputError, match="hold 1,500 rows and 1,501"):
        merge(training, rows=N + 1)
    build_piece(training, [rows[400:600]], first=400, content="twice")
    with pytest.raises(InputError, match="an id is in two pieces"):
        merge(training, rows=N)
    for blocks, first in (([], 0), ([rows], -1), ([rows], 1 << 62)):
        with pytest.raises(InputError, match="give rows, and ids"):
            build_piece(training, blocks, first=first, content="x")


def test_another_training_is_refused(tmp_path: Path) -> None:
    rows = rows_of()
    one = train(tmp_path / "one", spec_of(), [rows], fingerprint="f", device="cpu")
    other = train(tmp_path / "other", spec_of(), [rows_of(9)], fingerprint="f", device="cpu")
    assert one.digest != other.digest
    with pytest.raises(FingerprintMismatch, match="two trainings are never merged"):
        train(tmp_path / "one", spec_of(), [rows], fingerprint="another")
    with pytest.raises(FingerprintMismatch, match="two trainings are never merged"):
        train(tmp_path / "one", spec_of("ivf_flat"), [rows], fingerprint="f")
    piece = build_piece(other, [rows], first=0, content="a")
    (tmp_path / "one" / PIECES).mkdir()
    for path in (piece.file, piece.file.with_suffix(".json")):
        path.rename(tmp_path / "one" / PIECES / path.name)
    with pytest.raises(FingerprintMismatch, match="two trainings are never merged"):
        merge(one, rows=N)
    with pytest.raises(InputError, match="is not built in pieces"):
        train(tmp_path / "flat", spec_for(10, D, "l2"), [rows], fingerprint="f")


@pytest.mark.parametrize(
    "name", ["trained.faiss", "trained.json", "piece", "piece json", "merged.json", "lists", "index"]
)
def test_what_changed_on_the_disk_is_told(tmp_path: Path, name: str) -> None:
    rows = rows_of()
    training = train(tmp_path, spec_of(), [rows], fingerprint="f", device="cpu")
    piece = build_piece(training, [rows], first=0, content="a")
    merge(training, rows=N).close()
    merged = json.loads((tmp_path / "merged.json").read_text())["files"]
    path = {
        "piece": piece.file,
        "piece json": piece.file.with_suffix(".json"),
        "lists": tmp_path / next(one for one in merged if one.endswith(".lists")),
        "index": tmp_path / next(one for one in merged if one.endswith(".faiss")),
    }.get(name, tmp_path / name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IndexFailed):
        pieces_of(training) if name.startswith("piece") else open_merged(tmp_path)


def test_a_disk_without_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of()
    training = train(tmp_path, spec_of(), [rows], fingerprint="f", device="cpu")
    piece = build_piece(training, [rows], first=0, content="a")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=piece.bytes - 1))
    with pytest.raises(StorageFull, match="make room"):
        merge(training, rows=N)
    assert not list(tmp_path.glob("merged*"))
    monkeypatch.undo()
    assert merge(training, rows=N).count == N


CHILD = """
import sys
from pathlib import Path
from simsearch.scale import build_piece, merge, train
from tests.scale.pieces.test_pieces import N, rows_of, spec_of
folder, rows = Path(sys.argv[1]), rows_of()
training = train(folder, spec_of(), [rows], fingerprint="f", device="cpu")
print("trained", flush=True)
for start in range(0, N, 100):
    build_piece(training, [rows[start : start + 100]], first=start, content=str(start))
    print("piece", flush=True)
print(merge(training, rows=N).count, flush=True)
"""


def test_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Killed again and again, a run that goes on ends with the same index, and never builds a whole piece twice."""
    rng = np.random.default_rng(0)
    home, times, lines = tmp_path / "index", {}, list[str]()
    for kill in (*rng.integers(1, 16, 4).tolist(), None):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(home)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(kill or 0):
            child.stdout.readline()
        if kill is not None:
            time.sleep(float(rng.uniform(0, 0.02)))
            os.kill(child.pid, signal.SIGKILL)
        else:
            lines = child.stdout.read().splitlines()  # FAISS has one of its own, which may come last
        child.wait(60)
        child.stdout.close()
        for told in (home / PIECES).glob("*.json"):
            stamp = told.stat().st_mtime_ns
            assert times.setdefault(told.name, stamp) == stamp
    assert str(N) in lines
    rows = rows_of()
    merged, whole = open_merged(home), build(spec_of(), [rows], device="cpu")
    queries, effort = rows_of(1, 20), merged.efforts()[-1]
    assert np.array_equal(
        np.sort(merged.candidates(queries, 30, effort)), np.sort(whole.candidates(queries, 30, effort))
    )
