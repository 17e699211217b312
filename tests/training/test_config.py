"""Every wrong key or value is refused by its name; every plan draws the shares and strengths that are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from simsearch.errors import InputError
from simsearch.images.perturb import PAPER
from simsearch.training.config import Edit, FinetuneConfig, View, config_of, read_config
from simsearch.training.data.augmentation_plan import ends_of, perturbations, plan_of, trained_families

GOOD: dict[str, Any] = {"images": "photos", "steps": 5, "views": {"hard": {"edits": [{"edit": "chain_2"}]}}}
CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("bach",), 3, "bach: there is no such setting"),
        (("views", "hard", "edit"), [], "views.hard.edit: there is no such setting"),
        (("loss", "similarity"), "l2", "loss.similarity: Input should be 'js' or 'cosine'"),
        (("batch",), 1, "batch: Input should be greater than or equal to 2"),
        (("ema",), 1.0, "ema: Input should be less than 1"),
        (("minutes",), 2, "give either `steps` or `minutes`"),
        (("images",), [], "images: Tuple should have at least 1 item"),
        (("views", "hard", "edits"), [{"edit": "blur_{}"}], r"views.hard.edits.0: blur_\{\}: a name with"),
        (("views", "hard", "edits"), [{"edit": "blur_2", "strength": [1, 2]}], "a name without takes none"),
        (("views", "hard", "edits"), [{"edit": "blur_{}", "strength": [2, 1]}], r"\[2.0, 1.0\] is not \[low, high\]"),
        (("views", "hard", "edits"), [{"edit": "blur_{}", "strength": [0, 1], "log": True}], "a strength above 0"),
        (("views", "hard", "edits"), [{"edit": "chain_2", "share": 0}], "edits.0.share: Input should be greater"),
        (("validation", "patience"), 3, "validation: `patience` counts looks; give `every`"),
        (("start",), {"arguments": {}}, "start.model: Field required"),
        (("loss", "both"), False, "compares with rows of averaged weights: give `ema`"),
        (("export", "name"), "My Model", "export.name: String should match pattern"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str, ...], value: Any, told: str) -> None:
    values = yaml.safe_load(yaml.safe_dump(GOOD))
    inner = values
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
    inner[path[-1]] = value
    with pytest.raises(InputError, match=told):
        config_of(values)


@pytest.mark.parametrize("both", [True, False])
def test_a_teacher_needs_the_view_that_it_teaches(both: bool) -> None:
    values = {**GOOD, "distillation": {"teacher": "mini"}, "loss": {"both": both}, "ema": 0.9}
    if both:
        assert config_of(values).distillation
    else:
        with pytest.raises(InputError, match="does not train"):
            config_of(values)


def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("- a\n- b\n")
    with pytest.raises(InputError, match="holds a list; write"):
        read_config(path)
    with pytest.raises(InputError, match="cannot be read as YAML"):
        read_config(tmp_path / "missing.yaml")
    path.write_text(yaml.safe_dump({**GOOD, "sede": 1}))
    with pytest.raises(InputError, match=rf"{path}: sede: there is no such setting"):
        read_config(path)


@pytest.mark.parametrize("path", [CONFIGS / "watermark.yaml", CONFIGS / "mini.yaml"], ids=lambda path: path.name)
def test_the_shipped_settings_are_understood(path: Path) -> None:
    config: FinetuneConfig = read_config(path)
    for name, view in (("moderate", config.views.moderate), ("hard", config.views.hard)):
        assert plan_of(view, name).entries


def view(*edits: dict[str, Any], clean: float = 0.0) -> View:
    return View(edits=tuple(Edit(**edit) for edit in edits), clean=clean)


@pytest.mark.parametrize(("share", "clean"), [(0.2, 0.0), (0.7, 0.0), (1.0, 0.4), (0.5, 0.3)])
def test_each_edit_reaches_its_share(share: float, clean: float) -> None:
    """Within five standard errors; clean images get none at all, and edits are drawn apart from each other."""
    edits = ({"edit": "chain_2", "share": share}, {"edit": "blur_{}", "strength": [1, 2], "share": 0.5})
    hits = plan_of(view(*edits, clean=clean), "x").draw(np.random.default_rng(0), 4000).hits
    for row, expected in zip(hits, (share * (1 - clean), 0.5 * (1 - clean)), strict=True):
        assert abs(row.mean() - expected) < 5 * (expected * (1 - expected) / 4000) ** 0.5 + 1e-9
    assert abs((hits[0] & hits[1]).mean() - share * 0.5 * (1 - clean)) < 0.04
    assert (~hits.any(axis=0)).mean() >= clean - 0.04


def test_strengths_are_drawn_evenly_and_as_the_family_allows() -> None:
    edits = (
        {"edit": "rotation_{}_and_rescaling", "strength": [-60, 60]},
        {"edit": "brightness_enhancement_{}", "strength": [0.5, 2], "log": True},
        {"edit": "jpg_compression_{}", "strength": [10, 12]},
        {"edit": "gaussian_filter_{}x{}", "strength": [3, 7]},
        {"edit": "turn_{}", "strength": [90, 270]},
        {"edit": "jpg_compression_30"},
    )
    plan = plan_of(view(*edits), "x")
    drawn = plan.draw(np.random.default_rng(0), 3000).strengths
    assert abs(drawn[0].mean()) < 5 * 35 / 3000**0.5
    assert drawn[0].min() < -58
    assert drawn[0].max() > 58
    assert abs(np.log(drawn[1]).mean()) < 5 * 0.4 / 3000**0.5
    assert set(drawn[2]) == {10, 11, 12}
    assert set(drawn[3]) == {3, 5, 7}
    assert set(drawn[4]) == {90, 180, 270}
    assert [entry.form for entry in plan.entries][-2:] == ["turn", "jpg_compression"]
    assert set(drawn[5]) == {30}, "the strength of a fixed name is there for its tensor form"
    for entry, strengths in zip(plan.entries, drawn, strict=True):
        for strength in strengths[:20]:
            assert entry.perturbation(float(strength), np.random.default_rng(0)).category


def test_pillow_makes_what_has_no_tensor_form_or_asks_for_options() -> None:
    edits = (
        {"edit": "emoji_{}(count=2)", "strength": [10, 30]},
        {"edit": "tests.training.world:stamp(opacity={})", "strength": [0.1, 0.2]},
        {"edit": "platform"},
        {"edit": "chain_3"},
        {"edit": "blur_{}", "strength": [1, 2]},
    )
    assert [entry.form for entry in plan_of(view(*edits), "x").entries] == ["", "", "", "", "blur"]
    assert [entry.form for entry in plan_of(view(*edits), "x", engine="pillow").entries] == [""] * 5


def test_edits_that_do_not_exist_are_named_with_their_place() -> None:
    with pytest.raises(InputError, match=r"views.hard.edits.1: no perturbation 'blurr_1'"):
        plan_of(view({"edit": "chain_2"}, {"edit": "blurr_{}", "strength": [1, 2]}), "views.hard")
    with pytest.raises(InputError, match=r"hard.edits.0: jpg_compression_200: 200 must be from 1 to 100"):
        plan_of(view({"edit": "jpg_compression_{}", "strength": [10, 200]}), "hard")
    with pytest.raises(InputError, match=r"hard\.edits\.0: cannot load 'nowhere:f'"):
        plan_of(view({"edit": "nowhere:f"}), "hard")
    with pytest.raises(InputError, match=r"guard\.edits: no perturbation"):
        perturbations(("blurr_1",), "guard.edits")


def test_families_and_ends_are_those_of_the_views() -> None:
    edits = (
        {"edit": "rotation_{}_and_rescaling", "strength": [-60, 60]},
        {"edit": "tests.training.world:stamp(opacity={})", "strength": [0.25, 0.5]},
    )
    plan = plan_of(view(*edits), "x")
    assert trained_families(plan) == {"rotation", "tests.training.world:stamp"}
    assert [edit.name for edit in ends_of(plan)] == [
        "rotation_-60_and_rescaling",
        "rotation_60_and_rescaling",
        "tests.training.world:stamp(opacity=0.25)",
        "tests.training.world:stamp(opacity=0.5)",
    ]
    everything = plan_of(view({"edit": "paper"}), "x")
    assert trained_families(everything) == {edit.family for edit in PAPER}
    assert [edit.name for edit in perturbations(("paper", "blur_1", "blur_1"), "x")][-1] == "blur_1"
    assert len(perturbations(("paper", "jpg_compression_10"), "x")) == 58
