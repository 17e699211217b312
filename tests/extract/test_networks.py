"""Laws of the ResNet family."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from simsearch.extract.networks.resnet import ResNet, ResNetArguments, SamePool, luminance, simclr, stretched
from simsearch.extract.neural.folding import fold_norms

FAMILY = [
    ResNetArguments(block, (1, 2, 1, 1), (8, 8, 16, 16), stem, 8, shortcut, sk, row)
    for block, stem, shortcut, sk, row in itertools.product(
        ("basic", "bottleneck"), ("d", "plain"), ("d", "plain"), (0.0, 0.0625), (0, 12)
    )
] + [
    ResNetArguments("basic", (1, 1, 1, 1), (8, 8, 16, 16), "plain", 8, row=12, scales=(1, 0.7, 0.5)),
    ResNetArguments("bottleneck", (1, 2, 1, 1), (8, 8, 16, 16), "d", 8, "d", 0.0625, edges="simclr"),
]


@pytest.mark.parametrize("arguments", FAMILY, ids=str)
def test_every_member_gives_non_negative_rows_of_its_dimension(arguments: ResNetArguments) -> None:
    network = ResNet(arguments).eval()
    with torch.inference_mode():
        rows = network(torch.randn(3, 3, 65, 64))
    assert rows.shape == (3, arguments.dimension)
    assert rows.min() >= 0
    assert rows.dtype == torch.float32


@pytest.mark.parametrize("arguments", FAMILY[::3], ids=str)
def test_folding_batch_norm_changes_nothing(arguments: ResNetArguments) -> None:
    torch.manual_seed(1)
    network = ResNet(arguments)
    network.train()
    for _ in range(3):
        network(torch.randn(8, 3, 64, 64))  # gives the norms statistics to fold
    network.eval()
    x = torch.randn(4, 3, 64, 64)
    with torch.inference_mode():
        before = network(x)
        fold_norms(network)
        after = network(x)
    assert not any(isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d) for module in network.modules())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_the_row_of_several_scales_is_the_mean_of_theirs() -> None:
    torch.manual_seed(2)
    one = ResNet(ResNetArguments("basic", (1, 1, 1, 1), (8, 8, 16, 16), "plain", 8, row=12)).eval()
    two = ResNet(replace(one.arguments, scales=(1, 0.5))).eval()
    two.load_state_dict(one.state_dict())
    x = torch.randn(4, 3, 64, 64)
    with torch.inference_mode():
        whole = one(x.view(4, 3, 32, 2, 32, 2).mean(dim=(3, 5)))
        middle = one(x[:, :, 16:48, 16:48])
        wanted = (whole / whole.sum(1, keepdim=True) + middle / middle.sum(1, keepdim=True)) / 2
        torch.testing.assert_close(two(x), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scales", [(1.0,), (1, 0.5)])
def test_luminance_is_the_same_for_copies_in_grey_darkened_or_faded(
    scales: tuple[float, ...],
) -> None:
    torch.manual_seed(3)
    arguments = ResNetArguments(
        "basic", (1, 1, 1, 1), (8, 8, 16, 16), "plain", 8, row=12, scales=scales, luminance=True
    )
    network = ResNet(arguments).eval()
    x = F.interpolate(torch.rand(4, 3, 9, 9), (64, 64), mode="bicubic").clamp(0, 1)
    grey = luminance(x).expand(-1, 3, -1, -1)
    with torch.inference_mode():
        rows = network(x)
        for copy in (grey, 0.1 * grey, 0.5 * grey + 0.4):
            torch.testing.assert_close(network(copy), rows, rtol=1e-3, atol=1e-5)
        assert torch.isfinite(network(torch.full((1, 3, 64, 64), 0.3))).all(), "a flat picture has no range"


def test_stretched_luminance_fills_its_range_but_for_a_hundredth_at_either_end() -> None:
    ramp = torch.linspace(0.3, 0.5, 10_000).view(1, 1, 100, 100)
    full = stretched(ramp) * 0.25 + 0.45
    assert (full.min(), full.max()) == (0, 1)
    assert 0.005 < (full == 0).float().mean() < 0.02
    torch.testing.assert_close(full.mean(), torch.tensor(0.5), atol=1e-3, rtol=0)
    dotted = ramp.clone()
    dotted[:, :, ::20, ::20] = 1
    moved = (stretched(dotted) - stretched(ramp)).abs()
    assert moved[dotted == ramp].max() < 0.1, "single dots do not matter"


def test_resnet50_has_the_published_size() -> None:
    """24M parameters without the classifier for SimCLR's ResNet-50 (1x), 2048 dimensions."""
    with torch.device("meta"):
        arguments = ResNetArguments(stem="plain", shortcut="plain")
        network = ResNet(arguments)
    assert arguments.dimension == 2048
    assert sum(p.numel() for p in network.parameters()) == 23_508_032


@pytest.mark.parametrize(
    ("depth", "width", "selective", "millions"),
    [
        (50, 1, False, 24),
        (50, 1, True, 35),
        (50, 2, False, 94),
        (50, 2, True, 140),
        (50, 4, False, 375),
        (101, 1, False, 43),
        (101, 1, True, 65),
        (101, 2, False, 170),
        (101, 2, True, 257),
        (152, 1, False, 58),
        (152, 1, True, 89),
        (152, 2, False, 233),
        (152, 2, True, 354),
        (152, 3, True, 795),
    ],
)
def test_simclr_networks_have_the_published_sizes(depth: int, width: int, selective: bool, millions: int) -> None:
    """Table 1 of the paper of v2, table 6 of v1's (4x); in millions of parameters, to the million."""
    with torch.device("meta"):
        network = ResNet(simclr(depth, width, selective=selective))
    assert network.arguments.dimension == 2048 * width
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=1)


@pytest.mark.parametrize(("height", "width"), [(6, 6), (7, 6), (7, 9)])
def test_the_pool_keeps_to_the_rule_same(height: int, width: int) -> None:
    """Window i begins at 2 i less half of what the windows hang over, and the odd half hangs over the end."""
    x = torch.rand(1, 2, height, width)
    tops, lefts = (range(0 - side % 2, side - 1 + side % 2, 2) for side in (height, width))
    wanted = [
        [x[:, :, max(top, 0) : top + 3, max(left, 0) : left + 3].amax(dim=(2, 3)) for left in lefts] for top in tops
    ]
    torch.testing.assert_close(SamePool()(x), torch.stack([torch.stack(row, -1) for row in wanted], -2))


def test_a_block_begins_as_its_shortcut() -> None:
    """The last norm of each block starts at zero, so the untrained network is a chain of shortcuts."""
    network = ResNet(ResNetArguments("basic", (1, 1, 1, 1), (8, 8, 8, 8), "plain", 8))
    first = network.stages[0][0].eval()
    x = torch.rand(2, 8, 16, 16)
    torch.testing.assert_close(first(x), x)
