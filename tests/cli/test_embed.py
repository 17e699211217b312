"""`embed`: rows as files, equal to what the extractor gives; rows + rejected = inputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from simsearch.extract.rows_file import read_rows, rows_info
from simsearch.extract.rows_folder import write_folder
from simsearch.images import find
from tests.cli.conftest import FAKE, Run
from tests.fake import FakeExtractor


def embedded(run: Run, *arguments: object) -> dict[str, int]:
    code, out, err = run("embed", *arguments, "--model", FAKE, "--workers", 0, "--json")
    assert code == 0, err
    return json.loads(out)  # type: ignore[no-any-return]


def test_rows_are_the_extractors_and_rejects_are_told(run: Run, pictures: Path, tmp_path: Path) -> None:
    facts = embedded(run, pictures, "--output", tmp_path / "rows")
    assert (facts["rows"], facts["rejected"], facts["rejected_by_code"]) == (7, 1, {"unknown_format": 1})
    table = pq.read_table(tmp_path / "rows" / "part-00000.parquet")
    assert {"path", "sha256", "width", "height", "quality", "embedding"} <= set(table.column_names)
    assert rows_info(tmp_path / "rows" / "part-00000.parquet").fingerprint == FakeExtractor.fingerprint
    (batch,) = read_rows(tmp_path / "rows" / "part-00000.parquet")
    expected = FakeExtractor().embed(list(batch.paths))
    np.testing.assert_array_equal(batch.rows, expected)
    rejected = pq.read_table(tmp_path / "rows" / "rejected.parquet").to_pylist()
    assert [(Path(row["path"]).name, row["code"]) for row in rejected] == [("broken.jpg", "unknown_format")]


def test_npy_holds_the_same_rows_beside_their_items(run: Run, pictures: Path, tmp_path: Path) -> None:
    embedded(run, pictures, "--output", tmp_path / "a")
    embedded(run, pictures, "--output", tmp_path / "b", "--format", "npy")
    (batch,) = read_rows(tmp_path / "a" / "part-00000.parquet")
    np.testing.assert_array_equal(np.load(tmp_path / "b" / "part-00000.npy"), batch.rows)
    items = pq.read_table(tmp_path / "b" / "part-00000.items.parquet")
    assert [path.encode() for path in items.column("path").to_pylist()] == batch.paths


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_shards_share_out_every_input_once(run: Run, pictures: Path, tmp_path: Path, n: int) -> None:
    parts = [embedded(run, pictures, "--output", tmp_path / str(i), "--shard", f"{i}/{n}") for i in range(1, n + 1)]
    assert sum(part["rows"] + part["rejected"] for part in parts) == 8
    sizes = [part["rows"] + part["rejected"] for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_none_is_wrong_usage(run: Run, pictures: Path, tmp_path: Path, shard: str) -> None:
    assert run("embed", pictures, "--output", tmp_path / "rows", "--model", FAKE, f"--shard={shard}")[0] == 2


def test_parts_are_of_bounded_size_and_keep_the_order(pictures: Path, tmp_path: Path) -> None:
    report = write_folder(FakeExtractor(), find([pictures]), tmp_path / "rows", workers=0, part_rows=3)
    assert (report.parts, report.rows, report.rejected) == (3, 7, 1)
    names = [
        Path(path.decode()).name
        for part in sorted((tmp_path / "rows").glob("part-*"))
        for batch in read_rows(part)
        for path in batch.paths
        if path
    ]
    assert names == sorted(names)


def test_what_is_done_is_kept_when_the_work_is_broken_off(pictures: Path, tmp_path: Path) -> None:
    def stop(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(FakeExtractor(), find([pictures]), tmp_path / "rows", workers=0, part_rows=3, progress=stop)
    rows = sum(rows_info(part).rows for part in (tmp_path / "rows").glob("part-*"))
    assert rows == 5
    assert not (tmp_path / "rows" / "rejected.parquet").exists()


def test_a_folder_with_files_is_refused(run: Run, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "mine.txt").write_text("x")
    code, out, err = run("embed", pictures, "--output", tmp_path / "rows", "--model", FAKE)
    assert (code, out) == (3, "")
    assert "not an empty folder" in err


def test_rows_index_as_their_images_do(run: Run, pictures: Path, library: Path, tmp_path: Path) -> None:
    embedded(run, pictures, "--output", tmp_path / "rows")
    other = tmp_path / "from-rows"
    part = tmp_path / "rows" / "part-00000.parquet"
    code, out, err = run("index", "--rows", part, "--library", other, "--model", FAKE, "--json")
    assert code == 0, err
    assert json.loads(out)["inputs"] == 7
    asked = ("query", "--model", FAKE, pictures / "2.png", "--json", "--library")
    first, second = (json.loads(run(*asked, folder)[1])["matches"] for folder in (library, other))
    assert [(m["path"], m["distance"]) for m in first] == [(m["path"], m["distance"]) for m in second]


def test_strict_tells_of_rejects_by_its_exit_code(run: Run, pictures: Path, tmp_path: Path) -> None:
    common = ("--model", FAKE, "--workers", 0, "--strict")
    assert run("embed", pictures, "--output", tmp_path / "a", *common)[0] == 1
    assert run("embed", pictures / "0.png", "--output", tmp_path / "b", *common)[0] == 0
