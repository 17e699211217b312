"""`duplicates` and `review` as they are typed: what is printed, what JSON and CSV promise, what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from simsearch.act import find_duplicates, find_duplicates_to_remove
from simsearch.cli.commands.act.duplicates import Grouping
from simsearch.library.duplicates.groups import GROUPINGS
from simsearch.runtime.user_files import read_csv
from tests.cli.conftest import FAKE, Run
from tests.library.helpers import album, paint


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / "home" / name.lower()))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = album(tmp_path / "photos", range(4))
    shutil.copyfile(folder / "0000.png", folder / "copy.png")
    shutil.copyfile(folder / "0001.png", folder / os.fsdecode(b"\xff odd\n.png"))
    (folder / "copy.xmp").write_text("five stars")
    return folder


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def found(run: Run, *arguments: object) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    code, out, err = run("duplicates", *arguments, "--json", "--quiet")
    assert code == 0, err
    *groups, totals = map(json.loads, out.splitlines())
    return groups, totals


def test_the_words_of_the_flag_are_those_of_the_library() -> None:
    assert tuple(Grouping) == GROUPINGS


def test_a_folder_is_looked_through_and_never_written_to(run: Run, photos: Path, tmp_path: Path) -> None:
    before = tree(photos)
    photos.chmod(stat.S_IRUSR | stat.S_IXUSR)
    code, out, err = run("duplicates", photos, "--model", FAKE, "--max-distance", 0, "--csv", tmp_path / "d.csv")
    photos.chmod(0o755)
    assert code == 0, err
    assert tree(photos) == before
    assert "2 groups, 2 files could go" in out
    assert r"\xff odd\n.png" in out
    [library] = (tmp_path / "home" / "cache" / "simsearch" / "libraries").iterdir()
    assert str(library) in err
    rows = read_csv(tmp_path / "d.csv", ("group", "kept", "sha256"))
    assert [(row["group"], row["kept"]) for row in rows] == [("1", "1"), ("1", "0"), ("2", "1"), ("2", "0")]
    assert {row["sha256"] for row in rows} == {
        hashlib.sha256((photos / name).read_bytes()).hexdigest() for name in ("0000.png", "0001.png")
    }


def test_trash_and_undo_bring_all_of_it_back(run: Run, photos: Path, tmp_path: Path) -> None:
    before = tree(photos)
    how = (photos, "--model", FAKE, "--max-distance", 0, "--quiet")
    code, out, err = run("duplicates", *how, "--trash", "--journal", tmp_path / "journal")
    assert code == 0, err
    assert "2 put in the trash" in out
    assert {path.name for path in (tmp_path / "home" / "data" / "Trash" / "files").iterdir()} >= {"copy.xmp"}
    assert len(list(photos.iterdir())) == 5
    assert (photos / "0000.xmp").read_text() == "five stars"
    assert found(run, *how[:-1])[1]["files"] == 0
    code, out, err = run("duplicates", "--undo", tmp_path / "journal")
    assert (code, out.startswith("2 brought back")) == (0, True), err
    assert tree(photos) == before
    assert found(run, *how[:-1])[1]["files"] == 2


def test_a_folder_of_which_all_went_is_no_unmounted_disk(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "inside").mkdir()
    shutil.copyfile(photos / "0002.png", photos / "inside" / "2.png")
    how = (photos, "--model", FAKE, "--max-distance", 0, "--keep", "path:*/000*")
    assert run("duplicates", *how, "--move-to", tmp_path / "moved")[0] == 0
    assert list((photos / "inside").iterdir()) == []
    assert found(run, *how)[1]["files"] == 0
    for path in photos.rglob("*.png"):
        path.rename(tmp_path / path.name)
    code, _, err = run("duplicates", *how)
    assert (code, "mounted" in err) == (3, True)


def test_exits_with_1_where_something_was_left_alone(run: Run, photos: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    os.link(photos / "0002.png", photos / "same.png")
    run("index", photos, "--library", library, "--model", FAKE)
    code, out, _ = run("duplicates", "--library", library, "--max-distance", 0, "--move-to", tmp_path / "moved")
    assert code == 1
    assert "2 moved" in out
    assert "same.png: it is the kept file itself" in out or "0002.png: it is the kept file itself" in out


def test_a_folder_to_move_to_lies_outside(run: Run, photos: Path) -> None:
    code, _, err = run("duplicates", photos, "--model", FAKE, "--max-distance", 0, "--move-to", photos / "moved")
    assert (code, "give a folder outside" in err) == (3, True)


def test_decisions_of_a_file_are_kept_and_obeyed(run: Run, photos: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    run("index", photos, "--library", library, "--model", FAKE)
    how = ("--library", library, "--max-distance", 1)
    groups, _ = found(run, *how, "--groups", "complete")
    [group] = groups
    kept, others = group["kept"]["sha256"], group["others"]
    near = {one["sha256"]: one["distance"] for one in others if not one["exact"] and one["sha256"] != kept}
    words = dict(zip(near, ["remove", "keep", "not-duplicates"], strict=True))
    decisions = [
        {"kept": kept, "other": other, "verdict": word, "distance": near[other], "channel": "fake"}
        for other, word in words.items()
    ]
    path = tmp_path / "decisions.json"
    path.write_text(json.dumps({"schema": 1, "kind": "duplicates", "by": "Anna", "decisions": decisions}))
    code, out, err = run("duplicates", "--library", library, "--apply", path)
    assert code == 0, err
    assert "nothing was done" in err
    gone = {photo for photo in photos.glob("*.png") if words.get(_sha(photo)) == "remove"}
    assert len(out.splitlines()) == len(gone) >= 1
    log = [json.loads(line) for line in run("review", "log", "--library", library, "--json")[1].splitlines()]
    assert [entry["decision"] for entry in log] == ["confirm", "confirm", "reject"]
    assert {entry["by"] for entry in log} == {"Anna"}
    code, _, err = run("duplicates", "--library", library, "--apply", path, "--move-to", tmp_path / "moved")
    assert code == 0, err
    assert not any(photo.exists() for photo in gone)
    assert len(list(photos.glob("*.png"))) == 6 - len(gone)
    assert len(run("review", "log", "--library", library, "--json")[1].splitlines()) == 3, "none is kept twice"
    after, totals = found(run, *how, "--groups", "complete")
    shown = {frozenset((g["kept"]["sha256"], one["sha256"])) for g in after for one in g["others"]}
    assert not shown & {frozenset((kept, other)) for other in words}
    assert totals["decided"] >= 3


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_verdicts_are_exported_for_finetune_and_calibrate(run: Run, photos: Path, tmp_path: Path) -> None:
    from simsearch.training.data.pairs import read_pairs

    library = tmp_path / "library"
    run("index", photos, "--library", library, "--model", FAKE)
    for decision, name in (("confirm", "0001.png"), ("reject", "0002.png"), ("reject", "0003.png")):
        code, out, err = run(
            "review", decision, photos / "0000.png", photos / name, "--by", "Anna", "--library", library
        )
        assert (code, f"{decision}: " in out) == (0, True), err
    assert run("review", "undo", photos / "0003.png", photos / "0000.png", "--by", "B", "--library", library)[0] == 0
    code, out, err = run("review", "export", "--pairs", tmp_path / "pairs.csv", "--library", library)
    assert (code, out.startswith("2 pairs")) == (0, True), err
    pairs = read_pairs(tmp_path / "pairs.csv", side=8)
    assert pairs.copies.tolist() == [True, False]
    rows = read_csv(tmp_path / "pairs.csv", ("distance",))
    assert all(float(row["distance"]) > 0 for row in rows)
    code, _, err = run("review", "undo", photos / "0003.png", photos / "0000.png", "--by", "B", "--library", library)
    assert (code, "nothing stands" in err) == (3, True)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("photos", "--library", "library"),
        ("photos", "--undo", "journal"),
        ("--undo", "journal", "--trash"),
        ("photos", "--trash", "--link"),
        ("photos", "--journal", "journal"),
        ("photos", "--by", "Anna"),
        ("--library", "library", "--model", "mini"),
        ("photos", "--apply", "a.json", "--confirmed"),
        ("photos", "--unite", "captions"),
        ("photos", "--keep", "prettiest"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("duplicates", *arguments)[0] == 2


def test_the_helpers_answer_as_imagededup_does(photos: Path, tmp_path: Path) -> None:
    album(photos / "inside", range(1))
    found = find_duplicates(photos, max_distance=0, model=FAKE, device="cpu")
    odd = os.fsdecode(b"\xff odd\n.png")
    assert found == {
        "0000.png": ["copy.png"],
        "0001.png": [odd],
        "0002.png": [],
        "0003.png": [],
        "copy.png": ["0000.png"],
        odd: ["0001.png"],
    }
    scored = find_duplicates(
        photos, max_distance=0, scores=True, recursive=True, model=FAKE, device="cpu", outfile=tmp_path / "o.json"
    )
    assert sorted(scored["0000.png"]) == [("copy.png", 0.0), ("inside/0000.png", 0.0)]
    assert json.loads((tmp_path / "o.json").read_text())["0000.png"][0][1] == 0.0
    removable = find_duplicates_to_remove(photos, max_distance=0, keep="path:*/000*", model=FAKE, device="cpu")
    assert sorted(removable) == sorted(["copy.png", odd])


def test_two_folders_have_a_library_of_their_own(run: Run, photos: Path, tmp_path: Path) -> None:
    paint(tmp_path / "other" / "a.png", 0)
    groups, _ = found(run, photos, tmp_path / "other", "--model", FAKE, "--max-distance", 0)
    assert any("other" in one["path"] for group in groups for one in [group["kept"], *group["others"]])
    assert len(found(run, photos, "--model", FAKE, "--max-distance", 0)[0]) == 2
    assert len(list((tmp_path / "home" / "cache" / "simsearch" / "libraries").iterdir())) == 2


def test_a_page_is_written_beside_what_is_printed_and_nothing_else_changes(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    before, page = tree(photos), tmp_path / "page.html"
    ask = ("duplicates", photos, "--model", FAKE, "--max-distance", 0.01)
    plain = run(*ask)[1]
    code, out, err = run(*ask, "--report", page, "--report-pairs", 1)
    assert (code, out) == (0, plain)
    assert "1 pairs" in err
    assert "1 more are left out" in err
    text = page.read_text()
    assert "Duplicates in photos" in text
    assert "1 more pairs are left out" in text
    assert tree(photos) == before
    for more in (("--trash",), ("--apply", page)):
        assert run(*ask, "--report", page, *more)[0] == 2
    assert run(*ask, "--report-pairs", 3)[0] == 2
    assert run(*ask, "--report", photos / "0000.png")[0] == 3
    assert tree(photos) == before
