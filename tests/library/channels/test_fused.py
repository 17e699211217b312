"""All channels as one: the candidates of each, one expected number, and what each says."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from simsearch.decide.known_rates import KnownRates, all_known, known_rates
from simsearch.decide.rate_curve import JointRate, RateCurve
from simsearch.errors import InputError, LibraryDamaged
from simsearch.extract import load_extractor
from simsearch.images.perturb import by_name
from simsearch.library import Library
from simsearch.spatial.points import Points
from tests.fake import FakeExtractor, OtherExtractor
from tests.library.helpers import HERE
from tests.spatial.pictures import picture

COUNT, COUNT_OF_FOLDER = 12, 34


def rates(*models: str) -> KnownRates:
    """Rates as if strangers were seldom nearer than .12 by rows, or agreed on more than 3 places."""
    rng = np.random.default_rng(0)
    strengths = {"fake": rng.normal(-0.165, 0.018, 20_000), "points": rng.poisson(1.0, 20_000)}
    fingerprints = {"fake": FakeExtractor.fingerprint, "points": Points().fingerprint}
    joint = JointRate.of({fingerprints[name]: strengths[name] for name in models})
    return KnownRates({fingerprints[name]: name for name in models}, joint, 20_000)


RATES = rates("fake", "points")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fused") / "photos"
    folder.mkdir()
    for i in range(COUNT):
        picture(i).save(folder / f"{i}.png")
    picture(0).save(folder / "again.png")
    Image.new("RGB", (90, 60), "teal").save(folder / "blank.png")
    return folder


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Library:
    path = tmp_path_factory.mktemp("library") / "both"
    with Library.create(path, model=[FakeExtractor(), "points", "dhash"], device="cpu") as made:
        made.add(photos, settings=HERE)
    return Library.open(path, extractor=FakeExtractor())


def copies(edit: str) -> list[Image.Image]:
    return [by_name(edit).apply(picture(i), np.random.default_rng(i)) for i in range(COUNT)]


@pytest.mark.parametrize(
    "edit", ["flip_horizontal", "laid_on_image_40", "black_and_white", "cropping_40_and_rescaling"]
)
def test_a_copy_that_keypoints_alone_know_comes_first_and_says_why(library: Library, edit: str) -> None:
    found = library.search_fused(copies(edit), rates=RATES, k=3)
    assert (found.metric, found.channel) == ("fused", "fake+points+dhash")
    for i, answer in enumerate(found):
        first = answer.matches[0]
        assert first.path.endswith(f"/{i}.png") or i == 0
        assert first.expected_false_matches is not None
        assert first.expected_false_matches < 0.1
        assert [one.channel for one in first.evidence.witnesses] == ["fake", "points", "dhash"]
        row, points, dhash = first.evidence.witnesses
        assert row.value == first.distance
        assert points.value >= 4
        assert dhash.expected_false_matches is None  # of a model without rates
        assert first.evidence.overlap is not None
        later = [match.expected_false_matches for match in answer.matches[1:]]
        assert later == sorted(later)
        assert later[0] > 2 * first.expected_false_matches


def test_what_is_said_is_what_each_channel_finds_alone(library: Library) -> None:
    for query in (*copies("cropping_25_and_rescaling")[:3], picture(99)):
        everything = library.search_fused(query, rates=RATES, k=COUNT, candidates=50)[0]
        alone = {match.id: match.distance for match in library.search(query, k=50)[0].matches}
        with Library.open(library.path, channel="points", extractor=FakeExtractor()) as points:
            places = {match.id: match.distance for match in points.search(query, k=50)[0].matches}
        for match in everything.matches:
            row, seen, _ = match.evidence.witnesses
            assert row.value == pytest.approx(alone[match.id], abs=1e-6)
            assert 1 / (1 + seen.value) == pytest.approx(places.get(match.id, 1.0))
            strengths = {FakeExtractor.fingerprint: -row.value, Points().fingerprint: seen.value}
            assert match.expected_false_matches == pytest.approx(len(library) * RATES.rate.rate(strengths))


def test_views_multiply_what_is_expected(library: Library) -> None:
    query = ImageOps.mirror(picture(3))
    plain, flipped = (library.search_fused(query, rates=rates("fake"), views=views)[0] for views in ((), "flips"))
    assert flipped.views == 2
    assert flipped.matches[0].view == "mirrored"
    assert flipped.matches[0].path.endswith("/3.png")
    assert flipped.matches[0].distance < plain.matches[0].distance
    same = library.search_fused(picture(3), rates=rates("fake"), views="flips")[0].matches[0]
    once = library.search_fused(picture(3), rates=rates("fake"))[0].matches[0]
    assert same.expected_false_matches == pytest.approx(2 * once.expected_false_matches)


def test_copies_are_grouped_and_the_query_itself_can_be_left_out(library: Library, photos: Path) -> None:
    first = library.search_fused(photos / "0.png", rates=RATES)[0].matches[0]
    assert {Path(first.path).name, *(Path(one.path).name for one in first.copies)} == {"0.png", "again.png"}
    other = library.search_fused(photos / "0.png", rates=RATES, exclude_self=True)[0].matches[0]
    assert (Path(other.path).name, other.copies) == ("again.png", ())


def test_channels_that_disagree_are_told(library: Library, tmp_path: Path) -> None:
    """Rows of one model for a picture that was painted over, so that nothing but the colours of its cells is left."""
    blocks = picture(5).resize((8, 8), Image.Resampling.BOX).resize((480, 360), Image.Resampling.NEAREST)
    noise = np.random.default_rng(0).integers(-60, 60, (360, 480, 1))
    noise -= noise.reshape(8, 45, 8, 60).mean((1, 3)).astype(int).repeat(45, 0).repeat(60, 1)[..., None]
    forged = Image.fromarray((np.asarray(blocks, int) + noise).clip(0, 255).astype(np.uint8))
    match = library.search_fused(forged, rates=RATES)[0].matches[0]
    assert match.path.endswith("/5.png")
    assert match.evidence.disagree
    fair = library.search_fused(copies("jpg_compression_30"), rates=RATES)
    assert not any(answer.matches[0].evidence.disagree for answer in fair)


def test_rejected_and_blank_queries_are_answered(library: Library, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    rejected, blank = library.search_fused([broken, Image.new("RGB", (80, 80), "red")], rates=RATES)
    assert rejected.rejected is not None
    assert rejected.matches == ()
    assert all(match.expected_false_matches > 0.3 for match in blank.matches if not match.path.endswith("blank.png"))


def test_an_open_file_is_asked_of_every_channel(library: Library, photos: Path) -> None:
    with (photos / "3.png").open("rb") as file:
        [answer] = library.search_fused(file, k=1, rates=RATES)
    [wanted] = library.search_fused(photos / "3.png", k=1, rates=RATES)
    assert [one.id for one in answer.matches] == [one.id for one in wanted.matches] != []


def test_an_answer_is_written_as_json(library: Library) -> None:
    (line,) = library.search_fused(copies("turn_90")[2], rates=RATES, k=1).to_list()
    (match,) = json.loads(json.dumps(line))["matches"]
    assert [one["metric"] for one in match["witnesses"]] == ["js", "places", "hamming"]
    assert match["overlap"]["edits"] == ["turned"]
    assert match["overlap"]["of_query"] > 0.9
    assert match["channels_disagree"] in {True, False}
    plain = library.search(copies("turn_90")[2], k=1).to_list()[0]["matches"][0]
    assert not {"witnesses", "overlap", "channels_disagree"} & plain.keys()


def test_without_known_rates_there_is_no_one_answer(tmp_path: Path, photos: Path) -> None:
    with Library.create(tmp_path / "other", model=OtherExtractor(), device="cpu") as library:
        library.add(photos, settings=HERE)
        with pytest.raises(InputError, match="no rates of false matches are known"):
            library.search_fused(picture(0))


def test_the_rates_of_the_package_are_of_models_that_it_has() -> None:
    for known in all_known():
        assert known.pairs > 1_000_000
        assert isinstance(known.rate.joint, RateCurve)
        assert known_rates(frozenset(known.names)) is not None
    assert known_rates(frozenset()) is None
    beside_any = known_rates(frozenset([Points().fingerprint, "0" * 64]))
    assert beside_any is not None
    assert set(beside_any.names) == {Points().fingerprint}
    both = known_rates(frozenset([Points().fingerprint, load_extractor("mini", device="cpu").fingerprint]))
    assert both is not None
    assert sorted(both.names.values()) == ["mini", "points"]


def test_keypoints_decide_alone_beside_rows_without_rates(library: Library) -> None:
    for i, answer in enumerate(library.search_fused(copies("laid_on_image_50"), k=3)):
        first, *others = answer.matches
        assert first.path.endswith(f"/{i}.png") or i == 0
        row, points, _ = first.evidence.witnesses
        assert row.expected_false_matches is None
        assert first.expected_false_matches == points.expected_false_matches < 0.001
        assert all(other.expected_false_matches > first.expected_false_matches for other in others)


def test_all_channels_are_calibrated_together_on_the_library_itself(tmp_path: Path, photos: Path) -> None:
    """Own rates take the place of the package's, survive reopening and merging, and are refused once stale."""
    path = tmp_path / "own"
    with Library.create(path, model=[FakeExtractor(), "points", "dhash"], device="cpu") as made:
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            for i in range(COUNT_OF_FOLDER):
                picture(100 + i + 100 * (name == "two")).save(folder / f"{name}{i}.png")
            made.add(folder, settings=HERE)
        with pytest.raises(InputError, match="too few for a rate"):
            made.calibrate_fused(pairs=50, settings=HERE)
        seen: list[tuple[int, int]] = []
        report = made.calibrate_fused(pairs=5000, settings=HERE, progress=lambda done, of: seen.append((done, of)))
        assert seen[-1] == (2 * COUNT_OF_FOLDER,) * 2
        assert report.rates.pairs + report.rates.left_out == COUNT_OF_FOLDER**2  # each once, none of one folder
        assert set(report.rates.names.values()) == {"fake", "dhash", "points"}
        assert made.fused_rates().to_dict() == report.rates.to_dict()
        with pytest.raises(InputError, match="two calibrations"):
            made.calibrate_fused(negatives=photos, queries=photos)
    with Library.open(path, extractor=FakeExtractor()) as opened:
        assert opened.fused_rates().to_dict() == report.rates.to_dict()
        [info] = opened.info().calibrations
        assert (info.channel, info.origin, info.items, info.stale) == ("fused", "library", 2 * COUNT_OF_FOLDER, False)
        found = opened.search_fused(copies("flip_horizontal")[:1], k=1, max_expected=50)
        assert found.calibration.origin == "library"
        assert all(one.expected_false_matches is not None for one in found[0].matches[0].evidence.witnesses)
        assert opened.verify() == []
        opened.optimize()
        for i in range(2 * COUNT_OF_FOLDER + 1):
            picture(500 + i).save(tmp_path / "two" / f"later{i}.png")
        opened.add(tmp_path / "two", settings=HERE)
        with pytest.raises(InputError, match="calibrate --fused"):
            opened.search_fused(copies("flip_horizontal")[:1], k=1, max_expected=50)
    file = path / "calibrations" / "fused.json"
    file.write_text(file.read_text().replace("library", "queries"))
    with Library.open(path, extractor=FakeExtractor()) as opened, pytest.raises(LibraryDamaged, match="seal differs"):
        opened.fused_rates()


def test_copies_among_pairs_are_told_and_not_counted(tmp_path: Path) -> None:
    path, asked = tmp_path / "own", tmp_path / "asked"
    photos = tmp_path / "photos"
    for folder in (photos, asked):
        folder.mkdir()
    for i in range(40):
        picture(100 + i).save(photos / f"{i}.png")
        picture(300 + i).save(asked / f"{i}.png")
    for i in range(3):
        picture(100 + i).save(asked / f"copy{i}.jpg", quality=95)
    with Library.create(path, model=[FakeExtractor(), "points"], device="cpu") as made:
        made.add(photos, settings=HERE)
        report = made.calibrate_fused(queries=asked, pairs=10_000, settings=HERE)
    told = {(Path(one.one).stem, Path(one.other).stem) for one in report.copies}
    assert {(f"copy{i}", f"{i}") for i in range(3)} <= told
    assert report.rates.left_out == len(told) <= 5
    assert report.rates.pairs == 43 * 40 - len(told)


def test_a_closer_look_shows_what_stored_keypoints_miss_and_moves_nothing(library: Library, photos: Path) -> None:
    queries = [by_name("cropping_60_and_rescaling").apply(picture(i), np.random.default_rng(i)) for i in range(COUNT)]
    queries.append(Image.new("RGB", (90, 60), "teal"))
    plain = library.search_fused(queries, rates=RATES, k=4)
    closer = library.search_fused(queries, rates=RATES, k=4, closer=True)
    gained = 0
    for before, after in zip(plain, closer, strict=True):
        for old, new in zip(before.matches, after.matches, strict=True):
            assert new.evidence.witnesses[:3] == old.evidence.witnesses
            (added,) = new.evidence.witnesses[3:]
            assert (added.channel, added.metric) == ("points-bytes-8192", "places")
            assert added.expected_false_matches is None or known_rates(frozenset([Points(bytes=8192).fingerprint]))
            assert dataclasses.replace(new, evidence=None) == dataclasses.replace(old, evidence=None)
            seen, stored = new.evidence.to_dict()["overlap"], old.evidence.to_dict()["overlap"]
            shown = seen is not None and seen != stored
            assert shown == (added.value >= 6)
            assert shown or seen == stored
            gained += old.evidence.overlap is None and shown
            own = Points(bytes=8192).compare(queries[plain.queries.index(before)], new.path)
            assert added.value == own.agreeing
    assert gained > 0


def test_a_closer_look_leaves_out_files_that_are_gone_or_changed(tmp_path: Path) -> None:
    for i in range(3):
        picture(i).save(tmp_path / f"{i}.png")
    with Library.create(tmp_path / "library", model=[FakeExtractor(), "points"], device="cpu") as made:
        made.add(sorted(tmp_path.glob("*.png")), settings=HERE)
        (tmp_path / "1.png").unlink()
        picture(7).save(tmp_path / "2.png")
        (answer,) = made.search_fused(picture(0), rates=RATES, k=3, closer=True)
    said = {Path(match.path).name: len(match.evidence.witnesses) for match in answer.matches}
    assert said == {"0.png": 3, "1.png": 2, "2.png": 2}
