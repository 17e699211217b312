"""What is told of a benchmark: the answer, tables, the page beside the paper's figures."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from pathlib import Path

import pytest

from simsearch.benchmark.report import labels, leaderboard, palette, summary, tables
from simsearch.benchmark.report.leaderboard import answer_rate, contenders
from simsearch.benchmark.report.summary import between, per_cent
from simsearch.benchmark.results import Estimate, Results, Spread
from simsearch.images.perturb import FAMILIES, names
from tests.benchmark.example_results import example

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "needle_in_a_haystack.json"
NOTHING = Results(settings={}, photographs=replace(example().photographs, name="none"), methods=example().methods)


def sections(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("## ")]


def columns_agree(lines: list[str]) -> bool:
    """Each block of lines that begin with | has one number of columns."""
    blocks, before = [], ""
    for line in lines:
        if line.startswith("|"):
            if not before.startswith("|"):
                blocks.append(set())
            blocks[-1].add(line.count("|"))
        before = line
    return all(len(block) == 1 for block in blocks)


def test_contenders_stand_in_the_order_of_what_they_find():
    found = contenders(example())
    rate = answer_rate(found)
    shares = [one.at(rate).recall_right_image.value for one in found]
    assert shares == sorted(shares, reverse=True)
    assert sorted(one.place for one in found) == [0, 1, 2]
    assert {one.label for one in found} == {"dHash", "mini by js", "mini by cosine"}


def test_the_answer_s_rate_is_the_smallest_that_all_support():
    """The example supports 5 % alone; where nothing is supported the loosest rate is told, with a warning."""
    results = example()
    assert answer_rate(contenders(results)) == 0.05
    said = summary.answer(results)
    assert said.supported
    assert said.rate == 0.05
    bare = tuple(
        replace(mean, operating=tuple(replace(point, supported=False) for point in mean.operating))
        for mean in results.means
    )
    unsure = summary.answer(replace(results, means=bare))
    assert not unsure.supported
    assert "not supported" in unsure.sentences[0]


def test_the_headline_holds_the_numbers_of_the_best():
    results = example()
    said, best = summary.answer(results), contenders(results)[0]
    point = best.at(said.rate)
    assert said.best == best
    assert f"{best.label} finds {per_cent(point.recall_right_image)} of edited copies" in said.headline
    assert f"flagging {per_cent(point.measured_fpr)} of strangers" in said.headline
    assert between(point.recall_right_image) in said.sentences[0]


def test_overlapping_intervals_are_told_apart_from_clear_ones():
    assert any("may be chance" in line for line in summary.answer(example()).sentences)
    results = example()
    sure = tuple(
        replace(
            split,
            operating=tuple(
                replace(point, recall_right_image=Estimate(0.3, 0.29, 0.31) if split.method == "dhash" else one)
                for point in split.operating
                for one in [Estimate(0.9, 0.89, 0.91)]
            ),
        )
        for split in results.paper
        if split.metric != "cosine"
    )
    means = tuple(mean for mean in results.means if mean.metric != "cosine")
    assert any("do not overlap" in line for line in summary.answer(replace(results, paper=sure, means=means)).sentences)


def test_edits_that_none_sees_through_are_told_also_where_only_means_were_kept():
    results = example()
    kept = tuple(replace(split, attacks=()) for split in results.paper)
    assert any("Every edit is seen through" in line for line in summary.answer(replace(results, paper=kept)).sentences)
    low = Spread(0.4, 0.3, 0.5)
    lost = tuple(
        replace(mean, attacks=(replace(mean.attacks[0], recall_right_image=low), *mean.attacks[1:]))
        for mean in results.means
    )
    said = summary.answer(replace(results, paper=kept, means=lost)).sentences
    assert "After these edits no method finds half of the copies: JPEG quality 10." in said
    bare = tuple(replace(mean, attacks=()) for mean in results.means)
    said = summary.answer(replace(results, paper=kept, means=bare)).sentences
    assert not any("edit" in line for line in said), "nothing is said of edits that were not measured"


def test_a_run_without_the_paper_s_protocol_has_no_answer():
    said = summary.answer(NOTHING)
    assert said.best is None
    assert "Missing: ORB" in said.headline
    assert contenders(NOTHING) == ()


def test_every_protocol_has_its_table(tmp_path):
    path = tables.write_tables(example(), tmp_path / "new")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(sections(lines)) == 16
    assert columns_agree(lines)
    assert "*not supported*" in "\n".join(lines)
    assert sections(tables.tables(NOTHING)) == []


def test_a_record_that_kept_no_single_edits_has_no_table_of_them():
    results = example()
    bare = replace(results, paper=tuple(replace(split, attacks=()) for split in results.paper))
    here, there = ("## AUC of each edit, any match" in tables.tables(r) for r in (results, bare))
    assert (here, there) == (True, False)


def test_a_hostile_name_stays_in_its_cell():
    hostile = "a|b\n<script>alert(1)</script>"
    methods = tuple(replace(method, label=hostile) for method in example().methods)
    lines = tables.tables(replace(example(), methods=methods))
    assert columns_agree(lines)
    assert "<script" not in "\n".join(lines)


@pytest.mark.parametrize("name", names())
def test_every_edit_has_a_title(name):
    title = labels.edit_title(name)
    assert title != name
    assert "_" not in title
    assert "{" not in title


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_titles_of_families_hold_the_strength_as_often_as_names_and_headings_hold_none(family):
    assert family.title.count("{}") == family.template.count("{}")
    assert not {"_", "{"} & set(labels.family_title(family.name))


def test_an_unknown_edit_keeps_its_name():
    assert labels.edit_title("my.edits:fade(strength=0.3)") == "my.edits:fade(strength=0.3)"
    assert labels.edit_title("overlay_image_15(opacity=0.5)") == "another image over 15 % (opacity=0.5)"


def test_colours_tell_methods_apart_in_both_schemes():
    assert len(set(palette.COLOURS)) == len(palette.COLOURS) == len(palette.COLOURS_DARK)
    looks = {palette.style(place, "hash") for place in range(12)}
    assert len(looks) == 12
    for ink, ground in zip(palette.HEAT_INK, palette.HEAT, strict=True):
        assert contrast(ink, ground) > 4.5
    for ink, ground in zip(palette.HEAT_INK_DARK, palette.HEAT_DARK, strict=True):
        assert contrast(ink, ground) > 4.5
    for colour in palette.COLOURS:
        assert contrast(colour, palette.GROUND) > 2.7
    for colour in palette.COLOURS_DARK:
        assert contrast(colour, palette.GROUND_DARK) > 4.5


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("module", [summary, leaderboard, palette, tables, labels])
def test_the_examples_hold(module):
    assert doctest.testmod(module).failed == 0


def test_the_published_figures_are_whole():
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert len(published["methods"]) == 16
    for theirs in published["methods"].values():
        assert len(theirs["attacks"]) == 58
        assert set(published["strongest"]) <= set(theirs["attacks"])
        low, high = theirs["auc_between"]
        assert low <= theirs["auc_on_grid"] <= high
    assert published["methods"]["dhash"]["auc_on_grid"] == 0.9415
    assert published["methods"]["simclr_v2_r50_2x_sk1"]["recall"]["0.005"] == pytest.approx(0.866, abs=5e-4)
