"""Lists on the command line: from a file of codes to an exit code, and through every subcommand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import FAKE, Run
from tests.library.lists.pictures import pdq_of, picture, saved


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return saved(tmp_path / "uploads" / "bad.png", 1)


def test_a_newcomer_checks_pictures_against_a_file_of_codes(run: Run, bad: Path, tmp_path: Path) -> None:
    codes = tmp_path / "hashes.txt"
    codes.write_text(f"pdq {pdq_of(1, 5).value.hex()}\n")
    good = saved(tmp_path / "good.png", 2)
    code, out, _ = run("check", bad, "--list", codes)
    assert code == 10
    assert "listed" in out
    assert "5 bits" in out
    assert run("check", good, "--list", codes)[0] == 0
    assert run("check", bad, "--list", codes, "--max-bits", 4)[0] == 0
    assert run("check", bad, "--list", codes, "--allow", codes)[0] == 0
    codes.write_text(f"{pdq_of(1, 5).value.hex()}\n")
    assert run("check", bad, "--list", codes)[0] == 3  # nothing of it could be used
    assert run("check", bad, "--list", codes, "--type", "pdq")[0] == 10
    (tmp_path / "broken.jpg").write_bytes(b"none")
    assert run("check", good, tmp_path / "broken.jpg", "--list", codes, "--type", "pdq")[0] == 1
    assert run("check", bad, tmp_path / "broken.jpg", "--list", codes, "--type", "pdq")[0] == 10


def test_files_beside_pictures_are_compared_by_their_bytes(run: Run, tmp_path: Path) -> None:
    import hashlib

    movie = tmp_path / "uploads" / "movie.mp4"
    movie.parent.mkdir()
    movie.write_bytes(b"a movie")
    codes = tmp_path / "hashes.txt"
    codes.write_text(f"video_md5 {hashlib.md5(b'a movie').hexdigest()}\n")
    code, out, _ = run("check", movie.parent, "--list", codes, "--json")
    assert code == 10
    assert json.loads(out)["matches"][0]["type"] == "md5"


def test_a_library_keeps_lists(run: Run, library: Path, bad: Path, tmp_path: Path) -> None:
    where = ("--library", library)
    assert run("check", bad, *where)[0] == 3
    assert run("list", "create", "blocked", "--kind", "block", *where)[0] == 0
    assert run("list", "create", "blocked", "--kind", "block", *where)[0] == 3
    code, out, _ = run("list", "add", "blocked", bad, "--tag", "t", "--model", FAKE, *where, "--json")
    assert (code, json.loads(out)["added"]) == (0, 3)
    assert run("list", "add", "blocked", "--code", f"md5:{'ab' * 16}", *where)[0] == 0
    assert run("list", "add", "blocked", "--code", f"pdq:{'00' * 32}", *where)[0] == 3
    assert run("list", "add", "blocked", "--code", "md5:12", *where)[0] == 3
    code, out, _ = run("list", "show", "blocked", *where)
    assert out.count("\n") == 5
    picture(1).resize((150, 150)).save(tmp_path / "copy.jpg")
    assert run("check", tmp_path / "copy.jpg", "--list", "blocked", *where)[0] == 3  # a class is not run unasked
    assert run("check", tmp_path / "copy.jpg", "--list", "blocked", "--model", FAKE, *where)[0] == 10
    assert run("check", tmp_path / "copy.jpg", "--list", "nothing", *where)[0] == 3
    assert (
        run("check", library.parent / "copy.jpg", "--list", "blocked", "--model", FAKE, "--max-bits", 0, *where)[0] == 1
    )
    assert run("list", "create", "press", "--kind", "allow", *where)[0] == 0
    assert run("list", "add", "press", tmp_path / "copy.jpg", "--model", FAKE, *where)[0] == 0
    assert run("check", tmp_path / "copy.jpg", "--model", FAKE, "--max-distance", 0.1, *where)[0] == 0
    code, out, _ = run("list", "show", *where, "--json")
    assert [json.loads(line)["list"] for line in out.splitlines()] == ["blocked", "press"]
    assert run("verify", *where)[0] == 0


def test_lists_go_out_and_come_in(run: Run, library: Path, bad: Path, tmp_path: Path) -> None:
    where = ("--library", library)
    run("list", "create", "one", "--kind", "block", *where)
    run("list", "add", "one", bad, "--model", FAKE, *where)
    for form in ("text", "csv", "ncmec", "stopncii", "hma", "threatexchange"):
        file = tmp_path / f"list.{form}"
        assert run("list", "export", "one", file, "--format", form, *where)[0] == 0
        assert run("list", "create", form, "--kind", "block", *where)[0] == 0
        code, out, _ = run("list", "import", form, file, *where, "--json")
        told = json.loads(out)
        assert code == 0
        assert told["added"] >= 1
        code, out, _ = run("list", "import", form, file, *where, "--json")
        assert (json.loads(out)["added"], json.loads(out)["updated"]) == (0, 0)
        assert run("check", bad, "--list", form, "--model", FAKE, *where)[0] == 10
    assert run("list", "export", "one", tmp_path / "list.csv", "--format", "csv", *where)[0] == 3
    (tmp_path / "verdicts.csv").write_text("entry,verdict\n0,confirm\n")
    how = ("--verdicts", tmp_path / "verdicts.csv", "--format", "stopncii")
    assert run("list", "feedback", "stopncii", tmp_path / "back.json", *how, *where)[0] == 0
    assert json.loads((tmp_path / "back.json").read_text())["count"] == 1


def test_what_is_removed_accuses_nobody_and_a_purge_erases_it(run: Run, library: Path, bad: Path) -> None:
    where = ("--library", library)
    run("list", "create", "one", "--kind", "block", *where)
    run("list", "add", "one", "--code", str(pdq_of(1)), *where)
    assert run("check", bad, *where)[0] == 10
    assert run("list", "remove", "one", 0, *where)[0] == 0
    assert run("check", bad, *where)[0] == 0
    assert pdq_of(1).value in (library / "lists" / "one.arrow").read_bytes()
    code, out, _ = run("list", "remove", "one", "--purge", *where, "--json")
    assert (code, json.loads(out)["erased"]) == (0, 1)
    assert pdq_of(1).value not in (library / "lists" / "one.arrow").read_bytes()
    assert run("list", "remove", "one", *where)[0] == 2
    assert run("list", "release", "one", 0, *where)[0] == 3


def test_a_list_is_calibrated(run: Run, library: Path, tmp_path: Path) -> None:
    where = ("--library", library)
    run("list", "create", "one", "--kind", "block", *where)
    codes = tmp_path / "codes.txt"
    codes.write_text("".join(f"pdq {pdq_of(seed).value.hex()}\n" for seed in range(60)))
    run("list", "import", "one", codes, *where)
    for seed in range(500, 520):
        saved(tmp_path / "strangers" / f"{seed}.png", seed)
    code, out, _ = run("list", "calibrate", "one", "--negatives", tmp_path / "strangers", *where, "--json")
    told = json.loads(out)
    assert (code, told["pairs"], told["photographs"]) == (0, 1200, 20)
    assert [step["bits"] for step in told["steps"]][3] == 31
    assert "31 bits" in run("list", "calibrate", "one", "--negatives", tmp_path / "strangers", *where)[1]
    assert run("list", "calibrate", "one", *where)[0] == 3
