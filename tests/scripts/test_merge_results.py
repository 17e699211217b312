"""A method measured anew stands where it stood; nothing else moves."""

from __future__ import annotations

import dataclasses

import pytest

from merge_results import merged
from simsearch.benchmark.results import Results
from simsearch.errors import InputError
from tests.benchmark.example_results import example


def newer(method: str) -> Results:
    """A run of one method whose every area is .123."""
    whole = example()
    means = tuple(
        dataclasses.replace(mean, auc=dataclasses.replace(mean.auc, mean=0.123))
        for mean in whole.means
        if mean.method == method
    )
    own = {
        field.name: tuple(row for row in rows if row.method == method)
        for field in dataclasses.fields(Results)
        if isinstance(rows := getattr(whole, field.name), tuple) and any(hasattr(row, "method") for row in rows)
    }
    methods = tuple(one for one in whole.methods if one.name == method)
    settings = {**whole.settings, "models": [method], "device": "cpu"}
    changes = {**own, "means": means, "methods": methods, "settings": settings, "provenance": {"commit": "new"}}
    return dataclasses.replace(whole, **changes)


def test_a_method_is_replaced_and_the_others_stay() -> None:
    old, new = example(), newer("mini")
    both = merged(old, new)
    assert [mean.method for mean in both.means] == [mean.method for mean in old.means]
    for before, after in zip(old.means, both.means, strict=True):
        assert after.auc.mean == (0.123 if after.method == "mini" else before.auc.mean)
    for method in both.methods:
        assert method.measured == ({"commit": "new"} if method.name == "mini" else {})
    assert both.provenance == old.provenance
    assert dataclasses.replace(both, means=old.means, methods=old.methods) == old, "the rest was measured alike"


def test_what_was_not_measured_again_of_a_method_is_gone() -> None:
    both = merged(example(), dataclasses.replace(newer("mini"), times=()))
    assert example().times
    assert all(row.method != "mini" for row in both.times)


def test_what_only_the_newer_run_measured_is_there() -> None:
    both = merged(dataclasses.replace(example(), times=()), newer("mini"))
    assert both.times == newer("mini").times != ()


def test_a_new_method_comes_last() -> None:
    whole = example()
    alone = dataclasses.replace(whole, methods=tuple(one for one in whole.methods if one.name != "mini"))
    assert [one.name for one in merged(alone, newer("mini")).methods][-1] == "mini"


@pytest.mark.parametrize("change", ["photographs", "settings"])
def test_runs_that_do_not_compare_are_refused(change: str) -> None:
    new = newer("mini")
    if change == "photographs":
        new = dataclasses.replace(new, photographs=dataclasses.replace(new.photographs, digest="0"))
    else:
        new = dataclasses.replace(new, settings={**new.settings, "seeds": [7]})
    with pytest.raises(InputError, match=r"cannot be merged|setting seeds"):
        merged(example(), new)
