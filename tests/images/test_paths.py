"""Paths made absolute mean what the system takes them for, in one spelling."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from simsearch.errors import InputError
from simsearch.images.paths import Links, absolute, raw


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    for folder in ("", "a", "a/b", "a/b/c"):
        (tmp_path / folder / "f").write_bytes(folder.encode())
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "far").symlink_to(tmp_path / "a" / "b" / "c")
    (tmp_path / "a" / "b" / "again").symlink_to("../../far")
    monkeypatch.chdir(tmp_path / "a")
    return tmp_path


@pytest.mark.parametrize("seed", range(20))
def test_an_absolute_path_is_the_file_that_the_system_opens(tree: Path, seed: int) -> None:
    dice = random.Random(seed)
    right = 0
    for _ in range(200):
        steps = [dice.choice([".", "..", "a", "b", "c", "far", "up", "again", ""]) for _ in range(dice.randrange(7))]
        start = dice.choice(["", f"{tree}/", f"//{tree}//"])
        path = os.fsencode(start + "/".join([*steps, "f"]).lstrip("/" * (not start)))
        if not Path(os.fsdecode(path)).exists():
            continue
        whole = absolute(path)
        assert Path(os.fsdecode(whole)).samefile(os.fsdecode(path))
        assert whole == absolute(whole)
        assert not {b"", b".", b".."} & set(whole[1:].split(b"/"))
        links, folder = Links(), os.path.dirname(whole)  # noqa: PTH120
        last = links.last(folder)
        assert (last is None) == (links.real(folder) == folder)
        if last is not None:
            assert os.path.islink(last)  # noqa: PTH114
            assert links.real(last) + folder[len(last) :] == links.real(folder)
        right += 1
    assert right > 20


def test_an_empty_path_is_none() -> None:
    for empty in ("", b""):
        with pytest.raises(InputError, match="empty path"):
            raw(empty)
    assert raw(" ") == b" "


def test_without_a_current_folder_only_whole_paths_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputError, match="folder is gone"):
        absolute(b"a")
    assert absolute(b"/a//b/") == b"/a/b"
