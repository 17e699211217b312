"""The proof that needs a GPU is rehearsed without one: its stages, plan, inputs in parts, and its way of failing."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from goals import judge

ROOT = Path(__file__).parents[1]
FIRST = ["coexist", "serve", "js", "embed", "billion"]
SECONDS = {"a": 1, "b": 1, "c": 1, "d": 100}


@pytest.fixture(scope="module")
def proof() -> Any:
    """The script as a module."""
    return importlib.import_module("gpu_proof")


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str]:
    """Exit status and output of a rehearsal of every stage, in a process of its own as a user would start it."""
    command = [sys.executable, "scripts/gpu_proof.py", "--rehearse"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    (tmp_path_factory.getbasetemp() / "rehearsal.log").write_text(done.stdout + done.stderr)
    return done.returncode, done.stdout + done.stderr


def test_every_stage_passes_its_rehearsal(proof: ModuleType, rehearsal: tuple[int, str]) -> None:
    status, output = rehearsal
    assert status == 0, output
    for name in proof.MODULES:
        assert f"\n{name}: " in f"\n{output}"


def test_every_stage_says_what_it_asks_needs_and_takes(proof: ModuleType) -> None:
    plan = importlib.import_module("proof.plan")
    for name in proof.MODULES:
        stage = proof.stage(name)
        assert stage.name == name
        assert stage.question.endswith("?")
        assert stage.size
        assert 0 < stage.minutes <= 28
        plan.check(stage)
    assert len({proof.stage(name).value for name in proof.MODULES}) == len(proof.MODULES)


def test_the_first_quarter_of_an_hour_settles_the_most(proof: ModuleType) -> None:
    plan = importlib.import_module("proof.plan")
    stages = [proof.stage(name) for name in proof.MODULES]
    assert [stage.name for stage in sorted(stages, key=lambda each: -each.value)] == list(proof.MODULES)
    chosen, _ = plan.fitting(stages, 15.0)
    assert [stage.name for stage in chosen][: len(FIRST)] == FIRST
    assert all(stage.minutes <= (4 if stage.name == "billion" else 2) for stage in chosen)


def test_what_is_too_heavy_to_carry_is_refused(proof: ModuleType) -> None:
    heavy = importlib.import_module("proof.stage").Input("rows.npy", 60.0)
    with pytest.raises(ValueError, match="limits needs 64 MiB"):
        importlib.import_module("proof.plan").check(replace(proof.stage("limits"), inputs=(heavy,)))


def test_calls_are_short_and_light_and_keep_the_order(proof: ModuleType) -> None:
    plan, stages = importlib.import_module("proof.plan"), [proof.stage(name) for name in proof.MODULES]
    found = plan.calls(stages)
    assert [stage for call in found for stage in call] == stages
    for call in found:
        assert sum(stage.minutes for stage in call) <= plan.CALL_MINUTES
        assert plan.weight(call) <= 46
    text = "\n".join(plan.plan(stages, 100.0, Path("nowhere")))
    assert text.count("    source .gpu/activate && ") == len(found)


@pytest.mark.parametrize("minutes", [3.0, 10.0, 30.0, 100.0])
def test_a_plan_fits_and_prefers_what_is_worth_more(proof: ModuleType, minutes: float) -> None:
    plan = importlib.import_module("proof.plan")
    stages = [proof.stage(name) for name in proof.MODULES]
    chosen, left = plan.fitting(stages, minutes)
    assert sum(stage.minutes for stage in chosen) + plan.START_MINUTES <= max(minutes, plan.START_MINUTES)
    assert [stage.value for stage in chosen] == sorted((stage.value for stage in chosen), reverse=True)
    assert all(stage.minutes > left for stage in stages if stage not in chosen)


def test_the_plan_names_the_files_that_each_stage_needs(proof: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "train-0.tar").write_bytes(bytes(3 << 20))
    stages = [proof.stage(name) for name in proof.MODULES]
    text = "\n".join(importlib.import_module("proof.plan").plan(stages, 100.0, tmp_path))
    assert ".gpu/data/train/train-0.tar (3.0 MiB), .gpu/data/strangers/dev.tar (11.8 MiB)" in text
    for stage in stages:
        assert stage.question in text
        assert all(wanted.path in text for wanted in stage.inputs)


def test_inputs_may_come_one_after_another_and_are_kept(proof: ModuleType, tmp_path: Path) -> None:
    train, state = proof.stage("train"), tmp_path / "state"
    data = proof.make_toys(tmp_path / "data")
    first = tmp_path / "first"
    (first / "train").mkdir(parents=True)
    (data / "train" / "train-0.tar").rename(first / "train" / "train-0.tar")
    assert not proof.gather(train, first, state)
    assert [wanted.path for wanted in proof.missing(train, state)] == ["strangers/dev.tar"]
    assert proof.gather(train, data, state)
    assert (state / "inputs" / "train" / "train-0.tar").read_bytes() == ((first / "train" / "train-0.tar").read_bytes())
    assert not list((state / "inputs").rglob("*.half"))


def settled(proof: ModuleType, work: Any, folder: Path) -> bool:
    stages = importlib.import_module("proof.stage")
    stage = replace(proof.stage("limits"), name="example", work=work)
    folder.mkdir(exist_ok=True)
    run = stages.Run(torch.device("cpu"), True, folder, folder, folder, time.monotonic() + 60)
    return bool(proof.settle(stage, run, {"limits": {"copy": 1}}, commit="abc"))


def test_a_record_holds_verdict_limits_and_goals(proof: ModuleType, tmp_path: Path) -> None:
    stages = importlib.import_module("proof.stage")
    finding = stages.Finding("it runs", {"figure": 3}, (judge("G5", 0.7),))
    assert settled(proof, lambda run: finding, tmp_path)
    record = json.loads((tmp_path / "example.json").read_text())
    assert (record["verdict"], record["figure"], record["limits"]) == ("it runs", 3, {"copy": 1})
    assert record["goals"][0] == {"goal": "G5", "part": "", "value": 0.7, "target": 0.6, "met": True, "note": ""}
    assert {"commit", "machine", "versions"} <= set(record["measured"])


def test_a_stage_that_fails_leaves_its_reason_and_no_record(proof: ModuleType, tmp_path: Path) -> None:
    def broken(run: Any) -> Any:
        raise MemoryError("no room on the device")

    assert not settled(proof, broken, tmp_path)
    assert not (tmp_path / "example.json").exists()
    assert "no room on the device" in (tmp_path / "example.failed.txt").read_text()


def test_a_file_too_heavy_to_come_back_is_told(
    proof: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = importlib.import_module("proof.stage")
    with (tmp_path / "rows.npy").open("wb") as file:
        file.truncate(int(stages.FILE_MIB * 2**20) + 1)
    assert not settled(proof, lambda run: stages.Finding("it runs", {}), tmp_path)
    assert "rows.npy is above 15 MiB" in capsys.readouterr().out


def test_a_stage_does_the_parts_there_is_time_for_and_goes_on_with_the_rest(
    proof: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages, done = importlib.import_module("proof.stage"), []

    def part(name: str) -> Any:
        done.append(name)
        if (name, done.count(name)) == ("b", 1):
            raise MemoryError("no room")
        return {"figure": len(done)}

    def work(run: Any) -> Any:
        each = {name: run.part(name, seconds, lambda n=name: part(n)) for name, seconds in SECONDS.items()}
        return stages.Finding(", ".join(name for name, found in each.items() if stages.is_measured(found)), each)

    stage = replace(proof.stage("limits"), name="example", work=work)
    output, machines = tmp_path / "output", [tmp_path / "one", tmp_path / "another"]
    for seconds, machine, finished, told in (
        (50, machines[0], False, "a, c; to be continued: d\n"),
        (50, machines[0], False, "a, b, c; to be continued: d\n"),
        (1e9, machines[1], True, "a, b, c, d\n"),  # what came back from the first
    ):
        proof._recall(stage, output, machine)
        run = proof._run(stage, torch.device("cpu"), machine, output, deadline=time.monotonic() + seconds)
        assert proof.settle(stage, run, {}, commit="abc") == finished
        assert capsys.readouterr().out == f"example: {told}"
        record = json.loads((output / "example.json").read_text())
        assert record["remaining"] == ([] if finished else ["d"])
    assert {file.name for file in output.iterdir()} == {"example.json", "parts.json"}
    assert done == ["a", "b", "c", "b", "d"]
    assert record["a"] == {"figure": 1}


def test_training_goes_on_where_its_call_ended(proof: ModuleType, tmp_path: Path) -> None:
    stages, train = importlib.import_module("proof.stage"), importlib.import_module("proof.train")
    proof.gather(train.STAGE, proof.make_toys(tmp_path / "data"), tmp_path)
    run = stages.Run(torch.device("cpu"), True, tmp_path / "inputs", tmp_path, tmp_path, time.monotonic())
    config = train.recipe(run, 1.0)
    for _ in range(2):  # the deadline is over: one step a call
        assert train.trained(run, config) is None
    done = train.trained(run, config)
    assert done.steps == 3
    assert train.trained(run, config).card == done.card


def test_a_failing_measurement_costs_no_other(proof: ModuleType) -> None:
    stages = importlib.import_module("proof.stage")
    failed = stages.attempt(lambda: 1 / 0)
    assert failed == {"not_measured": "ZeroDivisionError: division by zero"}
    assert not stages.is_measured(failed)
    assert stages.is_measured(stages.attempt(lambda: {"median": 1.0}))


def test_a_junit_report_is_counted(proof: ModuleType, tmp_path: Path) -> None:
    report = tmp_path / "tests.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="a" name="x" time="1.5"/>'
        '<testcase classname="a" name="y"><failure message="1 != 2&#10;more"/></testcase>'
        '<testcase classname="a" name="z"><skipped message="no CUDA device"/></testcase></testsuite></testsuites>'
    )
    assert importlib.import_module("proof.suite").counted(report) == {
        "passed": 1,
        "failed": {"a.y": "1 != 2"},
        "skipped": {"a.z": "no CUDA device"},
        "seconds": {"a.x": 1.5},
    }


@pytest.mark.parametrize(("arguments", "status", "said"), [(["nothing"], 2, "no stage 'nothing'"), ([], 3, "no CUDA")])
def test_wrong_use_is_told(arguments: list[str], status: int, said: str, tmp_path: Path) -> None:
    if status == 3 and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    command = [sys.executable, "scripts/gpu_proof.py", *arguments, "--state", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stderr) == (status, True)
