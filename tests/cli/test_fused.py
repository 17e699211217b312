"""`query` of a library with keypoints: all channels are asked by default, and a match says what it is worth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simsearch.decide.calibration import in_words
from simsearch.images.perturb import by_name
from tests.cli.conftest import FAKE, Run
from tests.spatial.pictures import picture


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "all").mkdir()
    for i in range(4):
        picture(i).save(folder / "all" / f"{i}.jpg", quality=92)
    by_name("laid_on_image_40").apply(picture(2), np.random.default_rng(0)).save(folder / "asked.png")
    return folder


def test_a_picture_in_a_picture_is_found_and_told(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    assert run("index", photos / "all", "--library", folder, "--model", "mini", "--model", "points")[0] == 0
    ask = ("query", photos / "asked.png", "--library", folder)
    code, out, err = run(*ask)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[1].split() == ["distance", "places", "by", "chance"]
    number, _, places, words = lines[2].split(maxsplit=3)
    match = json.loads(run(*ask, "--json", "-k", 1)[1])["matches"][0]
    expected = in_words(match["expected_false_matches"], beyond_calibration=match["beyond_calibration"])
    assert (number, words) == ("1", f"{expected}  {photos}/all/2.jpg  (laid on another picture)")
    assert match["expected_false_matches"] < 0.01
    assert match["expected_interval"][0] <= match["expected_false_matches"] <= match["expected_interval"][1]
    assert int(places) >= 4
    assert json.loads(run(*ask, "--json", "-k", 1, "--max-expected", 0.01)[1])["matches"][0]["decision"] is True
    assert [one["channel"] for one in match["witnesses"]] == ["mini", "points"]
    for alone in (("--no-fused",), ("--metric", "js"), ("--exact",), ("--max-distance", 1), ("--channel", "mini")):
        (line,) = run(*ask, "--json", *alone)[1].splitlines()
        assert json.loads(line)["metric"] == "js"
        code, _, err = run(*ask, "--fused", *alone) if alone != ("--no-fused",) else (2, "", "--fused")
        assert (code, "--fused" in err) == (2, True)


def test_without_keypoints_or_rates_one_channel_is_asked(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    assert run("index", photos / "all", "--library", folder, "--model", FAKE)[0] == 0
    ask = ("query", photos / "asked.png", "--library", folder, "--model", FAKE, "--json")
    assert json.loads(run(*ask)[1])["metric"] == "js"
    code, _, err = run(*ask, "--fused")
    assert (code, "no rates of false matches are known" in err) == (3, True)


def test_keypoints_of_two_images_are_compared(run: Run, photos: Path) -> None:
    ask = ("compare", photos / "asked.png", photos / "all" / "2.jpg", "--model", "points")
    code, out, err = run(*ask)
    assert code == 0, err
    facts = json.loads(run(*ask, "--json")[1])
    assert (facts["metric"], facts["view"]) == ("places", "plain")
    assert int(out.split()[0]) == facts["places"] >= 4
    code, _, err = run("compare", *ask[1:], "--metric", "js")
    assert (code, "leave --metric out" in err) == (2, True)
    code, _, err = run("benchmark", photos / "all", "--models", "points", "--output", photos / "report")
    assert (code, "points have no distance" in err) == (3, True)
