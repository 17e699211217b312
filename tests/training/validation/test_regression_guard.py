"""The guard by hand-made distances: equal rates, paired intervals, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from simsearch.decide import recall_at_fpr
from simsearch.errors import GuardRefused
from simsearch.images.perturb import by_name
from simsearch.training.validation.evaluation import Scores, supported_fpr
from simsearch.training.validation.regression_guard import GuardTable, compare
from simsearch.training.validation.report import verdict

EDITS = tuple(map(by_name, ("blur_1", "blur_2", "flip_vertical")))
TRAINED = frozenset({"blur"})


def world(seed: int = 0, n: int = 60, m: int = 80) -> Scores:
    rng = np.random.default_rng(seed)
    own = rng.normal(0.4, 0.1, (n, 1)) + rng.normal(0, 0.05, (n, 3))
    return Scores(own, rng.normal(0.6, 0.1, (m, 1)) + rng.normal(0, 0.05, (m, 3)))


def table(before: Scores, after: Scores, margin: float = 0.02, draws: int = 300) -> GuardTable:
    return compare(before, after, EDITS, trained=TRAINED, fpr=0.05, margin=margin, draws=draws)


def test_an_unchanged_model_passes_with_no_change_at_all() -> None:
    found = table(world(), world(), margin=0.0)
    found.require()
    assert all((c.difference, c.low, c.high) == (0, 0, 0) for c in (*found.families, found.overall))
    assert found.held_out == ("flip_vertical",)


def test_recall_is_that_of_each_models_own_threshold_for_all_edits_together() -> None:
    before, after = world(), world(1)
    found = table(before, after)
    for scores, side in ((before, "before"), (after, "after")):
        threshold = recall_at_fpr(scores.right, scores.strangers, 0.05).threshold
        assert getattr(found.families[0], side) == (scores.right[:, :2] <= threshold).mean()
        assert getattr(found.families[1], side) == (scores.right[:, 2:] <= threshold).mean()
        assert getattr(found.overall, side) == (scores.right <= threshold).mean()


def test_a_family_that_falls_is_refused_and_named() -> None:
    before = world()
    right = before.right.copy()
    right[:, 2] += 0.3
    found = table(before, replace(before, right=right))
    assert [change.family for change in found.fallen] == ["flip_vertical"]
    assert found.families[1].high < 0
    with pytest.raises(GuardRefused, match=r"fell by more than 0\.02: flip_vertical 0\.\d+ to 0\.\d+; .*--force") as e:
        found.require()
    assert e.value.table == found
    table(before, replace(before, right=right), margin=1.0).require()


def test_a_model_that_merely_moves_all_distances_does_not_change() -> None:
    """Only the order counts: each model has its own threshold."""
    before = world()
    after = Scores(before.right / 2 + 0.1, before.strangers / 2 + 0.1)
    assert all(change.difference == 0 for change in table(before, after).families)


def test_intervals_are_paired() -> None:
    """Of two models that differ in one image in sixty the change is sure, however different the images are."""
    before = world()
    right = before.right.copy()
    right[0] = 0.0 if before.right[0, 0] > 0.3 else 2.0
    found = table(before, replace(before, right=right)).overall
    width = found.high - found.low
    assert width <= 0.08
    threshold = recall_at_fpr(before.right, before.strangers, 0.05).threshold
    alone = (before.right <= threshold).mean(axis=1)
    assert width < 0.5 * 4 * alone.std() / len(alone) ** 0.5, "an unpaired interval would be far wider"


def test_intervals_hold_what_they_promise() -> None:
    """Of 60 pairs of models without a true difference, about one in twenty intervals leaves zero out."""
    missed = 0
    for seed in range(60):
        rng = np.random.default_rng(1000 + seed)
        base = rng.normal(0.45, 0.1, (40, 1))
        strange = rng.normal(0.6, 0.1, (60, 1))
        pair = [Scores(base + rng.normal(0, 0.08, (40, 3)), strange + rng.normal(0, 0.05, (60, 3))) for _ in range(2)]
        change = table(*pair, draws=100).overall
        missed += not change.low <= 0 <= change.high
    assert missed <= 11


def test_the_table_is_told_and_kept() -> None:
    found = table(world(), world(1))
    kept = json.loads(json.dumps(found.as_json()))
    assert kept["families"][0]["difference"] == pytest.approx(found.families[0].difference, abs=1e-6)
    assert (kept["passed"], kept["images"], kept["strangers"], kept["supported"]) == (not found.fallen, 60, 80, True)
    assert [line[0] for line in found.lines()] == ["family", "blur", "flip_vertical", "all"]
    assert "too few to support" in verdict(replace(found, supported=False))


def test_the_rate_is_what_strangers_support() -> None:
    assert [supported_fpr(m, None) for m in (3, 60, 600, 6000)] == [0.5, 0.05, 0.005, 0.005]
