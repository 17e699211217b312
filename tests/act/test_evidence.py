"""The evidence of one match: distances by each model, the overlap, what it is worth, and its page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from simsearch import load_extractor
from simsearch.act import match_evidence, measured, write_evidence
from simsearch.act.page.measured import together, worth
from simsearch.decide.calibration import Expected
from simsearch.decide.known_rates import known_calibrations
from simsearch.errors import InputError
from tests.act.pages import Parsed
from tests.spatial.pictures import picture


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("match")
    whole = picture(1)
    whole.save(folder / "whole.png")
    wide, high = whole.size
    part = whole.crop((wide // 5, high // 5, wide, high))
    ImageOps.mirror(part).save(folder / "<part>\n.png")
    picture(2).save(folder / "other.png")
    Image.new("RGB", (200, 150), "white").save(folder / "blank.png")
    return folder


def test_the_page_tells_what_each_model_says_and_where_they_overlap(photos: Path, tmp_path: Path) -> None:
    a, b = photos / "<part>\n.png", photos / "whole.png"
    told = [measured(load_extractor(name), a, b) for name in ("mini", "points")]
    found = match_evidence(a, b, told, library_size=500)
    assert found.common is not None
    assert found.corners is not None
    assert "mirrored" in found.common.edits
    corners = np.array(found.corners[1])  # of the part in the whole: its right and lower four fifths
    assert np.abs(corners.min(axis=0) - 0.2).max() < 0.04
    assert np.abs(corners.max(axis=0) - 1.0).max() < 0.04

    assert write_evidence(found, tmp_path / "match.html") == (tmp_path / "match.html").stat().st_size
    text = (tmp_path / "match.html").read_text()
    parsed = Parsed(text)
    assert len(parsed.named("polygon")) == 2
    assert f"{told[0].value:.4f} by js" in text
    assert f"{found.seen.agreeing} places agree" in text
    assert "in a library of 500 photographs" in text
    assert len(parsed.named("script")) == 1
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    [facts] = [json.loads(str(one["data-facts"])) for one in parsed.named("div") if one.get("id") == "match"]
    assert facts["chart"] == found.seen.chart.tolist()  # type: ignore[union-attr]


def test_strangers_have_no_outline_and_a_blank_picture_is_told(photos: Path, tmp_path: Path) -> None:
    found = match_evidence(photos / "other.png", photos / "whole.png", [])
    assert (found.common, found.weak, found.same) == (None, False, False)
    told = [measured(load_extractor("phash"), photos / "blank.png", photos / "whole.png")]
    pale = match_evidence(photos / "blank.png", photos / "whole.png", told)
    assert [words for *_, words in pale.lines] == ["nothing: one of the two shows too little"]
    blank = match_evidence(photos / "blank.png", photos / "blank.png", [])
    assert (blank.weak, blank.same) == (True, True)
    write_evidence(blank, tmp_path / "blank.html")
    text = (tmp_path / "blank.html").read_text()
    assert "shows too little" in text
    assert "The bytes are the same" in text


def test_what_it_is_worth_is_what_the_calibration_says(photos: Path) -> None:
    mini = load_extractor("mini")
    one = measured(mini, photos / "other.png", photos / "whole.png")
    [expected] = known_calibrations()[(mini.fingerprint, "js")].expected([one.value], 10_000)
    assert one.expected(10_000) == expected
    assert measured(mini, photos / "other.png", photos / "whole.png", metric="l1").expected(10_000) is None
    assert worth(None, 5) == ""


def test_models_together_never_say_more_than_is_known(photos: Path) -> None:
    images = photos / "other.png", photos / "whole.png"
    told = [measured(load_extractor(name), *images) for name in ("mini", "points")]
    assert together(told[:1], 1000) is None
    found = together(told, 1000)
    assert found is not None
    names, expected = found
    assert names == ("mini", "points")
    assert expected.low <= expected.value <= expected.high
    larger = together(told, 2000)
    assert larger is not None
    assert larger[1].value == pytest.approx(2 * expected.value)


def test_expectations_in_words() -> None:
    told = [worth(Expected(value, value, value, beyond_calibration=True), 1000) for value in (12.0, 0.001)]
    assert told[0].endswith("chance alone finds 12 strangers as near")
    assert worth(Expected(900.0, 900.0, 900.0, beyond_calibration=False), 1000).startswith("nothing")
    assert told[1].endswith("a stranger as near in at most 1 in 1,000 queries")


def test_keypoints_have_no_other_distance(photos: Path) -> None:
    with pytest.raises(InputError, match="places alone"):
        measured(load_extractor("points"), photos / "whole.png", photos / "whole.png", metric="js")
