"""The page beside the paper's figures: made from results alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pages.answer import needle_lines
from pages.benchmark import benchmark_page, difference
from simsearch.benchmark.report.tables import tables
from simsearch.benchmark.results import Results, Spread
from simsearch.benchmark.settings import Needle, Settings, Sweeps
from tests.benchmark.example_results import estimate, example
from tests.benchmark.test_output import columns_agree

PUBLISHED = json.loads(
    (Path(__file__).parents[2] / "results" / "published" / "needle_in_a_haystack.json").read_text(encoding="utf-8")
)


def with_area(area: float) -> Results:
    """The example with dHash at that area on the paper's grid."""
    results = example()
    means = tuple(
        replace(mean, auc_on_grid=Spread(area, area, area)) if mean.method == "dhash" else mean
        for mean in results.means
    )
    return replace(results, means=means)


def test_ours_stand_beside_the_paper_s():
    page = benchmark_page({"bsds500": with_area(0.95)}, PUBLISHED)
    row = next(line for line in page.splitlines() if line.startswith("| dHash |"))
    assert "| 0.950 (0.950-0.950) | 0.942 | +0.009 | yes |" in row.replace("+0.008", "+0.009")
    assert "**1 of 1**" in page
    assert columns_agree(page.splitlines())
    assert "**mini by js**, ours" in page
    assert "SimCLR v2 ResNet50 2x, paper | 0.984" in page


def test_the_page_begins_with_the_needle():
    page = benchmark_page({"bsds500": with_area(0.95)}, PUBLISHED, needle=example())
    assert page.index("## Copies found at one expected false match") < page.index("## Beside the paper")
    assert "| mini by js | 0.800 (0.780-0.820) | 0.700 (0.680-0.720) † |  |" in page
    assert "(commit 0000000, `results/needle.json`" in page
    assert columns_agree(page.splitlines())


def test_the_page_begins_with_the_answer():
    page = benchmark_page({"bsds500": example()}, PUBLISHED, needle=example())
    head = " ".join(page.partition("## Ask your own photographs")[0].split())
    assert head.startswith("# Which method suits your images **In a library of 100,000 strangers, with 1 false match")
    assert "| paper, 1 edits | mini by js 0.700 (0.680-0.720) † | dHash 0.600 (0.580-0.620) † | apart |" in head
    assert "mini by js's distance for N = 1e5 is 0.300 (0.280-0.320 †); 6 pairs of 7 different" in head
    assert "No edit defeats all methods." in head
    assert "For these photographs mini by cosine finds" in head


def test_the_answer_tells_what_was_promised_and_what_came():
    results = example()
    held = replace(results.needle.methods[1].held_out[0], library=1e5)
    assert "0.3 to 1.4 times the false matches" in answer_of(held_out=(held, replace(held, observed=12)))
    assert "false matches promised" not in answer_of(held_out=(replace(held, library=1e4),))
    assert "11.1 times as often" in answer_of()


def test_edits_that_all_lose_are_told_apart_from_those_that_one_loses():
    turned, lost = example().needle.methods[1].edits[1], estimate(0.4)
    weak = replace(turned, recall=(lost, lost, lost))
    text = answer_of(edits=(example().needle.methods[1].edits[0], weak))
    assert "No edit defeats all methods. mini by js finds fewer than half where another finds more: " in text
    assert "turned by 60° (0.40; dHash 0.60)." in text
    assert "No method finds half of the copies after: JPEG quality 10; turned by 60°." in answer_of(0, 1, edits=(weak,))


def answer_of(*methods: int, **changes) -> str:
    """The answer of the example with changes of mini, or of these methods."""
    results = example()
    told = [replace(one, **changes) if i in (methods or (1,)) else one for i, one in enumerate(results.needle.methods)]
    return " ".join(" ".join(needle_lines(results, replace(results.needle, methods=tuple(told)))).split())


def test_an_outlier_is_told_and_explained():
    results = {"bsds500": with_area(0.90)}
    assert "**0 of 1**" in benchmark_page(results, PUBLISHED)
    assert "dHash: not explained yet." in benchmark_page(results, PUBLISHED)
    assert "dHash: Another resize." in benchmark_page(results, PUBLISHED, notes={"dhash": "Another resize."})
    mean = next(mean for mean in results["bsds500"].means if mean.method == "dhash")
    assert abs(difference(mean, PUBLISHED) + 0.0415) < 1e-9


def test_of_two_runs_on_the_paper_s_photographs_the_one_over_most_splits_is_compared():
    fewer = with_area(0.90)
    fewer = replace(fewer, paper=tuple(split for split in fewer.paper if split.seed == fewer.paper[0].seed))
    more = with_area(0.95)
    more = replace(more, paper=(*more.paper, *(replace(split, seed=99) for split in more.paper)))
    page = benchmark_page({"a": fewer, "b": more}, PUBLISHED)
    beside = page.partition("## Beside the paper")[2].partition("## ")[0]
    assert beside.count("| dHash |") == 1
    assert "| dHash | 0.950" in beside
    assert "`results/benchmark/a.json`" in page


def test_a_threshold_that_detects_nothing_is_told_as_none():
    results = example()
    strict = [replace(results.perception[0], threshold=value) for value in (-5e-324, -0.0, None, 0.0, 0.25)]
    whole = "\n".join(tables(replace(results, perception=tuple(strict))))
    text = whole.partition("Recall at a threshold, as perception tells it")[2]
    assert text.count("| none |") == 3
    assert "| 0 |" in text
    assert "| 0.25 |" in text


def test_other_photographs_are_listed_and_not_compared():
    other = replace(example(), photographs=replace(example().photographs, name="holidays"))
    page = benchmark_page({"mine": other}, PUBLISHED)
    assert "## Beside the paper" not in page
    assert "## holidays (`results/benchmark/mine.json`)" in page
    assert columns_agree(page.splitlines())


def test_sweeps_stand_beside_the_paper_s_and_mini_in_them():
    page = benchmark_page({"bsds500": example()}, PUBLISHED)
    block = page.partition("## Hash length")[2].partition("## ")[0]
    assert "| 0.940 |" in next(line for line in block.splitlines() if line.startswith("| dhash | 64 |"))
    assert "mini by js" in block


def test_without_results_the_page_still_tells_how():
    page = benchmark_page({}, PUBLISHED)
    assert "simsearch benchmark photos/" in page
    for name in Settings.model_fields:
        assert f"| `{name}` |" in page or name in ("sweeps", "needle")
    for name in Sweeps.model_fields:
        assert f"| `sweeps.{name}` |" in page
    for name in Needle.model_fields:
        assert f"| `needle.{name}` |" in page
    assert "|  |" not in page.partition("## Settings")[2].partition("\n|---")[2], "every setting has a meaning"
