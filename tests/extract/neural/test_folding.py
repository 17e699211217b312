"""Laws of a network made ready: the same rows as normalising first and running it as it was trained."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from simsearch.distance import js
from simsearch.errors import ModelError
from simsearch.extract.networks.build import load_network
from simsearch.extract.networks.resnet import ResNet, ResNetArguments
from simsearch.extract.networks.timm import TimmArguments, TimmNetwork
from simsearch.extract.networks.torchvision import TorchvisionArguments, TorchvisionNetwork
from simsearch.extract.neural.folding import FromPixels, first_convolution, share_biases
from simsearch.extract.zoo.card import load_card
from simsearch.extract.zoo.find import find_model
from simsearch.images.preprocess import Preprocessing

CPU = torch.device("cpu")
MINI = load_card(find_model("mini"))
BASIC = ResNetArguments("basic", (1, 1, 1, 1), (8, 8, 16, 16), "plain", 8, "d", scales=(1, 0.6), row=32)
SELECTIVE = ResNetArguments("bottleneck", (1, 1, 1, 1), (8, 8, 16, 16), "d", 8, "d", 0.0625, edges="simclr")


def preprocessing(size: int, mean: float = 0.4, std: float = 0.2) -> Preprocessing:
    means, stds = (mean, mean + 0.03, mean + 0.06), (std, std + 0.01, std + 0.02)
    return Preprocessing(size, "squash", size, "bilinear", means, stds)


def normalised(pixels: torch.Tensor, how: Preprocessing) -> torch.Tensor:
    x = (pixels.float() / 255 - torch.tensor(how.mean)) / torch.tensor(how.std)
    return x.permute(0, 3, 1, 2)


def trained(network: nn.Module, side: int) -> nn.Module:
    """A network whose norms have statistics to fold and whose last norms are not zero."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    network.train()
    with torch.no_grad():
        network(torch.randn(8, 3, side, side))
    return network.eval()


NETWORKS: dict[str, Any] = {
    "mini's kind": (lambda: ResNet(BASIC), 64),
    "selective": (lambda: ResNet(SELECTIVE), 64),
    "torchvision ResNet": (lambda: TorchvisionNetwork(TorchvisionArguments("resnet18")), 64),
    "torchvision Inception": (lambda: TorchvisionNetwork(TorchvisionArguments("inception_v3")), 96),
    "timm ResNet": (lambda: TimmNetwork(TimmArguments("resnet18", 512)), 64),
    "timm ViT": (lambda: TimmNetwork(TimmArguments("test_vit", 64)), 160),
    "timm EfficientNet": (lambda: TimmNetwork(TimmArguments("test_efficientnet", 256)), 96),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("mean", [0.0, 0.4])
def test_normalisation_goes_into_the_first_convolution(name: str, mean: float) -> None:
    make, side = NETWORKS[name]
    network, how = trained(make(), side), preprocessing(side, mean)
    pixels = torch.randint(0, 256, (3, side, side, 3), dtype=torch.uint8)
    with torch.inference_mode():
        expected = network(normalised(pixels, how)).float()
        assert first_convolution(network) is not None
        rows = FromPixels(network, how, CPU, torch.float32)(pixels)
    torch.testing.assert_close(rows, expected, rtol=2e-4, atol=2e-4 * float(expected.abs().max()))


def test_a_network_that_tells_no_first_convolution_has_its_pixels_normalised() -> None:
    network, how = trained(ResNet(BASIC), 64), preprocessing(64)
    pixels = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        expected = network(normalised(pixels, how))
        network.first = "none"  # type: ignore[assignment]
        rows = FromPixels(network, how, CPU, torch.float32)(pixels)
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-5)


def test_a_network_is_made_ready_once() -> None:
    network = trained(ResNet(BASIC), 64)
    FromPixels(network, preprocessing(64), CPU, torch.float32)
    with pytest.raises(ModelError, match="load it again"):
        FromPixels(network, preprocessing(64), CPU, torch.float32)


def test_a_network_may_be_on_another_device_than_the_pixels_are_described_on() -> None:
    ready = FromPixels(ResNet(BASIC).to("meta"), preprocessing(64), torch.device("meta"), torch.float32)
    assert {each.device.type for each in (*ready.parameters(), *ready.buffers())} == {"meta"}


class Standardised(nn.Conv2d):
    """Stands for a convolution that scales its own weights."""


@pytest.mark.parametrize(
    "layer",
    [
        Standardised(3, 4, 3),
        nn.Conv2d(6, 4, 3),
        nn.Conv2d(3, 3, 3, groups=3),
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 4, 3, padding="same"),
        nn.Linear(3, 4),
    ],
    ids=str,
)
def test_only_a_plain_convolution_of_pixels_takes_the_normalisation_in(layer: nn.Module) -> None:
    network = nn.Sequential(layer)
    network.first = "0"  # type: ignore[assignment]
    assert first_convolution(network) is None


def test_the_pixels_of_flat_colours_are_exact_in_half_precision() -> None:
    """What bfloat16 does to a row then comes from the weights alone, at the edges too."""
    how = Preprocessing(64, "squash", 64, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    network = trained(ResNet(BASIC), 64)
    colours = torch.tensor([[255, 255, 255], [0, 0, 0], [250, 251, 249]], dtype=torch.uint8)
    pixels = colours.view(3, 1, 1, 3).expand(3, 64, 64, 3).contiguous()
    seen: dict[torch.dtype, list[torch.Tensor]] = {}
    for dtype in (torch.float64, torch.bfloat16):
        ready = FromPixels(copy.deepcopy(network), how, CPU, dtype)
        kept = seen[dtype] = []
        layer = next(module for module in ready.modules() if isinstance(module, nn.Conv2d))
        layer.register_forward_pre_hook(lambda _, given, kept=kept: kept.append(given[0].double()))
        with torch.inference_mode():
            ready(pixels)
    rest = 255 * torch.tensor(how.mean, dtype=torch.float64)
    rest -= rest.round()
    inside = seen[torch.bfloat16][0][:, :, 3:-3, 3:-3]
    levels = colours.double() - (255 * torch.tensor(how.mean, dtype=torch.float64)).round()
    assert (inside == levels.repeat(2, 1).view(6, 3, 1, 1)).all()
    edge = seen[torch.bfloat16][0][:, :, 0, 0]
    assert (edge - rest).abs().max() < 1e-3 < rest.abs().max()


def test_shared_biases_add_up_closer_than_rounded_ones() -> None:
    network = trained(ResNet(SELECTIVE), 64)
    ready = FromPixels(network, preprocessing(64), CPU, torch.float32)
    blocks = [module.summed for module in ready.modules() if len(getattr(module, "summed", ())) == 2]
    assert len(blocks) == 4
    sums = [sum(each.bias for each in block) for block in blocks]
    rounded = [sum(each.bias.bfloat16().float() for each in block) for block in blocks]
    share_biases(ready, torch.bfloat16)
    shared = [sum(each.bias.bfloat16().float() for each in block) for block in blocks]
    before = max(float((a - b).abs().max()) for a, b in zip(sums, rounded, strict=True))
    after = max(float((a - b).abs().max()) for a, b in zip(sums, shared, strict=True))
    assert after < before / 50


def test_half_precision_moves_pictures_on_white_less_than_goal_g16_allows(rng: np.random.Generator) -> None:
    network, how = load_network(MINI, find_model("mini")), MINI.preprocessing
    pixels = torch.full((40, 200, 200, 3), 255, dtype=torch.uint8)
    for i, (top, left, value) in enumerate(rng.integers(20, 120, (40, 3))):
        pixels[i, top : top + 60, left : left + 60] = int(value) * 2
        pixels[i, top : top + 20, left : left + 20] = torch.from_numpy(rng.integers(0, 256, (20, 20, 3), np.uint8))
    rows: dict[bool, list[NDArray[np.float32]]] = {}
    for told in (True, False):
        network.first = "stem.0.0" if told else None  # type: ignore[assignment]
        with torch.inference_mode():
            rows[told] = [
                FromPixels(copy.deepcopy(network), how, CPU, dtype)(pixels).numpy()
                for dtype in (torch.float32, torch.bfloat16)
            ]
    moved = {told: np.quantile(js(*both).diagonal(), 0.99) for told, both in rows.items()}
    assert moved[True] < 0.02
    assert moved[True] < moved[False]
