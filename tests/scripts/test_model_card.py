"""A model's README says what the records say, and says it only where it was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pages.model_card import EDITS, left_out, model_page, protocol
from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.needle_tables import needle_brief
from simsearch.benchmark.results import Results
from simsearch.extract.zoo.card import load_card
from simsearch.extract.zoo.find import find_model
from simsearch.images.perturb import PAPER
from tests.benchmark.example_results import example

ROOT = Path(__file__).parents[2]
MACHINE = {"cpu": "a CPU", "cores": 2, "gpu": None}
TRAINING: dict[str, Any] = {
    "steps": 1500,
    "batch": 128,
    "minutes": 50.2,
    "start": "mini",
    "start_sha256": "ab" * 32,
    "measured": {"machine": MACHINE},
}
STRANGERS: dict[str, Any] = {
    "library": 250,
    "photographs": "bsds500",
    "strangers": 2299,
    "fpr": 0.005,
    "supported": True,
    "recall_right_image": {"value": 0.8765, "low": 0.81, "high": 0.92},
    "auc_right_image": {"value": 0.99123, "low": 0.98, "high": 0.995},
}
LEFT_OUT: dict[str, Any] = {
    "steps": 400,
    "batch": 64,
    "size": 96,
    "fpr": 0.005,
    "looked_for": 200,
    "strangers": 400,
    "left_out": {
        "text": {
            "own": {"before": 0.5, "after": 0.25},
            "families": [
                {"family": "text_length", "before": 0.5, "after": 0.25},
                {"family": "cropping", "before": 0.75, "after": 0.7},
            ],
        }
    },
}


def test_the_figures_of_a_model_are_those_of_its_splits() -> None:
    lines = protocol("mini", example(), {})
    mean = next(one for one in example().means if (one.method, one.metric) == ("mini", "js"))
    row = next(line for line in lines if line.startswith("| mini by js"))
    assert f"{mean.auc_right_image.mean:.3f}" in row
    assert f"{mean.recall_right_image.lowest:.3f}" in row
    assert any("do not support (`supported: false`)" in line for line in lines)
    assert not any("strangers of another set" in line for line in lines)


def test_the_rate_that_strangers_support_stands_beside_it() -> None:
    text = " ".join(protocol("mini", example(), {"strangers": STRANGERS}))
    assert "2,299 strangers of another set" in text
    assert "0.876 (0.810-0.920) at 0.5 %" in text
    assert "`supported: true`" in text


def test_what_was_left_out_is_told_with_the_family_that_fell_most() -> None:
    assert "| text | 0.500 | 0.250 | text_length 0.500 to 0.250 |" in left_out(LEFT_OUT)


@pytest.mark.parametrize("more", [{}, {"strangers": STRANGERS, "left_out": LEFT_OUT}])
def test_a_page_holds_what_was_measured_and_no_more(more: dict[str, Any]) -> None:
    page = model_page(load_card(find_model("mini")), example(), {"training": TRAINING, **more})
    assert "1,500 steps of 128 pairs in 50 minutes on 2 CPU cores from mini (weights abababababab)" in page
    assert ("never showed" in page) == bool(more)
    assert "Beside the version" not in page
    assert max(map(len, page.split("\n## ")[1].splitlines())) <= 120


def test_the_needle_comes_first_and_says_what_is_lost() -> None:
    run = Results.from_json((ROOT / "results" / "needle.json").read_bytes())
    assert run.needle is not None
    lines = needle_brief(run, run.needle)
    page = model_page(load_card(find_model("mini")), example(), {"training": TRAINING}, needle=lines)
    assert page.index("one expected false match") < page.index("The paper's protocol")
    own = run.needle.methods[0]
    shares = {edit.name: edit.recall[run.needle.middle] for edit in own.edits}
    lost = [name for name, share in shares.items() if share is not None and share.value < 0.5]
    text = " ".join(lines)
    assert all(f"{edit_title(name)} {shares[name].value:.2f} (" in text for name in lost)
    assert len(lost) == text.rpartition("methods):")[2].count("; ") + 1


def test_every_edit_that_is_quoted_is_one_of_the_papers() -> None:
    assert set(EDITS) <= {edit.name for edit in PAPER}
