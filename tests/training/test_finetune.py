"""A run end to end: it learns, goes on after a stop, is judged, and what it exports is searched with."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from simsearch import Library, load_extractor
from simsearch.errors import GuardRefused, InputError, ModelNotFound
from simsearch.extract.extractor import Extractor
from simsearch.extract.zoo.card import load_card
from simsearch.images.preprocess import Preprocessing
from simsearch.training.checkpoint import Paused
from simsearch.training.finetune import Outcome, finetune
from simsearch.training.loss import distillation, unit
from tests.library.helpers import HERE
from tests.training.world import as_if_fallen, config, pictures


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def done(photos: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return finetune(config(photos, tiny), tmp_path_factory.mktemp("run"), device="cpu", command="finetune x.yaml")


def test_the_exported_folder_is_loaded_and_searched(done: Outcome, photos: Path, tmp_path: Path) -> None:
    folder = done.folder / "model"
    extractor = load_extractor(folder, device="cpu")
    extractor.admit()
    assert (extractor.name, extractor.fingerprint) == ("finetuned", done.card.fingerprint)
    library = Library.create(tmp_path / "x.library", model=str(folder), device="cpu")
    library.add(photos, settings=HERE)
    assert library.search(photos / "07.png", k=1, settings=HERE).distances[0, 0] == 0
    assert "finetune x.yaml" in (folder / "README.md").read_text()


def test_training_changed_the_weights(done: Outcome, tiny: Path) -> None:
    before, after = (load_file(folder / "weights.safetensors") for folder in (tiny, done.folder / "model"))
    assert before.keys() == after.keys()
    assert all((before[name] != after[name]).any() for name in before if name.endswith("weight"))


def test_the_table_and_the_log_are_kept(done: Outcome) -> None:
    kept = json.loads((done.folder / "guard.json").read_text())
    families = {row["family"]: row["trained"] for row in kept["families"]}
    assert families == {
        "tests.training.world:stamp": True,
        "rotation": True,
        "gaussian_noise": True,
        "brightness_enhancement": False,
    }
    assert kept["held_out"] == ["brightness_enhancement"]
    assert kept["passed"] is True
    assert kept["supported"] is True
    log = (done.folder / "log.csv").read_text().splitlines()
    assert log[0].startswith("step,seconds,rate,contrast,koleo,loss,ranked_first")
    assert len(log) == 5


def test_a_model_of_another_size_is_judged_beside_the_start(photos: Path, tiny: Path, tmp_path: Path) -> None:
    """Each sees the same pictures as its own preprocessing makes them."""
    began = load_card(tiny)
    outcome = finetune(config(photos, tiny, scales=[1, 0.5], size=64), tmp_path, device="cpu")
    card = load_card(tmp_path / "model")
    assert (card.preprocessing.size, card.arguments["scales"]) == (64, [1, 0.5])
    assert began.preprocessing.size != 64
    kept = json.loads((tmp_path / "guard.json").read_text())
    assert kept["start_sha256"] == began.weights.sha256
    assert kept["weights_sha256"] == outcome.card.weights.sha256
    rows = load_extractor(tmp_path / "model", device="cpu").embed([photos / "07.png"])
    assert rows.sum() == pytest.approx(1, abs=1e-3)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(photos: Path, tiny: Path, tmp_path: Path) -> None:
    """With everything that has a state: averaged weights, bank, mixtures, looks, a rate that follows the run."""
    changes = {
        "steps": 6,
        "ema": 0.9,
        "accumulation": 2,
        "loss": {"bank": 24, "mixup": 0.3, "cutmix": 0.3},
        "validation": {"images": 12, "every": 2},
    }
    whole = finetune(config(photos, tiny, **changes), tmp_path / "whole", device="cpu")
    asked = itertools.count(1)
    for _ in range(2):
        with pytest.raises(Paused, match="saved"):
            finetune(
                config(photos, tiny, **changes), tmp_path / "parts", device="cpu", pause=lambda: next(asked) in (2, 4)
            )
    resumed = finetune(config(photos, tiny, **changes), tmp_path / "parts", device="cpu")
    assert resumed.card.weights.sha256 == whole.card.weights.sha256
    assert resumed.table == whole.table
    logs = [(tmp_path / name / "log.csv").read_text().splitlines() for name in ("whole", "parts")]
    without_time = [[[*row.split(",")[:1], *row.split(",")[2:]] for row in log] for log in logs]
    assert without_time[0] == without_time[1]


def test_a_finished_run_is_only_judged_again(done: Outcome, photos: Path, tiny: Path) -> None:
    told: list[object] = []
    again = finetune(config(photos, tiny), done.folder, device="cpu", report=told.append)
    assert told == []
    assert again.card == done.card


def test_another_run_in_the_same_folder_is_refused(done: Outcome, photos: Path, tiny: Path) -> None:
    with pytest.raises(ValueError, match="run of other settings; choose another --output"):
        finetune(config(photos, tiny, batch=9), done.folder, device="cpu")


def test_a_spoiled_network_is_not_exported_unless_forced(
    photos: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["simsearch.training.finetune"], "compare", as_if_fallen)
    spoiling = config(photos, tiny, guard={"edits": [], "margin": 0.0, "draws": 20})
    with pytest.raises(GuardRefused, match=r"recall fell by more than 0: .*--force"):
        finetune(spoiling, tmp_path, device="cpu")
    assert json.loads((tmp_path / "guard.json").read_text())["passed"] is False
    assert not (tmp_path / "model").exists()
    forced = finetune(spoiling, tmp_path, device="cpu", force=True)
    assert forced.table.fallen
    assert (tmp_path / "model" / "model.toml").exists()


def test_a_loss_that_is_no_number_ends_the_run(photos: Path, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"loss of step \d+ is nan; .* lower optimiser\.rate"):
        finetune(config(photos, tiny, steps=20, optimiser={"rate": 1e12, "clip": 0}), tmp_path, device="cpu")
    assert not (tmp_path / "run.safetensors").exists()


def test_frozen_stages_do_not_move(photos: Path, tiny: Path, tmp_path: Path) -> None:
    settings = config(photos, tiny, optimiser={"rate": 0.01, "frozen": ["stem", "stages.0"]})
    finetune(settings, tmp_path, device="cpu")
    before, after = (load_file(folder / "weights.safetensors") for folder in (tiny, tmp_path / "model"))
    for name in before:
        still = bool((before[name] == after[name]).all())
        if name.startswith(("stem.", "stages.0.")):
            assert still, "neither weights nor running statistics"
        elif name.endswith("weight"):
            assert not still


def test_early_stop_stops_and_exports_the_best(photos: Path, tiny: Path, tmp_path: Path) -> None:
    """Training that spoils is best before its first step: after two looks without gain the start comes out."""
    settings = config(
        photos,
        tiny,
        steps=50,
        optimiser={"rate": 0.5, "clip": 0, "warm_up": 0.0},
        validation={"images": 12, "every": 1, "patience": 2},
    )
    outcome = finetune(settings, tmp_path, device="cpu")
    assert outcome.steps < 50
    looks = json.loads((tmp_path / "guard.json").read_text())["looks"]
    best = max(range(len(looks)), key=lambda i: (looks[i][1], -i))
    assert len(looks) - 1 - best == 2
    if best == 0:
        before, after = (load_file(folder / "weights.safetensors") for folder in (tiny, tmp_path / "model"))
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_training_finds_more_copies_of_the_edit_it_was_shown(photos: Path, tiny: Path, tmp_path: Path) -> None:
    settings = config(photos, tiny, steps=60, optimiser={"rate": 0.003}, guard={"edits": [], "draws": 50})
    table = finetune(settings, tmp_path, device="cpu").table
    assert table.overall.difference > 0
    assert np.isfinite([table.overall.low, table.overall.high]).all()


def test_hard_views_find_moderate_ones_that_are_not_trained_themselves(
    photos: Path, tiny: Path, tmp_path: Path
) -> None:
    loss = {"both": False, "koleo": 0.0}
    finetune(config(photos, tiny, steps=40, optimiser={"rate": 0.003}, loss=loss, ema=0.9), tmp_path, device="cpu")
    with (tmp_path / "log.csv").open() as file:
        costs = [float(row["contrast"]) for row in csv.DictReader(file)]
    assert np.mean(costs[-10:]) < np.mean(costs[:10]) - 0.1


def test_every_part_of_the_recipe_trains_together(photos: Path, tiny: Path, tmp_path: Path) -> None:
    """A network from scratch with a head whose first layer is kept, a teacher, labelled pairs, GeM, worker-less."""
    (photos.parent / "pairs.csv").write_text(
        "a,b,copy\n"
        + "".join(f"{photos.name}/0{i}.png,{photos.name}/0{i + 1}.png,{['yes', 'no'][i % 2]}\n" for i in range(6))
    )
    scratch = {
        "arguments": {"block": "basic", "depths": [1, 1, 1, 1], "widths": [8, 8, 8, 16], "stem_width": 8},
        "preprocessing": {
            **{"size": 32, "fit": "squash", "resize": 32, "kernel": "bilinear"},
            **{"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
        },
    }
    changes = {
        "head": {"hidden": 24, "output": 8, "keep": True},
        "pooling": "gem",
        "distillation": {"teacher": str(tiny)},
        "pairs": {"file": str(photos.parent / "pairs.csv"), "batch": 3},
    }
    outcome = finetune(config(photos, scratch, **changes), tmp_path, device="cpu")
    assert (outcome.card.dimension, outcome.card.arguments["pool"]) == (24, "gem")
    assert load_extractor(tmp_path / "model", device="cpu").embed(photos / "00.png").shape == (1, 24)
    columns = (tmp_path / "log.csv").read_text().splitlines()[0].split(",")
    assert {"contrast", "koleo", "distilled", "pairs"} <= set(columns)


class Halves(Extractor):
    """How bright the left and the right half of a picture are; no network, and no name of the zoo."""

    name, fingerprint, dimension, non_negative, metric = "halves", "0" * 64, 3, True, "js"
    preprocessing = Preprocessing(8, "squash", 8, "box", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (n, 3) rows."""
        grey = pixels.mean(axis=3)
        halves = grey[:, :, :4].mean(axis=(1, 2)), grey[:, :, 4:].mean(axis=(1, 2))
        return np.stack([*halves, np.full(len(pixels), 1)], axis=1).astype(np.float32)


@pytest.mark.parametrize("kind", ["network", "class"])
def test_a_student_comes_to_see_likeness_as_its_teacher_does(
    photos: Path, tiny: Path, tmp_path: Path, kind: str
) -> None:
    """Of two runs that differ in who teaches, the one whose teacher it is gives more of its likeness."""
    teacher = f"{__name__}:Halves" if kind == "class" else "mini"
    taught = {"weight": 8.0, "temperature": 0.02, "teacher": teacher}
    runs = {"taught": {"distillation": taught}, "alone": {}}
    asked = load_extractor(teacher, device="cpu")
    rows = unit(torch.from_numpy(asked.embed(sorted(photos.iterdir()))), asked.metric)
    costs = {}
    for name, changes in runs.items():
        settings = config(photos, tiny, steps=30, optimiser={"rate": 0.003}, **changes)
        finetune(settings, tmp_path / name, device="cpu")
        student = load_extractor(tmp_path / name / "model", device="cpu")
        own = unit(torch.from_numpy(student.embed(sorted(photos.iterdir()))), student.metric)
        costs[name] = float(distillation(own, rows, temperature=0.05, teacher_temperature=0.02))
    assert costs["taught"] < costs["alone"]


@pytest.mark.parametrize(("teacher", "match"), [("dhash", "gives codes"), ("sift", "several rows"), ("minni", "minni")])
def test_what_cannot_teach_is_refused_before_photographs_are_read(
    photos: Path, tiny: Path, tmp_path: Path, teacher: str, match: str
) -> None:
    settings = config(photos, tiny, distillation={"teacher": teacher}).model_copy(update={"images": ("nothing",)})
    with pytest.raises((InputError, ModelNotFound), match=match):
        finetune(settings, tmp_path, device="cpu")


def test_labelled_pairs_come_together_or_go_apart(photos: Path, tiny: Path, tmp_path: Path) -> None:
    """Two runs that differ in their labels alone: what is called a copy in one is more alike there."""
    names = [f"{photos.name}/0{i}.png" for i in range(4)]
    alike = []
    for run, labels in enumerate((("yes", "no"), ("no", "yes"))):
        path = photos.parent / f"labels-{run}.csv"
        path.write_text(f"a,b,copy\n{names[0]},{names[1]},{labels[0]}\n{names[2]},{names[3]},{labels[1]}\n")
        pairs = {"file": str(path), "batch": 4, "weight": 20.0, "margin": 0.0}
        settings = config(photos, tiny, steps=25, pairs=pairs, optimiser={"rate": 0.003})
        finetune(settings, tmp_path / str(run), device="cpu")
        extractor = load_extractor(tmp_path / str(run) / "model", device="cpu")
        rows = extractor.embed([photos.parent / name for name in names])
        roots = np.sqrt(rows / rows.sum(axis=1, keepdims=True))
        alike.append((roots[0] @ roots[1], roots[2] @ roots[3]))
    assert alike[0][0] > alike[1][0]
    assert alike[0][1] < alike[1][1]
