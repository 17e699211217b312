"""`calibrate` and `accounts`: what is printed, what JSON promises, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import FAKE, Run
from tests.library.helpers import album, paint

COUNT = 150


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("calibrate")
    album(home / "photos" / "one", range(COUNT // 2))
    album(home / "photos" / "two", range(COUNT // 2, COUNT))
    album(home / "strangers", range(1000, 1030))
    return home


@pytest.fixture
def library(run: Run, photos: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "photos.library"
    assert run("index", photos / "photos", "--library", folder, "--model", "dhash")[0] == 0
    return folder


def test_one_bit_is_one_line_and_bounds_hold_together(run: Run, library: Path) -> None:
    code, out, err = run("calibrate", "--library", library, "--load", 1000)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("dhash by hamming: 5,625 pairs of strangers, 150 items of different folders")
    assert lines[1].split() == ["within", "false", "matches", "at", "least", "at", "most", "false", "a", "day"]
    distances = [float(line.split()[0]) for line in lines[2:]]
    assert distances == pytest.approx([distances[0] - i / 64 for i in range(len(distances))], abs=1e-3)
    [facts] = map(json.loads, run("calibrate", "--library", library, "--show", "--json", "--edits", 3)[1].splitlines())
    assert (facts["origin"], facts["pairs"], facts["stale"], facts["copies"]) == ("library", 5625, False, [])
    for step in facts["steps"]:
        low, high = step["expected_interval"]
        assert low <= step["expected_false_matches"] <= high
        assert 0 <= step["any"] <= 1
        assert 0 <= step["recall"] <= 1
        assert step["reviews"] is None


def test_show_without_own_rates_prints_those_of_the_package(run: Run, library: Path) -> None:
    [facts] = map(json.loads, run("calibrate", "--library", library, "--show", "--json")[1].splitlines())
    assert facts["origin"] == "package"
    code, _, err = run("calibrate", "--library", library, "--show", "--negatives", library)
    assert (code, "--show counts nothing" in err) == (2, True)


def test_copies_among_queries_are_told(run: Run, library: Path, photos: Path, tmp_path: Path) -> None:
    asked = album(tmp_path / "asked", range(2000, 2030))
    paint(asked / "copy.png", 3).with_suffix(".png")
    code, out, _ = run("calibrate", "--library", library, "--queries", asked)
    assert code == 0
    assert "1 pair(s) look like copies and were not counted; look at them:" in out
    assert f"{asked}/copy.png  {photos}/photos/one/0003.png" in out


def test_a_query_says_what_a_match_is_worth_and_decides(run: Run, library: Path, photos: Path) -> None:
    query = photos / "photos" / "one" / "0003.png"
    out = run("query", query, "--library", library, "-k", 2)[1].splitlines()
    assert out[1].split() == ["distance", "by", "chance"]
    assert "at most 1 in" in out[2]
    run("calibrate", "--library", library)
    decided = run("query", query, "--library", library, "-k", 2, "--max-expected", 0.5)[1].splitlines()
    assert [line.split()[-2] for line in decided[2:4]] == ["match", "no"]
    [line] = map(json.loads, run("query", query, "--library", library, "--max-fpr", 0.2, "--json")[1].splitlines())
    assert line["matches"][0]["decision"] is True
    assert line["calibration"]["origin"] == "library"
    code, _, err = run("query", query, "--library", library, "--max-fpr", 0.2, "--max-expected", 1)
    assert (code, "give one of them" in err) == (3, True)


def test_without_rates_a_query_still_answers_and_decides_nothing(run: Run, photos: Path, tmp_path: Path) -> None:
    folder, query = tmp_path / "fake.library", photos / "strangers" / "1000.png"
    run("index", photos / "photos", "--library", folder, "--model", FAKE)
    ask = ("query", query, "--library", folder, "--model", FAKE)
    assert "by chance" not in run(*ask)[1]
    code, _, err = run(*ask, "--max-expected", 1)
    assert (code, "no rates of strangers are known of" in err) == (3, True)
    assert run("calibrate", "--library", folder, "--show")[0] == 3


def test_judged_matches_give_a_threshold_or_how_many_it_takes(run: Run, library: Path, tmp_path: Path) -> None:
    verdicts = tmp_path / "verdicts.csv"
    verdicts.write_text("distance,copy\n" + "".join(f"{i / 2000},1\n" for i in range(800)))
    code, out, _ = run("calibrate", "--library", library, "--show", "--judged", verdicts)
    assert (code, out.splitlines()[-1]) == (0, "judged matches: 0.99 of them are copies up to a distance of 0.3995")
    verdicts.write_text("distance,copy\n0.1,1\n")
    code, _, err = run("calibrate", "--library", library, "--show", "--judged", verdicts)
    assert (code, "it takes" in err) == (3, True)
    verdicts.write_text("distance,copy\n0.1,yes\n")
    code, _, err = run("calibrate", "--library", library, "--show", "--judged", verdicts)
    assert (code, "line 2: distance must be a number and copy 0 or 1" in err) == (3, True)


def test_the_worked_example_of_accounts(run: Run, tmp_path: Path) -> None:
    ask = ("accounts", "--rate", 2e-6, "--photographs", 10_000, "--at-least", 10)
    [facts] = map(json.loads, run(*ask, "--json")[1].splitlines())
    assert facts["expected"] == pytest.approx(0.02)
    assert facts["probability"]["independent"] == pytest.approx(2.8e-24, rel=0.02)
    out = run(*ask, "--dispersion", 50)[1]
    assert "clustered    at least 10 matches  3.8e-06" in out
    owners = tmp_path / "owners.csv"
    owners.write_text("matches,photographs\n" + "0,1000\n" * 95 + "4,1000\n" * 5)
    code, out, err = run("accounts", "--owners", owners, "--photographs", 1000, "--at-least", 3)
    assert code == 0, err
    assert "fitted on 100 owners with 20 matches" in out
    assert "clustered, upper end" in out
    listed = ("accounts", "--pair-rate", 1e-6, "--photographs", 2000, "--listed", 40, "--at-least", 12)
    assert "1.3e-22" in run(*listed)[1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "give one of --rate, --owners and --pair-rate"),
        (("--rate", 0.1, "--pair-rate", 0.1, "--listed", 3), "give one of"),
        (("--pair-rate", 0.1), "belong together"),
    ],
)
def test_accounts_need_one_rate(run: Run, flags: tuple[object, ...], message: str) -> None:
    code, _, err = run("accounts", "--photographs", 10, "--at-least", 1, *flags)
    assert (code, message in err) == (2, True)


def test_all_channels_together_are_calibrated(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "both.library"
    assert run("index", photos / "photos", "--library", folder, "--model", "dhash", "--model", "points")[0] == 0
    code, out, err = run("calibrate", "--library", folder, "--fused", "--pairs", 20_000)
    assert code == 0, err
    assert out.startswith("fused: ")
    assert "items by dhash and points" in out
    assert "the fewest false matches that can be told of a query" in out
    asked = ("calibrate", "--library", folder, "--fused", "--pairs", 3000, "--queries", photos / "strangers", "--json")
    [facts] = map(json.loads, run(*asked)[1].splitlines())
    assert (facts["channel"], facts["origin"], facts["images"]) == ("fused", "queries", 30)
    assert facts["least_expected"] == pytest.approx(3 * COUNT / facts["pairs"])
    assert f"fused, {facts['pairs']:,} pairs of its items and queries" in run("info", "--library", folder)[1]
    [line] = map(
        json.loads, run("query", photos / "strangers" / "1000.png", "--library", folder, "--json")[1].splitlines()
    )
    assert (line["metric"], line["calibration"]["origin"]) == ("fused", "queries")
    err = run("query", photos / "strangers" / "1000.png", "--library", folder)[2]
    assert f"by chance: this library's own, {facts['pairs']:,} pairs of strangers, queries by" in err
    code, _, err = run("calibrate", "--library", folder, "--fused", "--show")
    assert (code, "--fused is of all channels" in err) == (2, True)
    code, _, err = run("query", photos / "strangers", "--library", folder, "--for-query")
    assert (code, "--for-query and --normalise are for images" in err) == (2, True)
