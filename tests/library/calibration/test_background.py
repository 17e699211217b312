"""A search by distances less their mean to background rows, and which rows these are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simsearch.decide.calibration import NEAREST
from simsearch.distance import by_name, hamming
from simsearch.errors import InputError
from simsearch.extract.load import load_extractor
from simsearch.library import Library
from simsearch.library.calibration import background, calibrate
from simsearch.library.calibration.background import background_of
from simsearch.library.format.layout import MODELS
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, make, paint

COUNT = 240


def test_background_rows_are_those_of_the_very_model() -> None:
    model, bits = (load_extractor(name, device="cpu") for name in ("mini", "mini(bits=96)"))
    rows = background_of("mini", model.fingerprint)
    assert rows is not None
    assert rows.shape[1] == model.dimension
    codes = background_of("mini(bits=96)", bits.fingerprint)
    assert codes is not None
    assert (len(codes), codes.dtype) == (len(rows), np.uint8)
    near = by_name("js")(rows[:50].astype(np.float32), rows[50:300].astype(np.float32))
    apart = hamming(codes[:50], codes[50:300], bits=96)
    assert np.corrcoef(near.ravel(), apart.ravel())[0, 1] > 0.5
    assert background_of("mini", "f" * 64) is None  # another version made the channel
    assert background_of("dhash", load_extractor("dhash").fingerprint) is None
    assert background_of("own:Class", "f" * 64) is None


@pytest.fixture
def library(tmp_path: Path) -> Library:
    for seed in range(COUNT):
        paint(tmp_path / "photos" / ("one" if seed % 2 else "two") / f"{seed:04d}.png", seed)
    made = make(tmp_path / "library")
    made.add(tmp_path / "photos", settings=HERE)
    return made


def test_distances_are_normalised_by_background_rows(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = FakeExtractor().embed([paint(tmp_path / "strange" / f"{i}.png", 9000 + i) for i in range(120)])
    for module in (background, calibrate):
        monkeypatch.setattr(module, "background_of", lambda model, fingerprint: strange)
    one = library.calibrate().calibration
    assert one.normalised is not None
    asked = [paint(tmp_path / "asked" / f"{i}.png", 5000 + i) for i in range(30)]
    plain, normalised = (library.search(asked, k=3, max_expected=2, normalise=each) for each in (False, True))
    for query, before, after in zip(asked, plain, normalised, strict=True):
        mean = np.sort(by_name("js")(FakeExtractor().embed([query]), strange)[0])[:NEAREST].mean()
        for match, other in zip(after.matches, before.matches, strict=True):
            assert (match.id, match.distance) == (other.id, other.distance)  # one order, another worth
            assert match.expected_false_matches == other.expected_false_matches
            [expected] = one.expected_normalised([match.distance], float(mean), COUNT)
            assert match.expected_for_query == pytest.approx(expected.value, rel=0.05)
            assert match.decision == (expected.high <= 2)
    assert any(match.decision for answer in normalised for match in answer.matches)


def test_without_background_rows_nothing_is_normalised(library: Library, tmp_path: Path) -> None:
    query = paint(tmp_path / "query.png", 1)
    library.calibrate()
    with pytest.raises(InputError, match=r"no rates of normalised distances are known of .*: leave normalise out"):
        library.search(query, normalise=True)


def test_a_card_says_below_which_quality_nobody_is_accused(library: Library, tmp_path: Path) -> None:
    library.calibrate()
    query = paint(tmp_path / "query.png", 1)
    found = library.search(query, k=1, max_expected=5)[0]
    assert (found.low_information, found.matches[0].decision) == (False, True)
    home = library.path / MODELS / library.channel.name
    home.mkdir(parents=True)
    for text, low in (("low_information = 100", True), ('low_information = "all"', False), ("[", False)):
        (home / "model.toml").write_text(text)
        with Library.open(library.path, extractor=FakeExtractor()) as again:
            answer = again.search(query, k=1, max_expected=5)[0]
            assert (answer.low_information, answer.matches[0].decision) == (low, not low)
            assert again.duplicates(max_distance=0.5).weak == (COUNT if low else 0)
