"""The loop learns, and what it makes can be exported, loaded and trusted."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from simsearch import load_extractor
from simsearch.errors import InputError
from simsearch.extract.card import load_card, weights_path
from simsearch.extract.networks.resnet import ResNet, ResNetArguments
from simsearch.extract.neural import load_network
from simsearch.images.preprocess import Preprocessing
from simsearch.training.augment import Augmenter, Edits
from simsearch.training.checkpoint import Checkpoint, Paused
from simsearch.training.export import export
from simsearch.training.loop import Recipe, Step, schedule, train
from simsearch.training.mini import NETWORK, mini_card
from simsearch.training.photographs import load_photographs
from simsearch.training.text import text_bank

SMALL = Preprocessing(32, "squash", 32, "bilinear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of coarse random squares."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("photographs")
    for i in range(40):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        coarse.resize((150, 120), Image.Resampling.NEAREST).save(folder / f"{i:02}.png")
    return folder


def test_photographs_are_what_preprocessing_makes(folder: Path) -> None:
    photographs = load_photographs([folder], SMALL, jpeg=(10, 20), seed=0)
    assert len(photographs) == 40
    assert photographs.fine.shape == (2, 40, 3, 192, 192)
    with Image.open(folder / "07.png") as image:
        expected = SMALL.apply(image.convert("RGB"))
    assert (photographs.coarse[0, 7].permute(1, 2, 0).numpy() == expected).all()
    assert (photographs.coarse[0] != photographs.coarse[1]).any()
    assert photographs.aspect[0] == pytest.approx(1.25)


def test_training_refuses_what_is_no_photograph(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no photographs"):
        load_photographs([tmp_path], SMALL, jpeg=(10, 20), seed=0)
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=r"cannot train on .*notes\.txt: unknown_format: .*; remove it"):
        load_photographs([tmp_path], SMALL, jpeg=(10, 20), seed=0)
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"cannot train on .*gone\.jpg: io_error: .*; remove it"):
        load_photographs([tmp_path], SMALL, jpeg=(10, 20), seed=0)


def test_the_rate_warms_up_and_ends_at_zero() -> None:
    rates = [schedule(share, 0.1) for share in np.linspace(0, 1, 101)]
    assert max(rates) == pytest.approx(1.0)
    assert rates[10] == max(rates)
    assert rates[-1] == pytest.approx(0.0)
    assert all(b <= a for a, b in itertools.pairwise(rates[10:]))


def test_a_short_run_learns(folder: Path) -> None:
    torch.manual_seed(0)
    photographs = load_photographs([folder], SMALL, jpeg=(20, 40), seed=0)
    augmenter = Augmenter(photographs, text_bank(32, count=8, seed=0), Edits(), seed=0)
    network = ResNet(ResNetArguments("basic", (1, 1, 1, 1), (8, 16, 16, 32), "plain", 8, "d", 0.0, 32))
    steps: list[Step] = []
    recipe = Recipe(steps=40, batch=32, rate=3e-3)
    train(network, augmenter, recipe, normalise=lambda x: x / 128 - 1, report=steps.append)
    first, last = (np.mean([step.loss for step in part]) for part in (steps[:5], steps[-5:]))
    assert last < 0.8 * first
    assert steps[-1].share == 1
    assert len(steps) == 40
    assert not network.training


def test_a_run_that_was_paused_ends_as_one_that_was_not(folder: Path, tmp_path: Path) -> None:
    photographs = load_photographs([folder], SMALL, jpeg=(20, 40), seed=0)
    arguments = ResNetArguments("basic", (1, 1, 1, 1), (8, 8, 8, 16), "plain", 8, "d", 0.0, 16)

    def run(checkpoint: Checkpoint | None) -> tuple[dict[str, torch.Tensor], list[Step]]:
        torch.manual_seed(0)
        steps: list[Step] = []
        augmenter = Augmenter(photographs, text_bank(32, count=8, seed=0), Edits(), seed=0)
        recipe = Recipe(steps=7, batch=16)
        network = train(
            ResNet(arguments),
            augmenter,
            recipe,
            normalise=lambda x: x / 128 - 1,
            report=steps.append,
            checkpoint=checkpoint,
        )
        return network.state_dict(), steps

    whole, steps = run(None)
    asked = itertools.count(1)
    checkpoint = Checkpoint(tmp_path / "run.safetensors", pause=lambda: next(asked) in (3, 5))
    for _ in range(2):
        with pytest.raises(Paused, match="saved"):
            run(checkpoint)
    resumed, last = run(checkpoint)
    assert [step.number for step in last] == [6, 7]
    assert last[-1].loss == steps[-1].loss
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0)


def test_a_damaged_or_foreign_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    photographs = load_photographs([folder], SMALL, jpeg=(20, 40), seed=0)
    augmenter = Augmenter(photographs, text_bank(32, count=8, seed=0), Edits(), seed=0)
    path = tmp_path / "run.safetensors"

    def run(width: int, *, pause: bool) -> None:
        arguments = ResNetArguments("basic", (1, 1, 1, 1), (8, 8, 8, width), "plain", 8, "d", 0.0, 16)
        checkpoint = Checkpoint(path, pause=lambda: pause)
        recipe = Recipe(steps=2, batch=8)
        train(ResNet(arguments), augmenter, recipe, normalise=lambda x: x, report=lambda _: None, checkpoint=checkpoint)

    with pytest.raises(Paused):
        run(16, pause=True)
    with pytest.raises(InputError, match="no run of this network"):
        run(8, pause=False)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="delete it to begin anew"):
        run(16, pause=False)


def test_an_exported_network_is_the_one_that_was_trained(tmp_path: Path) -> None:
    torch.manual_seed(0)
    card = mini_card("nothing: random weights")
    network = ResNet(NETWORK)
    finished = export(network, card, tmp_path)
    assert finished == load_card(tmp_path)
    assert finished.status == "verified"
    assert weights_path(finished, tmp_path).stat().st_size <= 12_000_000
    again = load_network(finished, tmp_path)
    for name, tensor in again.state_dict().items():
        torch.testing.assert_close(tensor, network.state_dict()[name], rtol=1e-3, atol=1e-6)
    assert load_extractor(tmp_path).fingerprint == finished.fingerprint


def test_weights_beyond_float16_are_refused(tmp_path: Path) -> None:
    network = ResNet(NETWORK)
    with torch.no_grad():
        next(network.parameters()).fill_(1e6)
    with pytest.raises(InputError, match="float16"):
        export(network, mini_card("none"), tmp_path)
