"""The page on a billion images says what the planner and the records say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from measure_plan import REFUSED
from pages.billion import ASKED, billion_page
from render_results import _BILLION, rendered
from simsearch.scale import PlanRequest, plan

ROOT = Path(__file__).parents[2]


def test_the_page_is_rendered_from_planner_and_records() -> None:
    text = (ROOT / "docs" / "billion.md").read_text(encoding="utf-8")
    records = (json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8")) for name in _BILLION)
    assert text == rendered(text, billion_page(*records)), "run scripts/render_results.py"


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_page_calls_refused_is_refused_and_has_a_remedy(name: str) -> None:
    found = plan(REFUSED[name])
    assert found.problems
    assert found.remedies


@pytest.mark.parametrize("request_", ASKED.values(), ids=list(ASKED))
def test_what_the_page_calls_fitting_fits(request_: PlanRequest) -> None:
    assert plan(request_).fits


def test_planned_memory_and_time_are_near_what_was_measured() -> None:
    record = json.loads((ROOT / "results" / "scale" / "plan.json").read_text(encoding="utf-8"))
    for kinds in record["sizes"].values():
        for one in kinds.values():
            assert 0.98 <= one["file"] <= 1.02
            assert 0.5 <= one["time"] <= 2
            assert 0.85 <= one["memory"] <= 1.15
            assert 0.8 <= one["building"] <= 1.2
