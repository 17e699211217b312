"""What is the user's, from the command line: nothing is emptied, no message advises a loss, dry runs name names."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cli.conftest import FAKE, Run
from tests.library.repair.test_repair import LOSSES
from tests.library.test_own_names import tree

Arguments = tuple[object, ...]


def commands(library: Path, pictures: Path) -> list[Arguments]:
    """Every command that names a library."""
    return [
        ("index", pictures, "--library", library, "--workers", 0),
        ("index", pictures, "--library", library, "--model", FAKE, "--workers", 0),
        ("index", pictures, "--library", library, "--prune"),
        ("index", pictures, "--library", library, "--prune", "--dry-run"),
        ("remove", pictures, "--library", library),
        ("remove", pictures, "--library", library, "--purge"),
        ("remove", pictures, "--library", library, "--dry-run"),
        ("info", "--library", library),
        ("verify", "--library", library),
        ("verify", "--library", library, "--deep"),
        ("optimize", "--library", library),
        ("query", pictures / "0.png", "--library", library),
    ]


@pytest.mark.parametrize("loss", ["missing", "empty", "one byte", "flipped", "noise"])
def test_a_lost_manifest_is_told_by_every_command_and_mended_by_the_one_that_is_named(
    run: Run, library: Path, pictures: Path, loss: str
) -> None:
    LOSSES[loss](library)
    segments = tree(library / "segments")
    for arguments in commands(library, pictures):
        code, _, err = run(*arguments)
        assert code == 3, arguments
        assert f"simsearch repair --library {library}" in err
        assert err.count("\n") == 1
        assert "simsearch index" not in err
        assert tree(library / "segments") == segments, arguments
    code, out, err = run("repair", "--library", library)
    assert code == 0, err
    assert "7 images" in out
    assert "not known: which images had been removed" in out
    assert run("verify", "--library", library, "--deep")[0] == 0
    code, out, _ = run("repair", "--library", library)
    assert (code, "nothing to repair" in out) == (0, True)
    assert json.loads(run("repair", "--library", library, "--json")[1])["made"] is False


def test_a_folder_of_the_users_own_is_refused_by_every_command(run: Run, pictures: Path, tmp_path: Path) -> None:
    own = tmp_path / "project"
    (own / "segments" / "train").mkdir(parents=True)
    (own / "segments" / "train" / "mask.png").write_bytes(b"mask")
    (own / "models").mkdir()
    before = tree(own)
    for arguments in [*commands(own, pictures), ("repair", "--library", own)]:
        assert run(*arguments)[0] in {2, 3}, arguments
        assert tree(own) == before, arguments
    code, _, err = run("index", pictures, "--library", own, "--model", FAKE)
    assert (code, "give a new or an empty folder" in err) == (2, True)


def test_a_damaged_segment_is_left_aside(run: Run, library: Path) -> None:
    rows = next(library.glob("segments/*/fake.arrow"))
    rows.write_bytes(rows.read_bytes()[:-9])
    code, _, err = run("verify", "--library", library)
    assert (code, "simsearch index" in err) == (3, False)
    before = tree(library)
    code, _, err = run("repair", "--library", library)
    assert (code, "no segment" in err) == (3, True), "it was the only one"
    assert tree(library) == before


def test_what_an_interrupted_command_left_is_removed_and_said(run: Run, library: Path, pictures: Path) -> None:
    left = library / "segments" / f"{uuid4().hex}.partial"
    left.mkdir()
    code, out, err = run("index", pictures, "--library", library, "--workers", 0, "--model", FAKE, "--json")
    assert code == 0
    assert f"removed segments/{left.name}, which an interrupted command had left\n" in err
    assert json.loads(out)["unchanged"] == 7


def test_dry_runs_print_what_would_go_and_change_nothing(
    run: Run, library: Path, pictures: Path, tmp_path: Path
) -> None:
    photos = shutil.copytree(pictures, tmp_path / "photos")
    odd = Path(os.fsdecode(bytes(photos) + b"/\xff.png"))
    shutil.copyfile(photos / "1.png", odd)
    run("index", photos, "--library", library, "--workers", 0, "--model", FAKE)
    for gone in (photos / "1.png", odd):
        gone.unlink()
    before = tree(library)
    code, out, err = run("index", photos, "--library", library, "--prune", "--dry-run")
    assert (code, sorted(out.splitlines())) == (0, sorted([f"{photos}/1.png", f"{photos}/\\xff.png"]))
    assert "2 would go" in err
    code, out, _ = run("remove", photos, "--library", library, "--dry-run", "--json")
    paths = [json.loads(line)["path"] for line in out.splitlines()]
    assert (code, len(paths), f"{photos}/1.png" in paths) == (0, 8, True)
    code, out, _ = run("remove", photos, "--purge", "--library", library, "--dry-run")
    assert (code, f"{photos}/broken.jpg" in out.splitlines()) == (0, True)
    assert tree(library) == before
    assert run("index", photos, "--library", library, "--dry-run")[0] == 2
    assert run("remove", "--library", library)[0] == 2


def test_an_owner_is_removed_and_purged(run: Run, library: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"path,owner\n{pictures}/1.png,Anna\n{pictures}/2.png,Ben\n")
    run("index", "--from-list", tmp_path / "list.csv", "--library", library, "--workers", 0, "--model", FAKE)
    assert run("remove", "--owner", "Carl", "--library", library)[0] == 3
    code, out, _ = run("remove", "--owner", "Anna", "--purge", "--library", library, "--json")
    told = json.loads(out)
    assert (code, told["removed"], told["purged"], told["library_size"]) == (0, 1, True, 6)
    assert not [path for path in library.rglob("*") if path.is_file() and b"Anna" in path.read_bytes()]
    code, out, _ = run("remove", pictures / "broken.jpg", "--purge", "--library", library)
    assert (code, "erased the names of 1 rejected files" in out) == (0, True)
