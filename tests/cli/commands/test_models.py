"""`models list, show, pull, convert`: what there is, whether its weights are here, and how they come."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from simsearch.cli.commands import doctor
from simsearch.cli.commands.doctor import Health
from simsearch.cli.commands.models import SourceForm
from simsearch.extract.zoo import find
from simsearch.extract.zoo.card import Weights
from tests.cli.conftest import Run
from tests.extract.test_published import add_resnet18, own, resnet18  # noqa: F401
from tests.extract.zoo.test_download import Server, server  # noqa: F401 - a fixture


def test_every_card_is_listed_with_its_state(run: Run) -> None:
    code, out, _ = run("models", "list", "--json")
    assert code == 0
    found = {one["name"]: one for one in map(json.loads, out.splitlines())}
    assert found.keys() == {card.name for card in find.list_models()}
    assert (found["mini"]["state"], found["mini"]["status"]) == ("ready", "verified")
    assert (found["simclr_v2_r50_2x_sk1"]["state"], found["simclr_v2_r50_2x_sk1"]["fingerprint"]) == (
        "no weights",
        None,
    )
    code, out, err = run("models", "list")
    assert "simclr_v2_r50_2x_sk1" in out
    assert "models pull NAME" in err
    assert run("models", "show", "isc_ft_v107")[0] == 0
    missing = sum(one["state"] == "no weights" for one in found.values())
    told = {check.name: check for check in doctor.models()}
    assert told.keys() == {"model mini", "other models"}
    assert told["other models"].detail.startswith(f"{missing} without")


def test_pull_and_convert_make_a_model_that_embeds(
    run: Run,
    own: Path,  # noqa: F811
    server: Server,  # noqa: F811
    pictures: Path,
    tmp_path: Path,
) -> None:
    add_resnet18(own, f"{server.url}r.pth")
    file = tmp_path / "r.pth"
    torch.save(resnet18().state_dict(), file)
    server.files["r.pth"] = file.read_bytes()
    code, _, err = run("compare", pictures / "1.png", pictures / "2.png", "--model", "small")
    assert (code, "models pull small" in err) == (3, True)
    code, out, err = run("models", "pull", "small", "--json")
    assert code == 0, err
    pulled = json.loads(out)
    assert pulled["origin"].startswith(server.url)
    code, out, err = run("models", "convert", file, "--from", "torch", "--to", "small")
    assert (code, "status unverified" in out) == (0, True), err
    code, out, err = run("compare", pictures / "1.png", pictures / "1.png", "--model", "small", "--json")
    assert json.loads(out)["distance"] == 0
    assert [(check.name, check.health) for check in doctor.models()] == [("model small", Health.OK)]


def test_errors_say_what_to_do(run: Run, own: Path, tmp_path: Path) -> None:  # noqa: F811
    add_resnet18(own, "http://127.0.0.1:9/r.pth")
    code, _, err = run("models", "pull", "small")
    assert (code, "cannot fetch http://127.0.0.1:9/r.pth" in err) == (3, True)
    code, _, err = run("models", "pull", "nothing")
    assert (code, "no model is called" in err) == (3, True)
    code, _, err = run("models", "convert", tmp_path / "absent", "--from", "torch", "--to", "small")
    assert (code, "is no file" in err) == (3, True)


@pytest.mark.parametrize("form", list(SourceForm))
def test_forms_are_those_of_a_card(form: SourceForm) -> None:
    Weights(url="https://example.org/w", form=form.value, licence="none")
