"""Examples of sidecars, names, notes in the trash, and files of decisions."""

from __future__ import annotations

import datetime
import doctest
import io
import json
import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsearch.act import read_decisions
from simsearch.act.duplicates import sidecars, trash
from simsearch.act.duplicates.names import free_names
from simsearch.act.duplicates.sidecars import live_videos_of, place_for, sidecars_of
from simsearch.act.duplicates.trash import note_of, trash_for
from simsearch.act.duplicates.unite import copies_of, kinds_beside, ways_named
from simsearch.errors import InputError
from tests.act.worlds import box, video

_NAME = st.binary(min_size=1, max_size=12).filter(lambda name: not set(name) & {0, 47} and name.strip(b"."))


def test_sidecars_are_those_of_the_picture_alone(tmp_path: Path) -> None:
    for name in (
        *("a.jpg", "a.xmp", "a.jpg.xmp", "a.JSON", "a.aae", "a.mov", "a.txt", "ab.xmp", "b.jpg.xmp", "a.jpg.bak"),
        *("raw.cr2", "raw.jpg", "raw.xmp", "raw.jpg.xmp"),
    ):
        (tmp_path / name).touch()
    (tmp_path / "a.json").symlink_to("a.jpg")
    found = {os.path.basename(path) for path in sidecars_of(os.fsencode(tmp_path / "a.jpg"))}
    assert found == {b"a.xmp", b"a.jpg.xmp", b"a.JSON", b"a.aae", b"a.txt"}
    shared = {os.path.basename(path) for path in sidecars_of(os.fsencode(tmp_path / "raw.jpg"))}
    assert shared == {b"raw.jpg.xmp"}, "raw.xmp belongs to raw.cr2 as well"
    assert sidecars_of(b"/no/such/folder/a.jpg") == []


@pytest.mark.parametrize(
    ("picture", "sidecar"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1.jpg", "IMG_1.jpg.suppl.json"),
        ("IMG_1.jpg", "IMG_1.JSON"),
    ],
)
def test_sidecars_of_an_exported_album_are_known_though_their_names_are_cut(
    tmp_path: Path, picture: str, sidecar: str
) -> None:
    for name in (picture, sidecar, "IMG_1.jpg.other.json", "IMG_11.jpg.json"):
        (tmp_path / name).touch()
    assert sidecars_of(os.fsencode(tmp_path / picture)) == [os.fsencode(tmp_path / sidecar)]


@pytest.mark.parametrize(
    ("name", "data", "live"),
    [
        ("a.MOV", video(3), True),
        ("a.mp4", video(3, before=box(b"free", b"\0" * 9)), True),
        ("a.mp", (1).to_bytes(4, "big") + b"mdat" + (20).to_bytes(8, "big") + b"1234" + video(2), True),
        ("a.mov", video(11), False),
        ("a.mov", video(0), False),
        ("a.mov", video(3)[:-60], False),
        ("a.mov", b"", False),
        ("a.mov", b"no film at all, but some words", False),
        ("a.mov", (5).to_bytes(4, "big") + b"moov" + b"\0" * 9, False),
        ("a.avi", video(3), False),
        ("ab.mov", video(3), False),
    ],
)
def test_a_live_photographs_video_is_one_of_a_few_seconds(tmp_path: Path, name: str, data: bytes, live: bool) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / name).write_bytes(data)
    assert live_videos_of(os.fsencode(tmp_path / "a.jpg")) == [os.fsencode(tmp_path / name)] * live
    (tmp_path / "a.heic").touch()
    assert live_videos_of(os.fsencode(tmp_path / "a.jpg")) == [], "it belongs to the other picture as well"


@given(st.binary(max_size=200), st.integers(0, 99))
def test_whatever_a_film_holds_its_length_is_told_or_not(data: bytes, cut: int) -> None:
    film = (box(b"ftyp", b"qt  ") + box(b"moov", data) + video(3))[cut:]
    seconds = sidecars._seconds(io.BytesIO(film), 0, len(film))
    assert seconds is None or seconds >= 0


def test_a_motion_photographs_video_is_called_as_its_stem(tmp_path: Path) -> None:
    for name in ("PXL_1.MP.jpg", "PXL_1.MP", "PXL_1.MP~2.jpg", "PXL_1.MP~2"):
        (tmp_path / name).write_bytes(video(1))
    for name in ("PXL_1.MP", "PXL_1.MP~2"):
        assert live_videos_of(os.fsencode(tmp_path / f"{name}.jpg")) == [os.fsencode(tmp_path / name)]
        paths = [os.fsencode(tmp_path / one) for one in (name, f"{name}.jpg", "kept.jpg", "PXL_2.MP.jpg")]
        assert place_for(paths[0], paths[1], paths[2]) == os.fsencode(tmp_path / "kept.MP")
        assert place_for(paths[0], paths[1], paths[3]) == os.fsencode(tmp_path / "PXL_2.MP")


def test_a_place_beside_another_picture_is_its_alone(tmp_path: Path) -> None:
    (tmp_path / "raw.cr2").touch()
    (tmp_path / "raw.jpg").touch()
    shared = os.fsencode(tmp_path / "raw.jpg")
    assert place_for(b"/a/b.xmp", b"/a/b.png", shared) == os.fsencode(tmp_path / "raw.jpg.xmp")
    assert place_for(b"/a/b.mov", b"/a/b.png", shared) is None
    assert doctest.testmod(sidecars).failed == 0


def test_edits_of_another_picture_are_left_to_exact_copies(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.AAE", "kept.jpg", "kept.txt", "a.txt"):
        (tmp_path / name).touch()
    plain, edits = (
        "<x:xmpmeta>5 stars</x:xmpmeta>",
        '<x:xmpmeta xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/">',
    )
    picture, kept = os.fsencode(tmp_path / "a.jpg"), os.fsencode(tmp_path / "kept.jpg")
    for text, near in ((plain, {b"kept.xmp"}), (edits, set())):
        (tmp_path / "a.xmp").write_text(text)
        for exact in (False, True):
            found = copies_of(picture, sidecars_of(picture), kept, kinds_beside(kept), exact=exact)
            names = {os.path.basename(place) for _, place in found}
            assert names == ({b"kept.xmp", b"kept.AAE"} if exact else near), "kept.txt is there already"


def test_words_of_what_is_united() -> None:
    assert ways_named(["none"]) == ()
    assert ways_named(["times", "tags"]) == ("times", "tags")
    with pytest.raises(InputError, match="sidecars, tags, times, or none"):
        ways_named(["tags", "none"])


@given(_NAME, st.sets(_NAME, max_size=6))
def test_names_are_free_and_keep_their_ending(name: bytes, there: set[bytes]) -> None:
    sidecar = name + b".xmp"
    taken = there | {name}
    names = free_names(name, [sidecar], taken.__contains__)
    assert not taken & set(names)
    assert names[1] == names[0] + b".xmp"
    assert os.path.splitext(names[0])[1] == os.path.splitext(name)[1]


@given(_NAME)
def test_a_note_tells_where_a_file_was_whatever_its_name(name: bytes) -> None:
    now = datetime.datetime(2026, 1, 2, 3, 4, 5)
    lines = note_of(b"/mnt/disk/photos/" + name, b"/mnt/disk/.Trash-1000", now).split(b"\n")
    assert lines[0] == b"[Trash Info]"
    assert unquote_to_bytes(lines[1].removeprefix(b"Path=")) == b"photos/" + name
    assert lines[2:] == [b"DeletionDate=2026-01-02T03:04:05", b""]


def test_in_the_home_trash_a_note_has_the_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "a.jpg").touch()
    path = os.fsencode(tmp_path / "a.jpg")
    home = trash_for(path)
    assert home == os.fsencode(tmp_path / "Trash")
    assert note_of(path, home).split(b"\n")[1] == b"Path=" + path


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_of_another_disk_goes_to_the_trash_at_its_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    top, path = tmp_path / "disk", tmp_path / "disk" / "photos" / "a.jpg"
    path.parent.mkdir(parents=True)
    path.touch()
    if shared:
        (top / ".Trash").mkdir()
        (top / ".Trash").chmod(0o1777)
    monkeypatch.setattr(trash, "_device_of", lambda _: -1)
    monkeypatch.setattr(trash, "_top_of", lambda *_: os.fsencode(top))
    found = Path(os.fsdecode(trash_for(os.fsencode(path))))
    own = str(os.getuid())
    assert found == (top / ".Trash" / own if shared else top / f".Trash-{own}")
    assert found.stat().st_mode & 0o777 == 0o700
    assert note_of(os.fsencode(path), os.fsencode(found)).split(b"\n")[1] == b"Path=photos/a.jpg"


def decisions(tmp_path: Path, **changes: object) -> Path:
    one = {"kept": "a" * 64, "other": "b" * 64, "verdict": "remove", "distance": 0.25, "channel": "mini"}
    values = {"schema": 1, "kind": "duplicates", "by": "Anna", "decisions": [one]} | changes
    path = tmp_path / "decisions.json"
    path.write_text(json.dumps(values))
    return path


def test_a_file_of_decisions_is_read_and_becomes_verdicts_once(tmp_path: Path) -> None:
    found = read_decisions(decisions(tmp_path))
    [told] = found.verdicts("Anna", [])
    assert (told.decision, told.by, told.distance, told.channel) == ("confirm", "Anna", 0.25, "mini")
    assert found.verdicts("Anna", [told]) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 2}, "no file of decisions"),
        ({"kind": "lists"}, "no file of decisions"),
        ({"decisions": {}}, "no file of decisions"),
        ({"decisions": [1]}, "decision 1 is no object"),
        ({"decisions": [{"kept": "a", "other": "b" * 64, "verdict": "keep"}]}, "64 hexadecimal"),
        ({"decisions": [{"kept": "a" * 64, "other": "b" * 64, "verdict": "burn"}]}, "remove, keep, not-duplicates"),
        ({"decisions": [{"kept": "a" * 64, "other": "b" * 64, "verdict": "keep", "distance": "x"}]}, "a number"),
        ({"by": 3}, "must be a name"),
    ],
)
def test_what_is_no_decision_is_named(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_decisions(decisions(tmp_path, **changes))
