"""What is listed of a picture: near codes and equal digests, excused by allow lists, weighed by chance."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from simsearch.decide.calibration import Calibration
from simsearch.decide.known_rates import known_calibrations
from simsearch.decide.rate_curve import RateCurve
from simsearch.errors import InputError
from simsearch.extract.hashes.pdq import Pdq
from simsearch.images import find
from simsearch.library import Library
from simsearch.library.lists.coded_pictures import listed_contents
from simsearch.library.lists.codes import PDQ_RADIUS, Code, type_of
from simsearch.library.lists.comparison import Thresholds
from simsearch.library.lists.entries import Change, Listed
from simsearch.library.lists.image_list import ImageList
from simsearch.library.lists.open_lists import Models, check_lists
from simsearch.library.lists.store import Kind
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, make
from tests.library.lists.pictures import pdq_of, picture, saved

MODELS = Models()


def listing(codes: list[Code], kind: Kind = "block", name: str = "one") -> ImageList:
    return ImageList.of(name, [Change("x", str(i), (Listed(code),)) for i, code in enumerate(codes)], kind=kind)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("check") / "a.png", 1)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    made = make(tmp_path / "library")
    made.add(saved(tmp_path / "held.png", 50), settings=HERE)
    return made


def test_matches_are_all_codes_within_the_radius_nearest_first(file: Path, rng: np.random.Generator) -> None:
    codes = [pdq_of(1, away) for away in (40, 31, 0, 32, 7, 7)] + [Code("pdq", rng.bytes(32)) for _ in range(300)]
    one = listing(codes)
    (answer,) = check_lists(find([file]), [one], MODELS)
    near = sorted((int(np.bitwise_count(_bytes(code) ^ _bytes(pdq_of(1))).sum()), i) for i, code in enumerate(codes))
    unique = {code: i for i, code in reversed([*enumerate(codes)])}
    wanted = [(bits, i) for bits, i in near if bits <= PDQ_RADIUS and unique[codes[i]] == i]
    assert [match.bits for match in answer.matches] == [bits for bits, _ in wanted]
    assert answer.listed
    known = known_calibrations()[Pdq().fingerprint, "hamming"]
    for match in answer.matches:
        assert match.expected == known.expected([match.distance], len(one))[0]
        assert match.sources[0].origin == "x"


def _bytes(code: Code) -> np.ndarray:
    return np.frombuffer(code.value, np.uint8)


@given(st.integers(0, 40), st.integers(0, 40))
def test_what_is_as_near_to_an_allowed_entry_is_never_told(file: Path, block: int, allow: int) -> None:
    lists = [listing([pdq_of(1, block)]), listing([pdq_of(1, allow)], "allow", "press")]
    (answer,) = check_lists(find([file]), lists, MODELS)
    excused = allow <= PDQ_RADIUS and allow <= block
    assert bool(answer.matches) == (block <= PDQ_RADIUS and not excused)
    assert answer.listed == bool(answer.matches)
    assert answer.allowed == (block <= PDQ_RADIUS and excused)


def test_the_very_file_is_listed_and_only_the_very_file_excuses_it(file: Path) -> None:
    data = file.read_bytes()
    digests = [Code(name, hashlib.new(name, data).digest()) for name in ("md5", "sha1", "sha256")]
    for digest in digests:
        (answer,) = check_lists(find([file]), [listing([digest])], MODELS)
        (match,) = answer.matches
        assert (match.type, match.distance, match.decision) == (digest.type, 0.0, True)
        assert match.expected is not None
        assert match.expected.high == 0
        alike = listing([pdq_of(1)], "allow", "press")
        assert check_lists(find([file]), [listing([digest]), alike], MODELS).listed
        same = listing([digests[0]], "allow", "press")
        (answer,) = check_lists(find([file]), [listing([digest, pdq_of(1)]), same], MODELS)
        assert not answer.matches
        assert answer.allowed


def test_a_blank_picture_is_accused_by_its_bytes_alone(tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    image = Image.new("RGB", (200, 200), "white")
    image.save(blank)
    code = Code("pdq", Pdq().with_quality([image])[0][0].tobytes())
    (answer,) = check_lists(find([blank]), [listing([code])], MODELS)
    assert answer.low_information
    assert [(match.decision, match.why_not) for match in answer.matches] == [(False, "low_information")]
    assert not answer.listed
    sha = Code("sha256", hashlib.sha256(blank.read_bytes()).digest())
    assert check_lists(find([blank]), [listing([sha])], MODELS).listed


def test_a_file_that_is_no_picture_is_compared_by_its_bytes(tmp_path: Path) -> None:
    movie = tmp_path / "movie.jpg"
    movie.write_bytes(b"no picture")
    md5 = Code("md5", hashlib.md5(b"no picture").digest())
    (answer,) = check_lists(find([movie]), [listing([md5, pdq_of(1)])], MODELS)
    assert answer.listed
    assert answer.rejected is not None
    assert str(answer.rejected.code) == "unknown_format"


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\n.png"
    with open(path, "wb") as file:  # noqa: PTH123
        picture(1).save(file, "PNG")
    (answer,) = check_lists(find([path]), [listing([pdq_of(1)])], MODELS)
    assert answer.listed
    assert answer.query_b64 is not None
    assert "\\xff" in (answer.query or "")


def test_decisions_by_expected_false_matches(file: Path) -> None:
    one = listing([pdq_of(1, 10)])
    assert check_lists(find([file]), [one], MODELS, Thresholds(most=0.5)).listed
    with pytest.raises(InputError, match="cannot be told"):
        check_lists(find([file]), [one], MODELS, Thresholds(most=1e-12))
    assert not check_lists(find([file]), [one], MODELS, Thresholds(bits=9)).listed


def test_a_listed_picture_is_found_again_and_its_copies_are(library: Library, tmp_path: Path) -> None:
    library.create_list("bad", "block")
    done = library.add_to_list("bad", saved(tmp_path / "bad.png", 1), tags=["t"], settings=HERE)
    assert (done.pictures, done.changed.added, done.rejected) == (1, 3, ())
    assert set(library.list("bad").types()) == {"pdq", "sha256", type_of(FakeExtractor.fingerprint)}
    assert str(tmp_path).encode() not in (library.path / "lists" / "bad.arrow").read_bytes()
    picture(1).resize((120, 120)).save(tmp_path / "copy.jpg", quality=80)
    copy, other = library.check([tmp_path / "copy.jpg", saved(tmp_path / "other.png", 2)], settings=HERE)
    assert copy.listed
    assert not other.listed
    (memory,) = library.check(picture(1), lists=["bad"], settings=HERE)
    assert [(match.type, match.bits) for match in memory.matches] == [("pdq", 0)]


def test_rows_of_a_channel_without_rates_are_compared_only_by_a_distance(library: Library, tmp_path: Path) -> None:
    library.create_list("bad", "block")
    library.add_to_list("bad", saved(tmp_path / "bad.png", 1), settings=HERE)
    found = library.check(tmp_path / "bad.png", settings=HERE)
    assert [note for note in found.not_compared if "no rates of strangers are known of fake" in note]
    (answer,) = library.check(tmp_path / "bad.png", max_distance=0.01, settings=HERE)
    assert {match.type for match in answer.matches} == set(library.list("bad").types())
    with pytest.raises(InputError, match="no rates of strangers"):
        library.check(tmp_path / "bad.png", max_expected=0.1, settings=HERE)


def test_a_library_with_rates_judges_rows_of_its_channel(library: Library, tmp_path: Path) -> None:
    library.add([saved(tmp_path / "more" / f"{seed}.png", seed) for seed in range(100, 160)], settings=HERE)
    library.calibrate()
    library.create_list("bad", "block")
    library.add_to_list("bad", saved(tmp_path / "bad.png", 1), settings=HERE)
    (answer,) = library.check(tmp_path / "bad.png", max_fpr=0.5, settings=HERE)
    assert {match.type for match in answer.matches if match.decision} == set(library.list("bad").types())


def test_a_flood_is_set_aside_told_and_let_go_once(library: Library, tmp_path: Path) -> None:
    one = library.create_list("bad", "block")
    one.apply([Change("x", "", (Listed(pdq_of(1, 3)),)), Change("x", "", (Listed(pdq_of(2, 3)),))])
    path, found, rounds = saved(tmp_path / "everywhere.png", 1), library.check((), settings=HERE), 0
    library.check(path, count=False, settings=HERE)
    assert library.list("bad").sightings.checks == 0
    while not found.set_aside:
        found, rounds = library.check(path, settings=HERE), rounds + 1
        assert found.listed
    assert found.set_aside == (("bad", 0),)
    assert 5 < rounds < 30
    (answer,) = library.check(path, settings=HERE)
    assert [match.why_not for match in answer.matches] == ["set_aside"]
    assert not answer.listed
    assert library.check(saved(tmp_path / "rare.png", 2), settings=HERE).listed
    library.list("bad").release([0])
    for _ in range(5):
        found = library.check(path, settings=HERE)
        assert found.listed
        assert not found.set_aside
    library.list("bad").remove([0], purge=True)
    assert 0 not in library.list("bad").sightings.counts


def test_a_list_is_calibrated_by_photographs(library: Library, tmp_path: Path, rng: np.random.Generator) -> None:
    one = library.create_list("bad", "block")
    one.apply([Change("x", "", (Listed(Code("pdq", rng.bytes(32))),)) for _ in range(100)])
    photos = [saved(tmp_path / "photos" / f"{seed}.png", seed) for seed in range(30)]
    (made,) = library.calibrate_list("bad", negatives=photos, settings=HERE)
    assert made.calibration.curve.total == 3000
    assert (made.photographs, made.calibration.origin) == (30, "negatives")
    one.apply([Change("x", "", (Listed(pdq_of(1)),))])
    (answer,) = library.check(photos[1], settings=HERE)
    assert answer.matches[0].expected == made.calibration.expected([0.0], 101)[0]
    with pytest.raises(InputError, match="too few for a rate"):
        library.calibrate_list("bad", settings=HERE)
    library.create_list("digests", "block").apply([Change("x", "", (Listed(Code("md5", bytes(16))),))])
    with pytest.raises(InputError, match="digests need no rates"):
        library.calibrate_list("digests", negatives=photos, settings=HERE)
    assert library.verify() == []


def test_a_read_only_folder_is_no_reason_not_to_answer(
    library: Library, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.create_list("bad", "block").apply([Change("x", "", (Listed(pdq_of(1)),))])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("simsearch.library.lists.store.writer_lock", refuse)
    found = library.check(file, settings=HERE)
    assert found.listed
    assert any("could not be counted" in note for note in found.notes)


def test_a_channel_of_pdq_is_not_what_lists_hold(tmp_path: Path) -> None:
    with Library.create(tmp_path / "hashes", model=["pdq", "dhash"], device="cpu") as made:
        made.create_list("bad", "block")
        made.add_to_list("bad", saved(tmp_path / "bad.png", 1), settings=HERE)
        dhash = type_of(made.channels[1].fingerprint)
        assert set(made.list("bad").types()) == {"pdq", "sha256", dhash}
        (answer,) = made.check(tmp_path / "bad.png", settings=HERE)
        assert {(match.type, match.bits) for match in answer.matches} == {("sha256", None), ("pdq", 0), (dhash, 0)}


def test_what_is_stored_of_an_item_is_listed_as_its_file_is(library: Library, tmp_path: Path) -> None:
    blocked = library.create_list("blocked", "block")
    library.add_to_list("blocked", [saved(tmp_path / "listed.png", 50)])
    blocked = library.list("blocked")
    how = {"lists": ["blocked"], "max_distance": 0.1, "count": False}
    [of_file] = library.check([tmp_path / "held.png"], **how)
    stored = library.check_items([0], **how)
    [of_item] = stored
    assert of_item.matches == tuple(match for match in of_file.matches if match.type != "pdq")
    assert {match.type for match in of_item.matches} == {"sha256", type_of(FakeExtractor.fingerprint)}
    assert any("pdq" in text for text in stored.not_compared)
    for entry in blocked.entries():
        [of_code] = library.check_codes([str(entry.code)], **how)
        assert of_code.matches == tuple(match for match in of_file.matches if match.type == entry.code.type)


def test_contents_near_a_listed_row_or_with_a_listed_digest_are_known(library: Library, tmp_path: Path) -> None:
    library.add([saved(tmp_path / f"{seed}.png", seed) for seed in (51, 52)], settings=HERE)
    image = Image.open(tmp_path / "51.png")
    image.resize((150, 150)).save(tmp_path / "near.png")
    library.create_list("blocked", "block")
    library.create_list("press", "allow")
    library.add_to_list("press", [tmp_path / "52.png"])
    digest = hashlib.sha256((tmp_path / "held.png").read_bytes())
    library.list("blocked").add([f"sha256:{digest.hexdigest()}"])
    library.add_to_list("blocked", [tmp_path / "near.png"])
    contents = [hashlib.sha256((tmp_path / f"{name}.png").read_bytes()).digest() for name in ("held", "51", "52")]
    lists = [library.list(name) for name in library.lists()]
    found = listed_contents(library.snapshot, lists, library.list_models(), [*contents, b"x" * 32])
    assert found == {contents[0]}, "no rates are known of these rows, so that nothing is near"
    strangers = np.random.default_rng(0).uniform(0.2, 1, 2_000_000)
    blocked = library.list("blocked")
    blocked.keep_rates(
        Calibration(FakeExtractor.fingerprint, "js", RateCurve.of(-strangers), None, "negatives", "noise", 5000)
    )
    lists = [library.list(name) for name in library.lists()]
    assert listed_contents(library.snapshot, lists, library.list_models(), contents) == set(contents[:2])
