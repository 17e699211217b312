"""A library's own rates: counted on its rows, kept with it, and laid beside every match."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.decide.calibration import Calibration
from simsearch.decide.rate_curve import RateCurve
from simsearch.distance import by_name
from simsearch.errors import FingerprintMismatch, InputError, LibraryDamaged, StorageFull
from simsearch.library import Library
from simsearch.library.calibration.store import keep
from simsearch.library.format import atomic_files
from simsearch.library.format.layout import CALIBRATIONS
from tests.fake import FakeExtractor, OtherExtractor
from tests.library.helpers import HERE, make, paint

COUNT = 240


def folder_of(path: Path, seeds: range) -> Path:
    for seed in seeds:
        paint(path / f"{seed:04d}.png", seed)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("calibrate")
    folder_of(home / "photos" / "one", range(COUNT // 2))
    folder_of(home / "photos" / "two", range(COUNT // 2, COUNT))
    folder_of(home / "strangers", range(5000, 5060))
    return home


@pytest.fixture
def library(tmp_path: Path, photos: Path) -> Library:
    made = make(tmp_path / "library")
    made.add(photos / "photos", settings=HERE)
    return made


def test_pairs_of_different_folders_are_counted(library: Library) -> None:
    report = library.calibrate()
    one = report.calibration
    assert one.curve.total == (COUNT // 2) ** 2
    assert (one.origin, one.items, one.images, one.left_out) == ("library", COUNT, COUNT, 0)
    rows = np.concatenate([rows for _, rows in library.rows()]).astype(np.float32)
    apart = by_name("js")(rows[: COUNT // 2], rows[COUNT // 2 :])
    for pairs, strength in zip(one.curve.pairs, one.curve.strengths, strict=True):
        assert (apart <= -strength + 1e-6).sum() == pytest.approx(pairs, abs=2)


def test_strangers_are_compared_with_all_items(library: Library, photos: Path) -> None:
    for name in ("negatives", "queries"):
        one = library.calibrate(**{name: photos / "strangers"}).calibration
        assert (one.origin, one.curve.total, one.images) == (name, 60 * COUNT, 60)
    with pytest.raises(InputError, match="give one of them"):
        library.calibrate(negatives=photos, queries=photos)


def test_copies_among_queries_are_left_out_and_told(library: Library, photos: Path, tmp_path: Path) -> None:
    asked = folder_of(tmp_path / "asked", range(7000, 7060))
    for seed in (1, 2, 3):
        with Image.open(photos / "photos" / "one" / f"{seed:04d}.png") as image:
            image.save(asked / f"copy{seed}.jpg", quality=95)
    report = library.calibrate(queries=asked)
    assert report.calibration.left_out == len(report.copies) == 3
    assert {Path(pair.one).stem for pair in report.copies} == {"copy1", "copy2", "copy3"}
    assert all(Path(pair.other).stem == f"000{Path(pair.one).stem[-1]}" for pair in report.copies)
    assert report.calibration.curve.total == 63 * COUNT - 3


def test_every_match_says_what_it_is_worth(library: Library, photos: Path) -> None:
    before = library.search(photos / "strangers" / "5000.png", k=3)
    assert before.calibration is None
    assert before[0].matches[0].expected_false_matches is None
    one = library.calibrate().calibration
    found = library.search(photos / "strangers" / "5000.png", k=3)
    assert found.calibration is not None
    for match in found[0].matches:
        (expected,) = one.expected([match.distance], COUNT)
        assert match.expected_false_matches == pytest.approx(expected.value)
        assert match.expected_interval == pytest.approx((expected.low, expected.high))
        assert match.any_false_match == pytest.approx(expected.any)
        assert match.expected_for_query is None  # so few pairs do not tell what a crowd is
        assert match.decision is None
    [line] = found.to_list()
    assert line["matches"][0]["expected_interval"] == list(found[0].matches[0].expected_interval)
    assert line["calibration"] == {
        "origin": "library", "what": one.what, "images": COUNT, "pairs": one.curve.total, "stale": False,
    }  # fmt: skip
    table = found.to_arrow().to_pydict()
    assert table["expected_high"][0] == found[0].matches[0].expected_interval[1]


def test_a_query_in_a_crowd_meets_more_strangers_than_a_loner(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simsearch.library.calibration import comparison

    monkeypatch.setattr(comparison, "_HITS", 30)
    density = library.calibrate().calibration.density
    assert density is not None
    found = library.search(photos / "strangers", k=1, max_expected=50)
    rows = np.concatenate([rows for _, rows in library.rows()]).astype(np.float32)
    for answer in found:
        row = FakeExtractor().embed([answer.query])
        neighbours = int((by_name("js")(row, rows) <= density.distance).sum())
        assert answer.crowding == pytest.approx(float(density.crowding(neighbours, COUNT)), rel=0.2)
        (match,) = answer.matches
        factor = density.factor(neighbours, COUNT, match.expected_false_matches / COUNT)
        assert match.expected_for_query == pytest.approx(float(factor) * match.expected_false_matches, rel=0.5)
    crowded = sorted(found, key=lambda answer: answer.crowding)
    assert crowded[0].crowding < crowded[-1].crowding
    limit = float(np.median([answer.matches[0].expected_false_matches for answer in found]))
    both, own = (
        library.search(photos / "strangers", k=1, max_expected=limit, for_query=only) for only in (False, True)
    )
    assert sum(one.matches[0].decision for one in own) > sum(one.matches[0].decision for one in both)
    for answer, strict in zip(own, both, strict=True):
        (match,), (other,) = answer.matches, strict.matches
        assert match.decision or not other.decision  # the higher of both decides otherwise
        if match.decision:
            assert match.expected_for_query <= limit


def test_views_multiply_the_chances(library: Library, photos: Path) -> None:
    library.calibrate()
    query = photos / "photos" / "one" / "0003.png"
    plain, several = (library.search(query, k=1, views=views)[0] for views in ((), "flips"))
    assert several.views == 2
    assert several.matches[0].expected_false_matches == pytest.approx(2 * plain.matches[0].expected_false_matches)


def test_a_decision_is_made_by_the_upper_end(library: Library, photos: Path) -> None:
    library.calibrate()
    asked = [photos / "photos" / "one" / "0003.png", photos / "strangers" / "5000.png"]
    for most in (0.01, 0.5, 5):
        for answer in library.search(asked, k=5, max_expected=most):
            for match in answer.matches:
                assert match.decision == (match.expected_interval[1] <= most)
    decided = library.search(asked, k=1, max_fpr=0.5)
    assert [answer.matches[0].decision for answer in decided] == [True, False]
    rows = next(library.rows())[1][:1].astype(np.float32)
    assert library.search_rows(rows, k=1, max_expected=0.5)[0].matches[0].decision is True
    with pytest.raises(InputError, match="two ways to say one thing"):
        library.search(asked, max_expected=1, max_fpr=0.1)
    with pytest.raises(InputError, match="must be a number above 0"):
        library.search(asked, max_expected=-1)


def test_a_picture_that_shows_nothing_accuses_nobody(library: Library, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    Image.new("RGB", (40, 40), "white").save(blank)
    library.add(blank, settings=HERE)
    library.calibrate()
    [answer] = library.search(Image.new("RGB", (50, 50), "white"), k=1, max_expected=5)
    assert answer.matches[0].distance < 1e-3
    assert answer.low_information
    assert answer.matches[0].decision is False


def test_an_item_that_shows_nothing_is_no_match_either(library: Library, tmp_path: Path) -> None:
    """The query has structure enough, but what it meets is blank."""
    Image.new("RGB", (40, 40), "white").save(tmp_path / "blank.png")
    library.add(tmp_path / "blank.png", settings=HERE)
    library.calibrate()
    row = FakeExtractor().embed([Image.new("RGB", (40, 40), "white")])
    assert library.search_rows(row, k=1, max_expected=5)[0].matches[0].decision is False


def test_without_rates_nothing_is_decided(library: Library, photos: Path) -> None:
    with pytest.raises(InputError, match=r"no rates of strangers are known of fake by js.*simsearch calibrate"):
        library.search(photos / "strangers" / "5000.png", max_expected=1)


def test_a_calibration_survives_reopening_merging_and_removing(library: Library, photos: Path) -> None:
    one = library.calibrate().calibration
    library.remove([photos / "photos" / "one" / "0000.png"])
    library.optimize()
    for opened in (library, Library.open(library.path, extractor=FakeExtractor())):
        assert opened.calibration().to_dict() == one.to_dict()
    assert library.verify(deep=True) == []


def test_it_is_stale_after_twofold_growth(tmp_path: Path, photos: Path) -> None:
    with make(tmp_path / "small") as library:
        library.add(photos / "photos" / "one", settings=HERE)
        library.calibrate()
        library.add(photos / "photos" / "two", settings=HERE)
        query = photos / "strangers" / "5000.png"
        assert library.search(query).to_list()[0]["calibration"]["stale"] is True
        with pytest.raises(InputError, match="made with 120 images and the library holds 240"):
            library.search(query, max_expected=1)
        library.calibrate()
        assert library.search(query, max_expected=1)[0].matches[0].decision is False


def test_another_models_calibration_is_refused_and_one_of_another_is_not_used(library: Library) -> None:
    one = library.calibrate().calibration
    other = Calibration.from_dict({**one.to_dict(), "fingerprint": OtherExtractor.fingerprint})
    with pytest.raises(FingerprintMismatch):
        keep(library.path, library.channel, other)
    [path] = (library.path / "calibrations").iterdir()
    assert path.name == "fake-js.json"
    assert library.calibration(metric="cosine") is None


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 1}', "edited"])
def test_damage_is_named_and_mended_by_calibrating_again(library: Library, photos: Path, damage: str) -> None:
    library.calibrate()
    path = library.path / "calibrations" / "fake-js.json"
    written = json.loads(path.read_text())
    path.write_text(json.dumps({**written, "images": 10**6}) if damage == "edited" else damage)
    with Library.open(library.path, extractor=FakeExtractor()) as opened:
        with pytest.raises(LibraryDamaged, match=r"fake-js.json.*run `simsearch calibrate` again"):
            opened.search(photos / "strangers" / "5000.png")
        assert any("fake-js.json" in problem for problem in opened.verify())
        opened.calibrate()
        assert opened.search(photos / "strangers" / "5000.png").calibration is not None
        assert opened.verify() == []


def test_a_link_in_place_of_the_file_is_not_followed(library: Library, tmp_path: Path) -> None:
    library.calibrate()
    path = library.path / "calibrations" / "fake-js.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    with (
        Library.open(library.path, extractor=FakeExtractor()) as opened,
        pytest.raises(LibraryDamaged, match="is a link"),
    ):
        opened.calibration()


def test_edited_copies_are_near_their_originals(library: Library) -> None:
    found = library.edited_copies(5, metric="cosine")
    assert found.distances.shape == (5, len(found.edits))
    gentle = found.edits.index("jpg_compression_30")
    assert (found.distances[:, gentle] < 0.05).all()


def test_what_cannot_be_calibrated_is_refused(tmp_path: Path, photos: Path) -> None:
    with make(tmp_path / "few") as library:
        library.add(sorted((photos / "photos" / "one").iterdir())[:5], settings=HERE)
        with pytest.raises(InputError, match="too few for a rate"):
            library.calibrate()
        with pytest.raises(InputError, match="no image that could be compared"):
            library.calibrate(negatives=[])
        assert not (library.path / "calibrations").exists()
    models = [FakeExtractor(), "points"]
    with Library.create(tmp_path / "places", model=models) as library, pytest.raises(InputError, match="no distances"):
        library.calibrate(channel="points")


def test_the_package_knows_rates_of_its_hashes(tmp_path: Path, photos: Path) -> None:
    with Library.create(tmp_path / "hashes", model="dhash", device="cpu") as library:
        library.add(photos / "photos", settings=HERE)
        found = library.search(photos / "photos" / "one" / "0003.png", k=2)
        assert found.calibration is not None
        assert found.calibration.origin == "package"
        assert isinstance(found.calibration.curve, RateCurve)
        assert found[0].matches[0].expected_false_matches < found[0].matches[1].expected_false_matches


def test_a_full_disk_keeps_the_older_rates_and_nothing_half_written(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a link that lies where the new file is written followed."""
    first = library.calibrate().calibration

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files, "sync", full)
    with pytest.raises(StorageFull):
        library.calibrate(negatives=photos / "strangers")
    monkeypatch.undo()
    (file,) = (library.path / CALIBRATIONS).iterdir()
    library.refresh()
    assert library.calibration().to_dict() == first.to_dict()
    precious = library.path.parent / "precious"
    precious.write_text("mine")
    file.with_name(f"{file.name}.half").symlink_to(precious)
    library.calibrate(negatives=photos / "strangers")
    assert precious.read_text() == "mine"
    assert library.calibration().origin == "negatives"
