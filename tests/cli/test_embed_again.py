"""A folder of rows has one writer, each input has its row once, and a finished run is gone on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simsearch.errors import InputError, OutputLocked
from simsearch.extract.embeddings.folder import FolderReport, write_folder
from simsearch.extract.embeddings.parquet import read_rows
from simsearch.images import find
from tests.cli.conftest import FAKE, Run
from tests.fake import FakeExtractor
from tests.library.helpers import album, paint


def written(photos: Path, rows: Path, **more: Any) -> FolderReport:
    return write_folder(FakeExtractor(), find([photos]), rows, workers=0, **more)


def paths_in(folder: Path) -> list[bytes | None]:
    return [
        path for part in sorted(folder.rglob("part-*.parquet")) for batch in read_rows(part) for path in batch.paths
    ]


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


@pytest.mark.parametrize("form", ["parquet", "npy"])
def test_a_finished_run_again_touches_nothing(run: Run, pictures: Path, tmp_path: Path, form: str) -> None:
    command = ("embed", pictures, "--output", tmp_path / "rows", "--model", FAKE, "--workers", 0, "--json")
    first = run(*command, "--format", form)
    before = state_of(tmp_path / "rows")
    assert run(*command, "--format", form)[:2] == first[:2]
    assert first[0] == 0
    assert state_of(tmp_path / "rows") == before


@pytest.mark.parametrize("form", ["parquet", "npy"])
def test_folders_of_the_version_without_a_journal_are_gone_on_with(tmp_path: Path, form: Any) -> None:
    photos, rows = album(tmp_path / "photos", range(5)), tmp_path / "rows"
    (photos / "0002.txt").write_bytes(b"no picture")
    written(photos, rows, form=form, part_rows=2)
    (rows / "finished.jsonl").unlink()
    before = {path: path.read_bytes() for path in rows.glob("part-*")}
    paint(photos / "0001b.png", 17)
    report = written(photos, rows, form=form)
    assert (report.rows, report.rejected) == (6, 1) or (report.rows, report.rejected) == (6, 0)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(list(rows.glob("part-*.parquet"))) == len([path for path in before if path.suffix == ".parquet"]) + 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.lists(st.sets(st.integers(0, 11), min_size=1), min_size=1, max_size=4),
    part_rows=st.integers(1, 4),
    stops=st.lists(st.one_of(st.none(), st.integers(1, 6)), min_size=4, max_size=4),
)
def test_whatever_was_added_when_each_input_has_its_row_once(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[set[int]], part_rows: int, stops: list[int | None]
) -> None:
    """Files come in any order of names, between runs that are broken off anywhere."""
    folder = tmp_path_factory.mktemp("rounds")
    photos, there = folder / "photos", set[int]()
    photos.mkdir()
    for added, at in zip(rounds, stops, strict=False):
        for seed in added - there:
            paint(photos / f"{seed:04d}.png", seed)
        there |= added

        def stop(done: int, at: int | None = at) -> None:
            if at is not None and done >= at:
                raise KeyboardInterrupt

        try:
            written(photos, folder / "rows", part_rows=part_rows, progress=stop)
        except KeyboardInterrupt:
            continue
    report = written(photos, folder / "rows", part_rows=part_rows)
    assert report.rows == len(there)
    assert sorted(paths_in(folder / "rows")) == sorted(os.fsencode(path) for path in photos.iterdir())  # type: ignore[type-var]


def test_other_inputs_are_never_mixed_in(tmp_path: Path) -> None:
    written(album(tmp_path / "a", range(4)), tmp_path / "rows")
    with pytest.raises(InputError, match="other inputs"):
        written(album(tmp_path / "b", range(4)), tmp_path / "rows")
    assert len(paths_in(tmp_path / "rows")) == 4


def test_shards_refuse_inputs_that_moved_between_them(run: Run, tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(2, 8))
    common = ("embed", photos, "--output", tmp_path / "rows", "--model", FAKE, "--workers", 0, "--json", "--shard")
    assert run(*common, "1/2")[0] == 0
    code, _, err = run(*common, "2/2")
    assert (code, "other inputs" in err) == (3, True)
    paint(photos / "0009.png", 9)  # behind all others: no place changes
    assert json.loads(run(*common, "1/2")[1])["rows"] == 4
    paint(photos / "0001.png", 1)
    code, _, err = run(*common, "1/2")
    assert (code, "--shard counts inputs by their place" in err) == (3, True)
    assert len(paths_in(tmp_path / "rows")) == 4


def test_on_several_devices_what_was_added_is_embedded_once(run: Run, tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(1, 9))
    command = ("embed", photos, "--output", tmp_path / "rows", "--model", FAKE, "--workers", 0, "--device", "cpu,cpu")
    assert run(*command)[0] == 0
    for seed in (0, 20, 21):
        paint(photos / f"{seed:04d}.png", seed)
    assert json.loads(run(*command, "--json")[1])["rows"] == 11
    assert sorted(paths_in(tmp_path / "rows")) == sorted(os.fsencode(path) for path in photos.iterdir())  # type: ignore[type-var]


def test_a_second_writer_is_refused_by_name(tmp_path: Path) -> None:
    photos, rows = album(tmp_path / "photos", range(3)), tmp_path / "rows"
    inside, over = threading.Event(), threading.Event()

    def wait(_done: int) -> None:
        inside.set()
        over.wait(60)

    first = threading.Thread(target=written, args=(photos, rows), kwargs={"progress": wait})
    first.start()
    inside.wait(60)
    with pytest.raises(OutputLocked, match="another process is writing rows"):
        written(photos, rows)
    over.set()
    first.join()
    assert written(photos, rows).rows == 3


def test_processes_that_race_for_a_folder_write_each_row_once(tmp_path: Path) -> None:
    photos, rows = album(tmp_path / "photos", range(40)), tmp_path / "rows"
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.cli.slow_job import Slow\nfrom simsearch.errors import "
        "OutputLocked\nfrom simsearch.extract.embeddings.folder import write_folder\n"
        "from simsearch.images import find\n"
        "try:\n    write_folder(Slow(), find([sys.argv[1]]), Path(sys.argv[2]), batch_size=2, workers=0, seconds=0.3)\n"
        "except OutputLocked:\n    sys.exit(3)"
    )
    command = [sys.executable, "-c", code, str(photos), str(rows)]
    racers = [subprocess.Popen(command) for _ in range(3)]
    ends = sorted(racer.wait(120) for racer in racers)
    assert set(ends) <= {0, 3}
    assert ends[0] == 0
    assert sorted(paths_in(rows)) == sorted(os.fsencode(path) for path in photos.iterdir())  # type: ignore[type-var]


@pytest.mark.parametrize(
    "text", [b"{", b"[]\n", b"1\n", b'{"format": 1}\n', b"\xff\n", b'{"format":1,"model":"x"}\nnull\n']
)
def test_a_damaged_journal_is_told(tmp_path: Path, text: bytes) -> None:
    photos, rows = album(tmp_path / "photos", range(2)), tmp_path / "rows"
    written(photos, rows)
    whole = (rows / "finished.jsonl").read_bytes().splitlines(keepends=True)
    for content in (text, whole[0] + text, whole[0] + whole[1].replace(b'"rows": 2', b'"rows": "two"')):
        if not content.endswith(b"\n"):
            continue  # broken off while it was written: left out, see above
        (rows / "finished.jsonl").write_bytes(content)
        with pytest.raises(InputError, match=r"damaged|begun"):
            written(photos, rows)


def test_rows_are_those_of_one_run(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(0, 12, 2))
    written(photos, tmp_path / "rows")
    album(photos, range(1, 12, 2))
    written(photos, tmp_path / "rows")
    written(photos, tmp_path / "whole")

    def rows(folder: Path) -> dict[bytes | None, bytes]:
        batches = [batch for part in folder.glob("part-*.parquet") for batch in read_rows(part)]
        return {
            path: np.asarray(row).tobytes()
            for batch in batches
            for path, row in zip(batch.paths, batch.rows, strict=True)
        }

    assert rows(tmp_path / "rows") == rows(tmp_path / "whole")
