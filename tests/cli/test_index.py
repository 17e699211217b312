"""`index` and its relatives: counts that add up, what is asked of a library, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import FAKE, OTHER, Run

OUTCOMES = ("added", "unchanged", "exact_copies", "replaced", "rejected")


def indexed(run: Run, *arguments: object) -> dict[str, int]:
    code, out, err = run("index", *arguments, "--workers", 0, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["schema"] == 1
    assert sum(facts[outcome] for outcome in OUTCOMES) == facts["inputs"]
    return facts


def test_every_input_is_counted_once(run: Run, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "l"
    first = indexed(run, pictures, "--library", folder, "--model", FAKE)
    assert [first[outcome] for outcome in OUTCOMES] == [6, 0, 1, 0, 1]
    assert first["rejected_by_code"] == {"unknown_format": 1}
    again = indexed(run, pictures, "--library", folder, "--model", FAKE)
    assert [again[outcome] for outcome in OUTCOMES] == [0, 7, 0, 0, 1]


def test_a_changed_file_is_replaced_and_a_lost_one_pruned(run: Run, pictures: Path, tmp_path: Path) -> None:
    own, folder = tmp_path / "own", tmp_path / "l"
    shutil.copytree(pictures, own)
    indexed(run, own, "--library", folder, "--model", FAKE)
    shutil.copyfile(own / "3.png", own / "1.png")
    (own / "2.png").unlink()
    facts = indexed(run, own, "--library", folder, "--model", FAKE, "--prune")
    assert (facts["replaced"], facts["pruned"], facts["library_size"]) == (1, 1, 6)


def test_the_report_for_people_names_what_was_rejected(run: Run, pictures: Path, tmp_path: Path) -> None:
    code, out, _ = run("index", pictures, "--library", tmp_path / "l", "--model", FAKE, "--workers", 0)
    assert code == 0
    assert "8 inputs" in out
    assert "unknown_format  1" in out
    assert f"{pictures}/broken.jpg: " in out


def test_strict_tells_of_rejects_by_its_exit_code(run: Run, pictures: Path, tmp_path: Path) -> None:
    common = ("--library", tmp_path / "l", "--model", FAKE, "--workers", 0, "--strict")
    assert run("index", pictures, *common)[0] == 1
    assert run("index", pictures / "0.png", *common)[0] == 0


def test_a_library_in_the_folder_that_is_indexed_is_no_input(run: Run, pictures: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(pictures, own)
    for _ in range(2):
        facts = indexed(run, own, "--library", own / "a.library", "--model", FAKE)
        assert facts["inputs"] == 8


def test_another_model_contradicts_the_library(run: Run, library: Path, pictures: Path) -> None:
    code, out, err = run("index", pictures, "--library", library, "--model", OTHER)
    assert (code, out) == (2, "")
    assert "tests.fake:FakeExtractor" in err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--rows", "a.parquet", "--from-list", "b.txt"),
        ("--from-list", "b.txt", "--prune"),
        ("x", "--workers", "-1"),
        ("x", "--batch-size", "0"),
        ("x", "--no-such-flag"),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, out, err = run("index", *arguments, "--library", tmp_path / "l")
    assert (code, out) == (2, "")
    assert "Error: " in err
    assert not (tmp_path / "l").exists()


def test_a_path_that_does_not_exist_is_one_line(run: Run, library: Path) -> None:
    code, out, err = run("index", "/no/such/place", "--library", library)
    assert (code, out) == (3, "")
    last = err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "/no/such/place" in last


def test_remove_takes_images_out_and_optimize_off_the_disk(run: Run, library: Path, pictures: Path) -> None:
    code, out, _ = run("remove", pictures / "1.png", "id:0", "--library", library, "--json")
    assert code == 0
    assert json.loads(out) == {"schema": 1, "removed": 2, "purged": False, "library_size": 5}
    assert run("optimize", "--library", library)[0] == 0
    assert json.loads(run("info", "--library", library, "--json")[1])["items"] == 5
    assert run("remove", pictures / "1.png", "--library", library)[0] == 3


def test_info_says_what_the_library_holds(run: Run, library: Path, pictures: Path) -> None:
    code, out, _ = run("info", "--library", library)
    assert code == 0
    for fact in ("images       7", "rejected     1", FAKE, str(pictures)):
        assert fact in out
    facts = json.loads(run("info", "--library", library, "--json")[1])
    assert (facts["schema"], facts["items"], facts["rejected"]) == (1, 7, 1)


def test_verify_finds_a_flipped_byte(run: Run, library: Path) -> None:
    assert run("verify", "--library", library, "--deep")[0] == 0
    rows = next(library.glob("segments/*/fake.arrow"))
    data = bytearray(rows.read_bytes())
    data[len(data) // 2] ^= 1
    rows.write_bytes(data)
    code, out, err = run("verify", "--library", library, "--deep", "--json")
    assert code == 3
    assert not json.loads(out)["sound"]
    assert err.startswith("error: ")
