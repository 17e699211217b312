"""Laws of the duplicates of a library, against comparing all by hand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.decide import Calibration, RateCurve
from simsearch.distance import js
from simsearch.errors import FingerprintMismatch, InputError
from simsearch.library import Library
from simsearch.library.calibration.store import keep
from simsearch.library.duplicates.report import Duplicates
from simsearch.library.verdicts.verdict import verdict
from tests.fake import OtherExtractor
from tests.library.helpers import HERE, album, make

ALL = 1.0  # every pair is within


def edited(folder: Path, seed: int, *strengths: int) -> None:
    """Write a picture and copies of it that are ever farther away."""
    rng = np.random.default_rng(seed)
    pixels = np.kron(rng.integers(60, 190, (6, 10, 3)), np.ones((8, 6, 1), np.int64))
    other = rng.integers(-1, 2, pixels.shape)
    folder.mkdir(parents=True, exist_ok=True)
    for strength in (0, *strengths):
        Image.fromarray((pixels + strength * other).astype(np.uint8)).save(folder / f"{seed}-{strength:02d}.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed in range(4):
        edited(tmp_path / "photos", seed, 2, 6, 12)
    shutil.copyfile(tmp_path / "photos" / "0-00.png", tmp_path / "photos" / "again.png")
    return tmp_path / "photos"


@pytest.fixture
def library(tmp_path: Path, photos: Path) -> Iterator[Library]:
    with make(tmp_path / "library") as made:
        made.add(photos, settings=HERE)
        yield made


def names(report: Duplicates) -> set[frozenset[str]]:
    return {
        frozenset(Path(one.path).name for one in (group.kept, *(other.picture for other in group.others)))
        for group in report
    }


def distances(library: Library) -> dict[tuple[str, str], float]:
    """The distance of every two files, by their names."""
    rows = {os.path.basename(path): library.snapshot.row(place, "fake") for place, path in library.snapshot.paths()}
    found = js(np.stack(list(rows.values())), np.stack(list(rows.values()))).astype(np.float32)
    keys = [os.fsdecode(name) for name in rows]
    return {(a, b): float(found[i, j]) for i, a in enumerate(keys) for j, b in enumerate(keys) if i != j}


@pytest.mark.parametrize("grouping", ["pairs", "complete", "components"])
def test_pairs_are_those_within_the_distance(library: Library, grouping: str) -> None:
    apart = distances(library)
    limit = float(np.median(list(apart.values()))) / 2
    report = library.duplicates(max_distance=limit, grouping=grouping)
    shown = {Path(one.picture.path).name for _, one in report.pairs()} | {Path(g.kept.path).name for g in report}
    assert shown == {name for pair, distance in apart.items() if distance <= limit for name in pair}
    for kept, one in report.pairs():
        pair = Path(kept.path).name, Path(one.picture.path).name
        assert one.distance == (apart[pair] if apart[pair] <= limit else None)
        assert one.chained == (apart[pair] > limit)
    assert (report.recall, report.decided, report.gone, report.changed) == (None, 0, 0, 0)
    assert report.frees == sum(one.picture.size for _, one in report.pairs() if not one.chained)


def test_exact_copies_come_at_any_limit_and_are_one_content(library: Library) -> None:
    report = library.duplicates(max_distance=0.0)
    assert names(report) == {frozenset({"0-00.png", "again.png"})}
    [(kept, one)] = report.pairs()
    assert (one.exact, one.distance, one.expected, one.frees) == (True, 0.0, None, kept.size)


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_through_an_index_are_the_same_pairs_also_of_what_came_and_went_since(
    library: Library, photos: Path, kind: str
) -> None:
    library.optimize(recall=0.1, kind=kind)  # so few rows prove no more
    edited(photos, 9, 2, 6)
    library.add(photos, settings=HERE)
    library.remove([photos / "1-00.png"])
    for limit in (0.02, 0.1, 0.3):
        exact = library.duplicates(max_distance=limit, exact=True)
        assert exact.recall is None
        assert library.duplicates(max_distance=limit) == exact
    assert frozenset({"9-00.png", "9-02.png", "9-06.png"}) in names(library.duplicates(max_distance=0.05))


def test_codes_are_compared_by_their_bits(tmp_path: Path, photos: Path) -> None:
    with Library.create(tmp_path / "codes", model="dhash", device="cpu") as library:
        library.add(photos, settings=HERE)
        report = library.duplicates(max_distance=4 / 64)
        rows = {
            os.fsdecode(os.path.basename(path)): library.snapshot.row(place, "dhash")
            for place, path in library.snapshot.paths()
        }
        for kept, one in report.pairs():
            differing = np.unpackbits(rows[Path(kept.path).name] ^ rows[Path(one.picture.path).name]).sum()
            assert one.distance == pytest.approx(differing / 64)
        assert len(report) == 4


def test_blank_pictures_are_grouped_only_as_exact_copies(tmp_path: Path) -> None:
    folder = tmp_path / "blank"
    folder.mkdir()
    for name, level in {"a": 200, "b": 201, "c": 202}.items():
        Image.new("RGB", (40, 40), (level, level, level)).save(folder / f"{name}.png")
    shutil.copyfile(folder / "a.png", folder / "a2.png")
    with make(tmp_path / "library") as library:
        library.add(folder, settings=HERE)
        report = library.duplicates(max_distance=ALL)
        assert names(report) == {frozenset({"a.png", "a2.png"})}
        assert report.weak == 3


@pytest.mark.parametrize("views", ["flips", "turns", "flips,turns"])
def test_mirrored_and_turned_copies_are_found_by_their_views(tmp_path: Path, views: str) -> None:
    folder = tmp_path / "photos"
    edited(folder, 1)
    whole = Image.open(folder / "1-00.png")
    whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "flip.png")
    whole.transpose(Image.Transpose.ROTATE_90).save(folder / "turn.png")
    whole.transpose(Image.Transpose.TRANSPOSE).save(folder / "both.png")
    with make(tmp_path / "library") as library:
        library.add(folder, settings=HERE)
        assert len(library.duplicates(max_distance=0.03)) == 0
        report = library.duplicates(max_distance=0.03, views=views, keep="path:*/1-00.png", settings=HERE)
        found = {
            Path(one.picture.path).name: one.view for kept, one in report.pairs() if kept.path.endswith("1-00.png")
        }
    expected = {"flips": {"flip.png": "mirrored"}, "turns": {"turn.png": "turned 270"}}
    both = {"flip.png": "mirrored", "turn.png": "turned 270", "both.png": "mirrored, turned 90"}
    assert found == expected.get(views, both)


def test_views_of_parts_are_refused(library: Library) -> None:
    with pytest.raises(InputError, match="no duplicate"):
        library.duplicates(max_distance=0.1, views="crops")


def test_against_another_library_its_files_stay(tmp_path: Path, library: Library, photos: Path) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    shutil.copyfile(photos / "0-00.png", backup / "same.png")
    shutil.copyfile(photos / "1-02.png", backup / "second.png")
    with make(tmp_path / "other") as other:
        other.add(backup, settings=HERE)
        report = library.duplicates(against=other, max_distance=0.0)
        pairs = {(Path(kept.path).name, Path(one.picture.path).name) for kept, one in report.pairs()}
        assert pairs == {("same.png", "0-00.png"), ("same.png", "again.png"), ("second.png", "1-02.png")}
        assert all(one.exact and one.picture.own and not kept.own for kept, one in report.pairs())
        wider = library.duplicates(against=other, max_distance=0.05)
        assert {"1-00.png", "1-02.png"} <= {Path(one.picture.path).name for _, one in wider.pairs()}
        assert not any(kept.own for kept, _ in wider.pairs())
        with pytest.raises(InputError, match="the library itself"):
            library.duplicates(against=library, max_distance=0.1)
    with make(tmp_path / "foreign", OtherExtractor()) as foreign, pytest.raises(FingerprintMismatch):
        library.duplicates(against=foreign, max_distance=0.1)


def test_expected_false_pairs_are_the_pairs_times_the_rate(library: Library) -> None:
    with pytest.raises(InputError, match="--max-distance"):
        library.duplicates()
    curve = RateCurve.of(-np.linspace(0.001, 1, 100_000), total=10_000_000)
    channel = library.channel
    keep(library.path, channel, Calibration(channel.fingerprint, "js", curve, None, "library", "noise", 1000, 16))
    library.refresh()
    report = library.duplicates(max_false_pairs=0.5)
    pairs = 16 * 15 / 2
    assert report.compared == 16
    assert report.expected is not None
    assert report.expected.high <= 0.5
    assert report.expected.value == pytest.approx(pairs * float(curve.rate(-report.max_distance)), rel=1e-6)
    for _, one in report.pairs():
        if not one.exact:
            assert one.expected is not None
            assert one.expected.value <= report.expected.value
    usual = library.duplicates()
    assert usual.expected is not None
    assert usual.expected.high <= min(0.1, pairs * 1e-5)
    with pytest.raises(InputError, match="--max-false-pairs"):
        library.duplicates(max_false_pairs=1e-9)
    with pytest.raises(InputError, match="give one of them"):
        library.duplicates(max_false_pairs=1, max_distance=0.1)


def test_more_pairs_than_can_be_held_are_refused(library: Library) -> None:
    for views in ((), "flips"):
        with pytest.raises(InputError, match="more than 10 pairs"):
            library.duplicates(max_distance=ALL, max_pairs=10, views=views)


def test_files_that_are_gone_or_changed_are_neither_kept_nor_shown(library: Library, photos: Path) -> None:
    (photos / "0-00.png").unlink()
    (photos / "again.png").write_bytes(b"something else")
    report = library.duplicates(max_distance=0.0)
    assert (len(report), report.gone, report.changed) == (0, 1, 1)


def test_links_are_told_and_free_nothing(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(2))
    os.link(photos / "0000.png", photos / "hard.png")
    (photos / "soft.png").symlink_to("0000.png")
    with make(tmp_path / "library") as library:
        library.add(photos, settings=HERE)
        report = library.duplicates(max_distance=0.0)
    [group] = report.groups
    assert group.kept.kind == "file"
    assert all(one.same_file and one.frees == 0 for one in group.others)
    assert report.frees == report.files == 0


def test_ten_thousand_decisions_are_never_asked_again(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(142))
    with make(tmp_path / "library") as library:
        library.add(photos, settings=HERE)
        assert library.duplicates(max_distance=ALL, grouping="complete").files == 141
        contents = [segment.content(i) for segment in library.snapshot.segments for i in range(len(segment))]
        pairs = [(a, b) for i, a in enumerate(contents) for b in contents[i + 1 :]]
        library.keep_verdicts(
            [verdict(a, b, ("confirm", "reject")[i % 2], by="Anna") for i, (a, b) in enumerate(pairs)]
        )

        def shown(**how: float) -> int:
            library.refresh()
            found = [library.duplicates(**({"max_distance": ALL} | how), channel=one.name) for one in library.channels]
            assert how or all(report.decided == len(pairs) for report in found)
            return sum(len(report) for report in found)

        assert len(pairs) > 10_000
        assert shown() == 0
        library.add(photos, settings=HERE, rescan=True)
        assert shown() == 0, "after a rescan"
        photos.rename(tmp_path / "moved")
        library.add([tmp_path / "moved"], settings=HERE)
        library.remove([photos])
        assert shown() == 0, "after a move"
        library.reembed(OtherExtractor(), settings=HERE)
        assert shown() == 0, "after embedding again"
        library.optimize()
        assert shown() == 0, "after a merge"
        assert shown(max_distance=0.5) == 0, "with another threshold"
        assert library.duplicates(max_distance=ALL, confirmed=True).files > 0
        edited(tmp_path / "moved", 1, 1)
        library.add([tmp_path / "moved"], settings=HERE)
        assert shown() > 0, "what nobody decided is shown"


def test_confirmed_pairs_are_all_shown_unless_a_limit_is_given(library: Library, photos: Path) -> None:
    far, near = (photos / "0-00.png", photos / "1-00.png"), (photos / "2-00.png", photos / "2-02.png")
    for pair in (far, near):
        library.review(*pair, "confirm", by="Anna")
    library.review(photos / "3-00.png", photos / "3-02.png", "reject", by="Anna")
    apart = distances(library)
    found = {
        frozenset((Path(kept.path).name, Path(one.picture.path).name)): one.distance
        for kept, one in library.duplicates(confirmed=True).pairs()
    }
    assert found == {frozenset(p.name for p in pair): apart[pair[0].name, pair[1].name] for pair in (far, near)}
    limited = library.duplicates(confirmed=True, max_distance=apart["2-00.png", "2-02.png"])
    assert names(limited) == {frozenset(("2-00.png", "2-02.png"))}
    library.remove([photos / "0-00.png", photos / "again.png"])
    assert names(library.duplicates(confirmed=True)) == {frozenset(("2-00.png", "2-02.png"))}


def test_a_rejected_pair_comes_back_when_that_is_undone(library: Library, photos: Path) -> None:
    first, second = photos / "0-00.png", photos / "0-02.png"
    library.review(first, second, "reject", by="Anna")
    pair = {"0-00.png", "0-02.png"}

    def together() -> bool:
        report = library.duplicates(max_distance=0.1, keep="path:*/0-00.png")
        return any({Path(kept.path).name, Path(one.picture.path).name} == pair for kept, one in report.pairs())

    assert not together()
    library.review(second, first, "undo", by="Anna")
    assert together()
    library.review(first, photos / "again.png", "reject", by="Anna")
    assert not any(one.exact for _, one in library.duplicates(max_distance=0.1).pairs())
