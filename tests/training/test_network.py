"""Laws of what is trained: parts and rates, averaged weights, head, pooling, bank, mixtures, several devices."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import nn

from simsearch.errors import InputError
from simsearch.extract.networks.resnet import ResNet, ResNetArguments
from simsearch.training.config import Head, Loss, Optimiser
from simsearch.training.loss import Keys
from simsearch.training.memory_bank import MemoryBank, joined
from simsearch.training.mixup import mixed
from simsearch.training.network import Averaged, frozen_names, groups, head_of, starting_point, training_mode
from tests.training import gather_child
from tests.training.world import config

ARGUMENTS = ResNetArguments("basic", (1, 1, 1, 1), (8, 8, 8, 16), "plain", 8, "d", 0.0, 12)


def network() -> ResNet:
    torch.manual_seed(0)
    return ResNet(ARGUMENTS)


def test_each_part_learns_at_its_own_rate() -> None:
    settings = Optimiser(layer_decay=0.5, decay=0.1)
    head = head_of(Head(hidden=8, output=4), 12)
    found = groups(network(), head, settings)
    factors = {name: group["factor"] for group in found for name in group["names"]}
    depths = {"head.": 1, "row.": 1, "stages.3": 0.5, "stages.2": 0.25, "stages.1": 0.125, "stages.0": 0.0625}
    for prefix, factor in {**depths, "stem.": 0.03125}.items():
        assert {value for name, value in factors.items() if name.startswith(prefix)} == {factor}
    decays = {p.ndim > 1: group["weight_decay"] for group in found for p in group["params"]}
    assert decays == {True: 0.1, False: 0.0}
    counted = sum(len(group["params"]) for group in found)
    assert counted == len([*network().parameters(), *head.parameters()]), "each parameter once"


def test_frozen_parts_are_not_handed_to_the_optimiser_and_their_norms_rest() -> None:
    one, settings = network(), Optimiser(frozen=("stem", "stages.1"))
    names = {name for group in groups(one, nn.Identity(), settings) for name in group["names"]}
    frozen = frozen_names(one, settings)
    assert names | frozen == {name for name, _ in one.named_parameters()}
    assert {name.split(".")[0] for name in frozen} == {"stem", "stages"}
    assert all(p.requires_grad == (name in names) for name, p in one.named_parameters())
    before = {name: buffer.clone() for name, buffer in one.named_buffers()}
    training_mode(one, frozen)
    one(torch.randn(4, 3, 32, 32))
    for name, buffer in one.named_buffers():
        if name.endswith("running_mean"):
            still = name.startswith(("stem.", "stages.1."))
            assert torch.equal(buffer, before[name]) == still, name


def test_frozen_parts_that_are_not_there_are_named() -> None:
    with pytest.raises(InputError, match=r"no part is called 'steam'; there are stem, stages, stages\.0, .*row"):
        frozen_names(network(), Optimiser(frozen=("steam",)))
    with pytest.raises(InputError, match="nothing is left to train"):
        frozen_names(network(), Optimiser(frozen=("stem", "stages", "row")))


def test_averaged_weights_follow_the_formula() -> None:
    one, decay = nn.BatchNorm1d(2), 0.9
    average = Averaged(one, decay)
    expected = {name: value.double().clone() for name, value in one.state_dict().items()}
    for step in range(1, 30):
        with torch.no_grad():
            one.weight.normal_()
            one.running_mean.normal_()
            one.num_batches_tracked += 1
        average.update(one)
        d = min(decay, (1 + step) / (10 + step))
        for name in ("weight", "running_mean"):
            expected[name] = d * expected[name] + (1 - d) * one.state_dict()[name].double()
    for name in ("weight", "running_mean"):
        torch.testing.assert_close(average.state()[name].double(), expected[name], atol=1e-6, rtol=0)
    assert int(average.state()["num_batches_tracked"]) == 29
    assert average.state().keys() == one.state_dict().keys()


def test_a_network_lends_itself_to_its_averaged_weights() -> None:
    one, x = network().eval(), torch.rand(3, 3, 32, 32)
    average, before = Averaged(one, 0.9), one(x)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    assert torch.equal(average.seen_by(one)(x), before)
    assert not torch.equal(one(x), before)


def test_the_head_has_three_layers_of_which_the_first_may_be_the_exported_row(tiny: Path, tmp_path: Path) -> None:
    assert isinstance(head_of(None, 12), nn.Identity)
    count = [sum(isinstance(m, nn.Linear) for m in head_of(Head(keep=keep), 12).modules()) for keep in (False, True)]
    assert count == [3, 2]
    scratch = {
        "arguments": {"block": "basic", "depths": [1, 1, 1, 1], "widths": [8, 8, 8, 16], "stem_width": 8},
        "preprocessing": {
            **{"size": 32, "fit": "squash", "resize": 32, "kernel": "bilinear"},
            **{"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
        },
    }
    card, plain = starting_point(config(tmp_path, scratch))
    assert (card.dimension, card.arguments.get("row", 0)) == (16, 0)
    card, kept = starting_point(config(tmp_path, scratch, head={"hidden": 24, "keep": True}))
    assert (card.dimension, card.arguments["row"]) == (24, 24)
    assert kept(torch.zeros(2, 3, 32, 32)).shape == (2, 24)
    assert plain(torch.zeros(2, 3, 32, 32)).shape == (2, 16)
    with pytest.raises(InputError, match=r"head\.keep: the network has a row of 20 already"):
        starting_point(config(tmp_path, tiny, head={"keep": True}))


def test_gem_pooling_is_the_generalised_mean(tiny: Path, tmp_path: Path) -> None:
    card, gem = starting_point(config(tmp_path, tiny, pooling="gem"))
    _, avg = starting_point(config(tmp_path, tiny))
    assert card.arguments["pool"] == "gem"
    x = torch.randn(2, 3, 96, 96)
    gem.eval(), avg.eval()
    with torch.no_grad():
        places = avg.stages(avg.stem(x)).double()
        pooled = (places.clamp(min=1e-6) ** 3).mean(dim=(2, 3)) ** (1 / 3)
        torch.testing.assert_close(gem(x), avg.row(pooled.float()), atol=1e-5, rtol=1e-4)
        assert (gem(x) - avg(x)).abs().max() > 1e-3


def test_scales_and_size_may_change_at_the_start(tiny: Path, tmp_path: Path) -> None:
    before, plain = starting_point(config(tmp_path, tiny))
    card, two = starting_point(config(tmp_path, tiny, scales=[1, 0.5], size=64))
    assert tuple(card.arguments["scales"]) == (1, 0.5)
    assert (card.preprocessing.size, card.preprocessing.resize) == (64, 64)
    assert card.preprocessing.mean == before.preprocessing.mean
    assert {(each.preprocessing.alpha, each.preprocessing.icc) for each in (before, card)} == {("contrast", "srgb")}
    assert all(torch.equal(tensor, two.state_dict()[name]) for name, tensor in plain.state_dict().items())
    for wrong in ([], [0], [1.5]):
        with pytest.raises(InputError, match="scales"):
            config(tmp_path, tiny, scales=wrong)


def test_a_grown_network_begins_as_the_model_that_it_grew_from(tiny: Path, tmp_path: Path) -> None:
    before, plain = starting_point(config(tmp_path, tiny))
    x = torch.rand(3, 3, 96, 96)
    for depths in ([1, 2, 1, 1], [2, 1, 3, 1]):
        card, grown = starting_point(config(tmp_path, {"model": str(tiny), "arguments": {"depths": depths}}))
        assert card.arguments["depths"] == depths
        with torch.no_grad():
            torch.testing.assert_close(grown.eval()(x), plain.eval()(x))
    how = {**asdict(before.preprocessing), "mean": [0, 0, 0], "std": [1, 1, 1]}
    start = {"model": str(tiny), "arguments": {"luminance": True}, "preprocessing": how}
    card, grey = starting_point(config(tmp_path, start))
    assert card.preprocessing.mean == (0, 0, 0)
    assert torch.equal(grey.state_dict()["stem.0.0.weight"], plain.state_dict()["stem.0.0.weight"].sum(1, keepdim=True))
    assert torch.equal(grey.state_dict()["row.0.weight"], plain.state_dict()["row.0.weight"])
    for wrong in ({"widths": [9, 9, 9, 9]}, {"depths": [0, 1, 1, 1]}, {"stem": "plain"}):
        with pytest.raises(InputError, match=r"start\.arguments: .* does not fit"):
            starting_point(config(tmp_path, {"model": str(tiny), "arguments": wrong}))


def test_the_bank_holds_the_newest_rows() -> None:
    bank = MemoryBank(5, 2)
    assert len(bank.keys().rows) == 0
    for start in (0, 3, 6):
        images = torch.arange(start, start + 3)
        bank.add(Keys(images.float().view(-1, 1).repeat(1, 2), images))
    assert bank.keys().images.tolist() == [6, 7, 8, 3, 4]
    assert bank.keys().rows[:, 0].tolist() == [6, 7, 8, 3, 4]
    both = joined(Keys(torch.ones(1, 2), torch.tensor([9])), bank.keys())
    assert both.images.tolist() == [9, 6, 7, 8, 3, 4]


def test_mixtures_are_made_of_two_images_in_their_shares() -> None:
    levels = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 3, 16, 16)
    mixture = mixed(levels, Loss(mixup=0.4, cutmix=0.6), torch.Generator().manual_seed(0))
    assert mixture is not None
    assert len(mixture.pixels) == 10
    first, second = mixture.parts
    assert (first != second).all()
    expected = mixture.share * first + (1 - mixture.share) * second
    torch.testing.assert_close(mixture.pixels.mean(dim=(1, 2, 3)), expected, atol=1e-4, rtol=0)
    for k in range(10):
        values = set(mixture.pixels[k].unique().tolist())
        assert (len(values) == 1) == (k < 4), "blends are even, pastes show both"
        if k >= 4:
            assert values == {float(first[k]), float(second[k])}
    assert mixed(levels, Loss(), torch.Generator()) is None


@pytest.mark.slow
def test_two_devices_are_one_with_a_batch_twice_as_large(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-m", gather_child.__name__, str(rank), str(tmp_path)], stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    for process in started:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
    one, first, second = gather_child.material()
    gather_child.loss(one, first, second, torch.arange(8), 0).backward()
    shared = torch.load(tmp_path / "gradient.pt", weights_only=True)
    torch.testing.assert_close(shared, one.weight.grad, atol=1e-6, rtol=1e-5)
