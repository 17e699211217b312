"""`doctor` and `models`: what they say of a sound and of a broken installation."""

from __future__ import annotations

import json

import pytest

from simsearch.cli.commands import doctor
from simsearch.cli.commands.doctor import Check, Health
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("installed", "health"),
    [
        (["faiss-gpu", "opencv-python"], Health.OK),
        (["faiss-gpu", "faiss_cpu"], Health.BROKEN),
        (["opencv-python", "OpenCV-Contrib-Python-Headless"], Health.BROKEN),
        ([], Health.OK),
    ],
)
def test_wheels_that_overwrite_each_other_are_named(installed: list[str], health: Health) -> None:
    (found,) = doctor.clashing(installed)
    assert found.health is health


def test_an_old_python_is_broken() -> None:
    assert doctor.python_version((3, 10, 4)).health is Health.BROKEN
    assert doctor.python_version((3, 11, 0)).health is Health.OK


def test_a_check_that_raises_is_a_finding() -> None:
    found = doctor.guarded("x", lambda: Check("x", Health.OK, str(1 / 0)))
    assert found.health is Health.BROKEN
    assert "ZeroDivisionError" in found.detail
    assert doctor.package("no_such_package").health is Health.BROKEN


def test_little_shared_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SHARED_MEMORY_WANTED", 1 << 60)
    found = doctor.shared_memory()
    assert found.health is Health.WARNING
    assert "--shm-size" in found.detail


def test_a_worker_decodes() -> None:
    assert doctor.decoding_worker().health is Health.OK


@pytest.mark.parametrize("health", Health)
def test_doctor_fails_when_something_is_broken(run: Run, monkeypatch: pytest.MonkeyPatch, health: Health) -> None:
    monkeypatch.setattr(doctor, "run_checks", lambda: iter([Check("a", Health.OK, "1"), Check("b", health, "2")]))
    expected = 3 if health is Health.BROKEN else 0
    assert run("doctor")[0] == expected
    code, out, _ = run("doctor", "--json")
    assert code == expected
    assert json.loads(out.splitlines()[1]) == {"schema": 1, "name": "b", "health": str(health), "detail": "2"}


def test_models_show_refuses_what_there_is_not(run: Run) -> None:
    code, out, err = run("models", "show", "no-such-model")
    assert (code, out) == (3, "")
    assert "no-such-model" in err


def test_models_list_and_show_agree(run: Run) -> None:
    for line in run("models", "list", "--json")[1].splitlines():
        brief = json.loads(line)
        card = json.loads(run("models", "show", brief["name"], "--json")[1])
        for key in ("summary", "dimension", "metric", "status", "fingerprint"):
            assert card[key] == brief[key]
