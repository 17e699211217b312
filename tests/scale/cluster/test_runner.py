"""The ledger's law: whatever dies, and however often, the rows are those of one machine, each once."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simsearch.errors import InputError, LibraryDamaged
from simsearch.extract.embeddings.folder import write_folder
from simsearch.images import find
from simsearch.library import Library
from simsearch.scale.cluster.ledger import FolderPlace, Ledger, open_ledger
from simsearch.scale.cluster.outcomes import decode, encode
from simsearch.scale.cluster.shard import Shard
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, make
from tests.scale.cluster.faulty import JOB, DriverDied, runner_of, until_done, world

FAULTS = st.lists(st.sampled_from([0, 0, 1, 2, 3, 4]), max_size=12)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world(tmp_path_factory.mktemp("cluster"))


def table(folder: Path) -> list[tuple[str, str, bytes]]:
    """Every row of a folder of rows."""
    parts = [pq.read_table(path).to_pylist() for path in sorted(folder.glob("part-*.parquet"))]
    return [(r["path"], r["sha256"], np.float32(r["embedding"]).tobytes()) for part in parts for r in part]


def items(library: Library) -> list[tuple[int, bytes | None, bytes]]:
    snapshot = library.snapshot
    places = snapshot.by_paths([path for _, path in snapshot.paths() if path is not None])
    rows = [(snapshot.id(p), snapshot.path(p), snapshot.rows(p)) for p in places if p is not None]
    return sorted((number, path, b"".join(row.tobytes() for row in each)) for number, path, each in rows if each)


@pytest.fixture(scope="module")
def alone(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "rows"
    write_folder(FakeExtractor(), find([pictures]), folder, batch_size=4, workers=0)
    return folder


@given(faults=FAULTS, inputs=st.integers(1, 20), part_rows=st.integers(1, 9))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_in_files_are_those_of_one_machine(
    pictures: Path, alone: Path, faults: list[int], inputs: int, part_rows: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        output, place = Path(folder) / "rows", Path(folder) / "ledger"

        def run(left: list[int]) -> None:
            runner, _ = runner_of(place, left, inputs=inputs)
            write_folder(FakeExtractor(), find([pictures]), output, part_rows=part_rows, runner=runner)
            runner.close()

        until_done(run, faults)
        assert table(output) == table(alone)
        assert pq.read_table(output / "rejected.parquet").equals(pq.read_table(alone / "rejected.parquet"))
        assert not place.exists()


@given(faults=FAULTS, inputs=st.integers(1, 20), commit_every=st.integers(1, 9))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_library_is_that_of_one_machine(pictures: Path, faults: list[int], inputs: int, commit_every: int) -> None:
    from dataclasses import replace

    with tempfile.TemporaryDirectory() as folder:
        with make(Path(folder) / "one.library") as one, make(Path(folder) / "many.library") as many:
            expected = one.add(pictures, settings=HERE)
            rejects = []

            def run(left: list[int]) -> None:
                runner, _ = runner_of(Path(folder) / "ledger", left, inputs=inputs)
                how = replace(HERE, commit_every=commit_every)
                rejects.append(many.add(pictures, settings=how, runner=runner).codes)
                runner.close()

            died = until_done(run, faults)
            assert items(many) == items(one)
            assert len(many) == len(one) == expected.added + expected.exact_copies
            assert rejects[-1] == expected.codes
            assert died == faults.count(4) or died < faults.count(4)
        assert not (Path(folder) / "ledger").exists()


def test_a_killed_driver_costs_no_shard_that_was_done(pictures: Path, tmp_path: Path) -> None:
    runner, first = runner_of(tmp_path / "ledger", [0, 0, 0, 4])
    with pytest.raises(DriverDied):
        write_folder(FakeExtractor(), find([pictures]), tmp_path / "rows", runner=runner)
    runner, second = runner_of(tmp_path / "ledger")
    write_folder(FakeExtractor(), find([pictures]), tmp_path / "rows", runner=runner)
    assert not set(first.embedded) & set(second.embedded)
    assert len(first.embedded) + len(second.embedded) == 15


def test_what_is_committed_leaves_the_ledger_while_the_run_goes_on(pictures: Path, tmp_path: Path) -> None:
    runner, pool = runner_of(tmp_path / "ledger")
    most, pool.last_first = 0, False

    def look(_: int) -> None:
        nonlocal most
        most = max(most, len(list((tmp_path / "ledger").rglob("*.arrow"))))

    write_folder(FakeExtractor(), find([pictures]), tmp_path / "rows", part_rows=1, runner=runner, progress=look)
    assert len(pool.embedded) == 15
    assert most <= 4  # three under way, and one that is being taken


def test_the_same_input_twice_is_embedded_once_or_twice_and_told_twice(pictures: Path, tmp_path: Path) -> None:
    runner, _ = runner_of(tmp_path / "ledger", inputs=2)
    twice = [*find([pictures]), *find([pictures])]
    told = []
    for outcome in runner.embed(lambda: [], iter(twice)):
        runner.settled()
        told.append(outcome.source.path)
    assert told == [getattr(one, "source", one).path for one in twice]


def test_a_damaged_file_of_the_ledger_is_done_again(pictures: Path, alone: Path, tmp_path: Path) -> None:
    runner, _ = runner_of(tmp_path / "ledger", [0, 0, 4])
    with pytest.raises(DriverDied):
        write_folder(FakeExtractor(), find([pictures]), tmp_path / "rows", runner=runner)
    for i, path in enumerate(sorted((tmp_path / "ledger").rglob("*.arrow"))):
        path.write_bytes(path.read_bytes()[: -1 - i])
    runner, _ = runner_of(tmp_path / "ledger")
    write_folder(FakeExtractor(), find([pictures]), tmp_path / "rows", runner=runner)
    assert table(tmp_path / "rows") == table(alone)


def test_a_changed_input_is_not_taken_from_the_ledger(pictures: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(pictures, tmp_path / "pictures")
    runner, _ = runner_of(tmp_path / "ledger", [0, 0, 4])
    with pytest.raises(DriverDied):
        write_folder(FakeExtractor(), find([mine]), tmp_path / "rows", runner=runner)
    (mine / "0001.png").write_bytes((mine / "0009.png").read_bytes())
    runner, _ = runner_of(tmp_path / "ledger")
    write_folder(FakeExtractor(), find([mine]), tmp_path / "rows", runner=runner)
    by_path = {Path(path).name: (sha, row) for path, sha, row in table(tmp_path / "rows")}
    assert by_path["0001.png"] == by_path["0009.png"]


def test_what_others_put_beside_the_ledger_stays(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "ledger" / JOB.digest).mkdir(parents=True)
    (tmp_path / "ledger" / JOB.digest / "notes.txt").write_text("mine")
    runner, _ = runner_of(tmp_path / "ledger")
    write_folder(FakeExtractor(), find([pictures]), tmp_path / "rows", runner=runner)
    runner.close()
    assert [path.name for path in (tmp_path / "ledger").rglob("*") if path.is_file()] == ["notes.txt"]


def test_a_worker_that_sees_no_files_is_told_and_not_believed(pictures: Path, tmp_path: Path) -> None:
    runner, pool = runner_of(tmp_path / "ledger")
    pool.blind = True
    with pytest.raises(InputError, match="mount the inputs on all machines"):
        write_folder(FakeExtractor(), find([pictures]), tmp_path / "rows", runner=runner)
    assert not list((tmp_path / "rows").glob("part-*"))


def test_a_ledger_that_is_not_shared_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not share that folder"):
        open_ledger(str(tmp_path), "job").read("0" * 32 + "-" + "0" * 64 + ".arrow")


def test_a_file_of_another_job_is_refused(pictures: Path) -> None:
    from dataclasses import replace

    sources = tuple(find([pictures]))[:2]
    how = {"batch_size": 4, "workers": 0}
    from simsearch.extract.runner import Runner

    outcomes = list(Runner().embed(lambda: [FakeExtractor()], sources, **how))  # type: ignore[arg-type]
    data = encode(JOB, Shard(0, sources), outcomes, [{}])  # type: ignore[arg-type]
    assert decode(data, JOB, whose="it").of(1, sources[1]) is not None  # type: ignore[arg-type]
    with pytest.raises(LibraryDamaged, match="another job"):
        decode(data, replace(JOB, batch_size=8), whose="it")
    for end in range(0, len(data), 97):
        with pytest.raises(LibraryDamaged):
            decode(data[:end], JOB, whose="it")


def test_two_writers_of_one_shard_leave_one_file(tmp_path: Path) -> None:
    one, other = (Ledger(FolderPlace(tmp_path)) for _ in range(2))
    assert one.put("0" * 32, b"rows") == other.put("0" * 32, b"rows")
    assert len(one.names()) == 1
