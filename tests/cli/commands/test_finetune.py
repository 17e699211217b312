"""`simsearch finetune`: settings in, model folder out; named errors; stopped by a signal, it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from simsearch.training.checkpoint import Paused
from tests.cli.conftest import Run
from tests.training.world import WATERMARK, as_if_fallen, pictures

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("photos"))


def written(path: Path, photos: Path, tiny: Path, **changes: Any) -> Path:
    values: dict[str, Any] = {
        "start": str(tiny),
        "images": str(photos),
        "views": {"hard": {"edits": [{"edit": WATERMARK, "strength": [0.3, 0.9], "share": 0.5}]}},
        "batch": 8,
        "steps": 3,
        "workers": 0,
        "precision": "float32",
        "validation": {"images": 12},
        "guard": {"edits": [], "margin": 1.0, "draws": 20},
        "export": {"name": "mine"},
    }
    path.write_text(yaml.safe_dump(values | changes))
    return path


def test_a_model_comes_out_that_index_accepts(run: Run, photos: Path, tiny: Path, tmp_path: Path) -> None:
    settings = written(tmp_path / "x.yaml", photos, tiny)
    code, out, err = run("finetune", settings, "--output", tmp_path / "out", "--device", "cpu", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["name"], told["steps"], told["images"], told["rejected"]) == ("mine", 3, 28, 0)
    assert told["guard"]["families"][0]["family"] == "tests.training.world:stamp"
    assert any(json.loads(line)["progress"] == "finetune" for line in err.splitlines() if line.startswith("{"))
    library = tmp_path / "photos.library"
    code, _, err = run("index", photos, "--library", library, "--model", told["model"], "--workers", 0)
    assert code == 0, err
    code, out, err = run("query", photos / "07.png", "--library", library, "--json", "-k", 1)
    assert json.loads(out)["matches"][0]["distance"] == 0, err
    assert list((tmp_path / "out" / "tensorboard").glob("events.*")), "logs for TensorBoard"


def test_the_table_is_printed_also_when_the_guard_refuses(
    run: Run, photos: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["simsearch.training.finetune"], "compare", as_if_fallen)
    guard = {"edits": [], "margin": 0.0, "draws": 20}
    settings = written(tmp_path / "x.yaml", photos, tiny, tensorboard=False, guard=guard)
    code, out, err = run("finetune", settings, "--output", tmp_path / "out", "--device", "cpu")
    assert code == 3
    assert "FELL" in out
    assert "error: recall fell by more than 0" in err
    code, out, _ = run("finetune", settings, "--output", tmp_path / "out", "--device", "cpu", "--json")
    assert (code, json.loads(out)["model"]) == (3, None)
    code, out, _ = run("finetune", settings, "--output", tmp_path / "out", "--device", "cpu", "--force")
    assert code == 0
    assert f"model: {tmp_path / 'out' / 'model'}" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_run_and_the_same_command_goes_on(
    run: Run, photos: Path, tiny: Path, tmp_path: Path, *, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simsearch.cli.commands import finetune as module

    settings = written(tmp_path / "x.yaml", photos, tiny, tensorboard=False)
    shown = module._show_step
    kills = iter([number])
    monkeypatch.setattr(module, "_show_step", lambda *told: [os.kill(os.getpid(), number) for number in kills])
    code, _, err = run("finetune", settings, "--output", tmp_path / "out", "--device", "cpu")
    assert code == 128 + number
    assert "stopped: 33 % of the run is done and saved" in err
    monkeypatch.setattr(module, "_show_step", shown)
    code, out, err = run("finetune", settings, "--output", tmp_path / "out", "--device", "cpu", "--json")
    assert code == 0, err
    assert json.loads(out)["steps"] == 3
    assert Paused.__name__ not in err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"stepz": 3}, "stepz: there is no such setting"),
        ({"loss": {"temperature": -1}}, "loss.temperature: Input should be greater than 0"),
        ({"minutes": 1}, "give either `steps` or `minutes`"),
        ({"views": {"hard": {"edits": [{"edit": "rotation_{}"}]}}}, "takes `strength: [low, high]`"),
    ],
)
def test_wrong_settings_are_wrong_usage(
    run: Run, photos: Path, tiny: Path, tmp_path: Path, *, changes: dict[str, Any], told: str
) -> None:
    code, _, err = run("finetune", written(tmp_path / "x.yaml", photos, tiny, **changes), "--output", tmp_path / "out")
    assert code == 2
    assert told in " ".join(err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_yaml_and_a_missing_output_are_named(
    run: Run, photos: Path, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text("a: [")
    assert run("finetune", tmp_path / "bad.yaml", "--output", tmp_path / "out")[0] == 2
    code, _, err = run("finetune", written(tmp_path / "x.yaml", photos, tiny))
    assert code == 2
    assert "--output is missing" in err


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_to_the_weights_of_one_that_was_not(
    photos: Path, tiny: Path, tmp_path: Path
) -> None:
    """SIGKILL at some moment after the first save; the run counts steps, so that both come to the same weights."""
    settings = written(tmp_path / "x.yaml", photos, tiny, tensorboard=False, steps=400, save_every=0.2)
    command = [sys.executable, "-m", "simsearch.cli", "finetune", str(settings), "--device", "cpu", "--output"]
    saved = tmp_path / "killed" / "run.safetensors"
    first = subprocess.Popen([*command, str(tmp_path / "killed")], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not saved.exists():
        assert first.poll() is None, "it ended before it was saved"
        time.sleep(0.05)
    time.sleep(0.5)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model").exists()
    for name in ("killed", "whole"):
        subprocess.run([*command, str(tmp_path / name)], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    digests = [
        json.loads((tmp_path / name / "guard.json").read_text())["weights_sha256"] for name in ("killed", "whole")
    ]
    assert digests[0] == digests[1]
