"""`embed`: rows as files, equal to what the extractor gives; rows + rejected = inputs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from simsearch.distance import js
from simsearch.errors import FingerprintMismatch, InputError
from simsearch.extract.embeddings.folder import write_folder
from simsearch.extract.embeddings.parquet import read_rows, rows_info
from simsearch.images import find
from tests.cli.conftest import FAKE, Run
from tests.fake import FakeExtractor, OtherExtractor
from tests.library.helpers import album


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


@pytest.mark.parametrize("flag", ["--compile", "--decode-on-device"])
def test_only_networks_are_compiled_or_decoded_for(run: Run, pictures: Path, tmp_path: Path, flag: str) -> None:
    code, _, err = run("embed", pictures, "--output", tmp_path / "rows", "--model", FAKE, flag)
    assert (code, f"{flag} is for networks" in err) == (2, True)
    assert not (tmp_path / "rows").exists()


def test_rows_of_what_the_device_decodes_are_nearly_the_same(run: Run, tiny: Path, tmp_path: Path) -> None:
    for file in list(album(tmp_path / "photos", range(6)).iterdir()):
        Image.open(file).save(file.with_suffix(".jpg"))  # Pillow still decodes the PNGs
    rows = []
    for name, flags in (("a", []), ("b", ["--decode-on-device"])):
        options = ["--model", tiny, "--device", "cpu", "--workers", 0, *flags]
        code, _, err = run("embed", tmp_path / "photos", "--output", tmp_path / name, *options)
        assert code == 0, err
        (batch,) = read_rows(tmp_path / name / "part-00000.parquet")
        rows.append(batch.rows)
    assert np.diagonal(js(*rows)).max() < 0.02


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


def content(folder: Path) -> list[tuple[bytes | None, bytes]]:
    """Path and row of everything, in order."""
    return [
        (path, row.tobytes())
        for part in sorted(folder.glob("part-*.parquet"))
        for batch in read_rows(part)
        for path, row in zip(batch.paths, batch.rows, strict=True)
    ]


@pytest.mark.parametrize("form", ["parquet", "npy"])
@pytest.mark.parametrize("stops", [(1,), (2, 4, 7), (8,)])
def test_a_run_that_was_broken_off_goes_on_and_has_each_row_once(
    pictures: Path, tmp_path: Path, form: Any, stops: tuple[int, ...]
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = write_folder(FakeExtractor(), find([pictures]), whole, workers=0, form=form)
    for at in stops:

        def stop(done: int, at: int = at) -> None:
            if done >= at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_folder(FakeExtractor(), find([pictures]), broken, workers=0, form=form, part_rows=2, progress=stop)
    with (broken / "unfinished.jsonl").open("a") as file:
        file.write('{"rows": 1, "rej')  # killed while it wrote
    (broken / ".part-00009.parquet.7.partial").write_bytes(b"torn")
    report = write_folder(FakeExtractor(), find([pictures]), broken, workers=0, form=form)
    assert (report.rows, report.rejected, report.codes) == (expected.rows, expected.rejected, expected.codes)
    if form == "parquet":
        assert content(broken) == content(whole)
    else:
        rows = [np.concatenate([np.load(part) for part in sorted(at.glob("*.npy"))]) for at in (broken, whole)]
        np.testing.assert_array_equal(*rows)
    rejected = [pq.read_table(folder / "rejected.parquet") for folder in (broken, whole)]
    assert rejected[0].equals(rejected[1])
    assert not [path.name for path in broken.iterdir() if path.name.startswith("unfinished") or "partial" in path.name]


def test_a_run_goes_on_only_as_it_was_begun(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "rows"

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(FakeExtractor(), find([pictures]), folder, workers=0, progress=stop)
    with pytest.raises(FingerprintMismatch, match="begun with fake"):
        write_folder(OtherExtractor(), find([pictures]), folder, workers=0)
    with pytest.raises(InputError, match="begun as parquet"):
        write_folder(FakeExtractor(), find([pictures]), folder, workers=0, form="npy")
    with pytest.raises(InputError, match="other inputs"):
        write_folder(FakeExtractor(), find([pictures / "3.png"]), folder, workers=0)
    assert write_folder(FakeExtractor(), find([pictures]), folder, workers=0).rows == 7
    with pytest.raises(FingerprintMismatch, match="begun with fake"):  # also when it is done
        write_folder(OtherExtractor(), find([pictures]), folder, workers=0)
    with pytest.raises(InputError, match="begun as parquet"):
        write_folder(FakeExtractor(), find([pictures]), folder, workers=0, form="npy")


def test_a_part_is_written_after_some_time_though_it_is_not_full(pictures: Path, tmp_path: Path) -> None:
    report = write_folder(FakeExtractor(), find([pictures]), tmp_path / "rows", workers=0, seconds=0)
    assert report.parts == 7


def test_several_devices_share_out_every_input_in_a_process_each(run: Run, pictures: Path, tmp_path: Path) -> None:
    told = embedded(run, pictures, "--output", tmp_path / "rows", "--device", "cpu,cpu")
    assert (told["rows"], told["rejected"]) == (7, 1)
    whole = tmp_path / "whole"
    write_folder(FakeExtractor(), find([pictures]), whole, workers=0)
    shards = [row for folder in (tmp_path / "rows").iterdir() for row in content(folder)]
    assert {folder.name for folder in (tmp_path / "rows").iterdir()} == {"shard-1-of-2", "shard-2-of-2"}
    assert sorted(shards) == sorted(content(whole))
    told = embedded(run, pictures, "--output", tmp_path / "half", "--device", "cpu,cpu", "--shard", "2/2")
    assert told["rows"] + told["rejected"] == 4
    assert {folder.name for folder in (tmp_path / "half").iterdir()} == {"shard-2-of-4", "shard-4-of-4"}
    again = embedded(run, pictures, "--output", tmp_path / "rows", "--device", "cpu,cpu")
    assert (again["rows"], again["rejected"]) == (7, 1)
    for devices, other in (("cpu", "rows"), ("cpu,cpu,cpu", "rows"), ("cpu,cpu", "whole")):
        code, _, err = run("embed", pictures, "--output", tmp_path / other, "--device", devices, "--model", FAKE)
        assert (code, "give the same --device" in err) == (3, True)


@pytest.mark.slow
def test_2000_images_killed_three_times_equal_the_uninterrupted_run(tmp_path: Path) -> None:
    photos, whole, broken = tmp_path / "photos", tmp_path / "whole", tmp_path / "broken"
    album(photos, range(2000))
    (photos / "broken.jpg").write_bytes(b"no picture")
    command = [sys.executable, "-m", "simsearch.cli", "embed", str(photos), "--model", "mini", "--batch-size", "16"]
    command += ["--part-rows", "100", "--output"]
    kills = 0
    while kills < 3:
        before = len(list(broken.glob("part-*")))
        child = subprocess.Popen([*command, str(broken)], stderr=subprocess.DEVNULL)
        while child.poll() is None and len(list(broken.glob("part-*"))) < before + 3:
            time.sleep(0.05)
        assert child.poll() is None, "it ended before it could be killed"
        child.kill()
        child.wait()
        kills += 1
    for folder in (broken, whole):
        subprocess.run([*command, str(folder)], check=True, stderr=subprocess.DEVNULL)
    found, expected = content(broken), content(whole)
    assert [path for path, _ in found] == [path for path, _ in expected]
    assert len(found) == 2000
    rows = [np.frombuffer(b"".join(row for _, row in each), np.float32).reshape(2000, -1) for each in (found, expected)]
    np.testing.assert_allclose(*rows, atol=1e-4 * float(rows[0].max()))  # batches are cut elsewhere


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
