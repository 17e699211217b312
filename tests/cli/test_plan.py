"""`simsearch plan` prints what a number of images costs, and exits with 1 where that does not fit."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Run


def test_what_fits_is_told_with_its_arithmetic(run: Run) -> None:
    code, out, err = run("plan", "--images", "1e6", "--model", "mini", "--memory", "8GiB")
    assert code == 0, err
    assert "index rabitq, 80 bytes a row" in out
    assert "measured" in out
    assert "1,000,000 x (1024 bytes of a row + 158 of an item" in out
    assert out.endswith("fits\n")
    assert "results/search/indexes.json" in err


def test_what_does_not_fit_is_refused_and_what_would_is_told(run: Run) -> None:
    code, out, _ = run("plan", "--images", "1e9", "--memory", "24GiB", "--json")
    told = json.loads(out)
    assert (code, told["schema"], told["fits"]) == (1, 1, False)
    assert {one["what"] for one in told["problems"]} == {"memory while searching", "memory while building"}
    assert all(one["how"] in {"computed", "measured", "extrapolated", "published"} for one in told["figures"])
    assert told["remedies"]
    code, out, _ = run("plan", "--images", "1e9", "--memory", "24GiB", "--machines", 4, "--quiet")
    assert code == 0
    assert "250,000,000 on each of 4 machines" in out


@pytest.mark.parametrize(
    "flags",
    [
        ("--images", "many"),
        ("--images", "1e6", "--memory", "24XB"),
        ("--images", "1e6", "--recall", "2"),
        ("--memory", "1GiB"),
    ],
)
def test_what_is_no_request(run: Run, flags: tuple[str, ...]) -> None:
    assert run("plan", *flags)[0] == 2


def test_no_such_model_is_one_line(run: Run) -> None:
    code, _, err = run("plan", "--images", "1e6", "--model", "nothing")
    assert (code, err.count("\n")) == (3, 1)
