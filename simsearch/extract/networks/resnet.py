"""The SimCLR v2 ResNet family as one parameterised network.

Departures from torchvision's ResNet, all taken from the SimCLR v2 paper and its published description: the ResNet-D
stem (three 3x3 convolutions), the average-pool shortcut, selective kernels; with `edges` "simclr", TensorFlow's way
with windows that hang over an edge, for the published weights. Narrow members, with basic blocks and any widths, come
from the same code; so does the trained non-negative row that `mini` ends in.

Reference: Chen et al., "Big Self-Supervised Models are Strong Semi-Supervised Learners", 2020; He et al., "Bag of
Tricks for Image Classification", 2019 (ResNet-D); Li et al., "Selective Kernel Networks", 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simsearch.extract.networks.area_pooling import area_means
from simsearch.extract.networks.dihedral import ORDER, of_all_forms, tie

EPSILON = 1e-5
SIMCLR_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_GEM_POWER = 3.0
_LEAST_RANGE = 1 / 32  # eight levels of 255: below that mostly noise would be stretched
_MEAN, _SPREAD = 0.45, 0.25  # of stretched photographs, roughly
_LEAST = 1e-6  # the slope of a root is infinite at zero


@dataclass(frozen=True, slots=True)
class ResNetArguments:
    """What distinguishes one member of the family from another.

    Attributes:
        block: "basic" (two 3x3 convolutions) or "bottleneck" (1x1, 3x3, 1x1; output four times as wide).
        depths: Blocks in each of the four stages.
        widths: Channels of each stage's 3x3 convolutions, the width multiplier included.
        stem: "d" for the three-convolution stem of ResNet-D, "plain" for one 7x7 convolution.
        stem_width: Channels after the stem.
        shortcut: "d" for an average pool before the 1x1 projection, "plain" for a strided projection.
        sk_ratio: Reduction ratio of selective kernels; 0 turns them off.
        row: Length of the trained non-negative row after the pool; 0 gives the pooled features themselves.
        pool: "avg", or "gem" for the generalised mean of power 3, which leans towards the strongest places.
        scales: Shares of the picture's sides, around its centre. The network sees each of these parts at the size of
            the smallest, and the row is the mean of theirs, each of sum 1: what a crop shows was then seen as large
            in the original. (1,) is the whole picture alone.
        edges: "simclr" for the pools of the published SimCLR weights: what a window lacks is added to the right and
            below, and the "d" shortcut averages places in the first stage too. "even" is PyTorch's habit.
        luminance: The network sees only the luminance of each part, stretched to its full range, so that a copy in
            black and white, darkened or tinted, is the same to it by construction. Takes values in [0, 1].
        symmetric: The row of a picture is that of its negative, of its mirror image and of its turns by 90 degrees, by
            construction: the first convolution tells only how strong an edge is, all convolutions are tied as
            `simsearch.extract.networks.dihedral` says, and the row is the mean over the eight forms of the pooled
            channels. For basic blocks, a plain stem, a row and luminance; exact where every part, each size after a
            stride of two and what is cut off around it are odd or even alike, as for parts of 65 places.
    """

    block: Literal["basic", "bottleneck"] = "bottleneck"
    depths: tuple[int, int, int, int] = (3, 4, 6, 3)
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    stem: Literal["d", "plain"] = "d"
    stem_width: int = 64
    shortcut: Literal["d", "plain"] = "d"
    sk_ratio: float = 0.0
    row: int = 0
    pool: Literal["avg", "gem"] = "avg"
    scales: tuple[float, ...] = (1.0,)
    edges: Literal["even", "simclr"] = "even"
    luminance: bool = False
    symmetric: bool = False

    @property
    def dimension(self) -> int:
        """Length of the network's output row."""
        expansion = 4 if self.block == "bottleneck" else 1
        return self.row or self.widths[-1] * expansion


def simclr(depth: int, width: int, *, selective: bool = False) -> ResNetArguments:
    """Return the published network of a depth (50, 101 or 152) and a width multiplier, as v1 and v2 have it.

    Selective kernels come with the stem and shortcut of ResNet-D; without them v2 is v1's network.

    Example:
        >>> simclr(50, 2, selective=True).dimension
        4096
    """
    kind: Literal["d", "plain"] = "d" if selective else "plain"
    return ResNetArguments(
        depths=SIMCLR_DEPTHS[depth],
        widths=(64 * width, 128 * width, 256 * width, 512 * width),
        stem=kind,
        stem_width=64 * width,
        shortcut=kind,
        sk_ratio=1 / 16 if selective else 0.0,
        edges="simclr",
    )


class ConvNorm(nn.Sequential):
    """A convolution without bias, batch norm, and (by default) a ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, relu: bool = True) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, bias=False)
        parts: list[nn.Module] = [convolution, nn.BatchNorm2d(outputs, eps=EPSILON)]
        super().__init__(*parts, *([nn.ReLU(inplace=True)] if relu else []))


class SelectiveKernel(nn.Module):
    """Two 3x3 branches (one convolution of twice the width), mixed by a softmax over the branches per channel."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, ratio: float) -> None:
        super().__init__()
        self.both = ConvNorm(inputs, 2 * outputs, 3, stride=stride)
        hidden = max(int(outputs * ratio), 32)
        self.squeeze = ConvNorm(outputs, hidden, 1)
        self.excite = nn.Conv2d(hidden, 2 * outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs, h, w)."""
        branches = torch.stack(self.both(x).chunk(2, dim=1))  # (2, n, c, h, w)
        pooled = branches.sum(dim=0).mean(dim=(2, 3), keepdim=True)
        gates = torch.stack(self.excite(self.squeeze(pooled)).chunk(2, dim=1)).softmax(dim=0)
        return (branches * gates).sum(dim=0)


class Block(nn.Module):
    """A residual block, basic or bottleneck."""

    def __init__(self, inputs: int, width: int, stride: int, arguments: ResNetArguments) -> None:
        super().__init__()
        outputs = width * (4 if arguments.block == "bottleneck" else 1)
        if arguments.block == "bottleneck":
            middle = _spatial(width, width, stride, arguments.sk_ratio)
            self.body = nn.Sequential(ConvNorm(inputs, width, 1), middle, ConvNorm(width, outputs, 1, relu=False))
        else:
            first = _spatial(inputs, width, stride, arguments.sk_ratio)
            self.body = nn.Sequential(first, ConvNorm(width, outputs, 3, relu=False))
        self.shortcut = _shortcut(inputs, outputs, stride, arguments)
        self.relu = nn.ReLU(inplace=True)

    @property
    def summed(self) -> list[nn.Conv2d]:
        """The convolutions whose outputs are added: the body's last, and the shortcut's where it has one."""
        ways = [[part for part in way.modules() if isinstance(part, nn.Conv2d)] for way in (self.body, self.shortcut)]
        return [convolutions[-1] for convolutions in ways if convolutions]

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs, h / stride, w / stride), non-negative."""
        out: Tensor = self.relu(self.body(x) + self.shortcut(x))
        return out


def _spatial(inputs: int, outputs: int, stride: int, sk_ratio: float) -> nn.Module:
    if sk_ratio:
        return SelectiveKernel(inputs, outputs, stride=stride, ratio=sk_ratio)
    return ConvNorm(inputs, outputs, 3, stride=stride)


def _shortcut(inputs: int, outputs: int, stride: int, arguments: ResNetArguments) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    simclr_edges = arguments.edges == "simclr"
    if arguments.shortcut == "plain" or (stride == 1 and not simclr_edges):
        return ConvNorm(inputs, outputs, 1, stride=stride, relu=False)
    projection = ConvNorm(inputs, outputs, 1, relu=False)
    if arguments.symmetric:
        return nn.Sequential(nn.AvgPool2d(3, stride, padding=1, count_include_pad=False), projection)
    if not simclr_edges:
        return nn.Sequential(nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False), projection)
    # A mean over the places that exist, as TensorFlow takes it, is the mean with the last ones repeated.
    pad = nn.ReplicationPad2d((0, 1, 0, 1)) if stride == 1 else nn.ZeroPad2d((0, 1, 0, 1))
    return nn.Sequential(nn.Sequential(pad, nn.AvgPool2d(2, stride)), projection)


class SamePool(nn.Module):
    """The largest of 3x3 non-negative values at every second place, by TensorFlow's rule "SAME"."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, c, ceil(h / 2), ceil(w / 2)); an even side lacks one value at its end, an odd one at both."""
        top, left = x.shape[2] % 2, x.shape[3] % 2
        return F.max_pool2d(F.pad(x, (left, 1, top, 1)), 3, 2)


class Strength(nn.Module):
    """The magnitude of a response: that of a picture's negative is the same."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the absolute values."""
        return x.abs()


def _stem(arguments: ResNetArguments) -> nn.Sequential:
    width, colours = arguments.stem_width, 1 if arguments.luminance else 3
    pool = SamePool() if arguments.edges == "simclr" else nn.MaxPool2d(3, 2, padding=1)
    if arguments.symmetric:
        convolution = nn.Conv2d(1, width, 7, 2, padding=3, bias=False)
        after = nn.BatchNorm2d(width, eps=EPSILON), nn.ReLU(inplace=True)  # of a quarter of the places
        return nn.Sequential(nn.Sequential(convolution, Strength(), pool, *after))
    if arguments.stem == "plain":
        return nn.Sequential(ConvNorm(colours, width, 7, stride=2), pool)
    half = width // 2
    return nn.Sequential(ConvNorm(colours, half, 3, stride=2), ConvNorm(half, half, 3), ConvNorm(half, width, 3), pool)


class ResNet(nn.Module):
    """Stem, four stages, global average pool, and, if asked for, the trained non-negative row.

    Every output is non-negative: pooled ReLU features, or the row's own ReLU.

    Attributes:
        first: Name of the convolution that alone sees the pixels.
        reads_float32: Whether pixels stay in float32 until the network has stretched them.
    """

    first = "stem.0.0"

    def __init__(self, arguments: ResNetArguments) -> None:
        super().__init__()
        if arguments.symmetric and not _can_be_symmetric(arguments):
            raise ValueError("symmetric needs luminance, basic blocks, a plain stem, widths in eights, and a row")
        self.arguments = arguments
        self.reads_float32 = arguments.luminance
        self.stem = _stem(arguments)
        channels, stages = arguments.stem_width, []
        for stage, (depth, width) in enumerate(zip(arguments.depths, arguments.widths, strict=True)):
            blocks = []
            for i in range(depth):
                block = Block(channels, width, 2 if stage > 0 and i == 0 else 1, arguments)
                channels = width * (4 if arguments.block == "bottleneck" else 1)
                blocks.append(block)
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.row: nn.Module = nn.Identity()
        if arguments.row:
            linear = nn.Linear(channels, arguments.row, bias=False)
            self.row = nn.Sequential(linear, nn.BatchNorm1d(arguments.row, eps=EPSILON), nn.ReLU())
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return rows (n, dimension), non-negative, of normalised images (n, 3, h, w); of sum 1 if several scales."""
        scales = self.arguments.scales
        if self.arguments.luminance:
            x = luminance(x)
        if scales == (1.0,):
            return self._rows(x)
        rows = self._rows(torch.cat([_part(x, scale, min(scales)) for scale in scales]))
        shares = rows / rows.sum(dim=1, keepdim=True).clamp_min(_LEAST)
        return torch.stack(shares.chunk(len(scales))).mean(dim=0)

    def _rows(self, x: Tensor) -> Tensor:
        if self.arguments.luminance:
            x = stretched(x, symmetric=self.arguments.symmetric).to(next(self.stem.parameters()).dtype)
        places = self.stages(self.stem(x))
        pooled = _generalised_mean(places) if self.arguments.pool == "gem" else _mean(places)
        if not self.arguments.symmetric:
            rows: Tensor = self.row(pooled)
            return rows
        return torch.stack(self.row(of_all_forms(pooled)).chunk(ORDER)).mean(dim=0)


def luminance(x: Tensor) -> Tensor:
    """Return luma (n, 1, h, w) of RGB (n, 3, h, w), ITU-R BT.601; luma stays."""
    return x if x.shape[1] == 1 else x[:, 0:1] * 0.299 + x[:, 1:2] * 0.587 + x[:, 2:3] * 0.114


def stretched(luma: Tensor, *, symmetric: bool = False) -> Tensor:
    """Return luma (n, 1, h, w) in [0, 1] stretched to its full range, with a mean near 0 and a spread near 1.

    A hundredth of the places is cut at either end, counted over means of 2 x 2 so that single dots do not matter. A
    nearly flat picture is stretched to no more than the range that `_LEAST_RANGE` becomes. Symmetric, a negative
    becomes the negative, and means of 3 x 3 are counted, which lie alike in a mirror image.
    """
    means = F.avg_pool2d(luma, 3, 2, 1, count_include_pad=False) if symmetric else F.avg_pool2d(luma, 2)
    ordered = means.flatten(1)
    cut = 1 + ordered.shape[1] // 100
    low = ordered.topk(cut, dim=1, largest=False).values[:, -1].view(-1, 1, 1, 1)
    high = ordered.topk(cut, dim=1).values[:, -1].view(-1, 1, 1, 1)
    if symmetric:
        middle, range_ = (low + high) / 2, (high - low).clamp_min(_LEAST_RANGE)
        return ((luma - middle) / range_).clamp(-0.5, 0.5) / _SPREAD
    full = ((luma - low) / (high - low).clamp_min(_LEAST_RANGE)).clamp(0, 1)
    return (full - _MEAN) / _SPREAD


def _part(x: Tensor, scale: float, smallest: float) -> Tensor:
    """Return the middle of images (n, c, h, w), that share of each side, at the size of the smallest share."""
    height, width = x.shape[2:]
    high, wide = round(scale * height), round(scale * width)
    top, left = (height - high) // 2, (width - wide) // 2
    part = x[:, :, top : top + high, left : left + wide]
    size = (round(smallest * height), round(smallest * width))
    return part if size == (high, wide) else area_means(part, size)


def _mean(places: Tensor) -> Tensor:
    return places.mean(dim=(2, 3), dtype=torch.float32)


def _generalised_mean(places: Tensor) -> Tensor:
    """Return GeM: Radenovic, Tolias & Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", 2018."""
    return _mean(places.float().clamp(min=_LEAST) ** _GEM_POWER) ** (1 / _GEM_POWER)


def _can_be_symmetric(arguments: ResNetArguments) -> bool:
    kind = (arguments.block, arguments.stem, arguments.sk_ratio, arguments.edges, arguments.luminance)
    in_fields = all(width % ORDER == 0 for width in (arguments.stem_width, *arguments.widths))
    return kind == ("basic", "plain", 0.0, "even", True) and in_fields and arguments.row > 0


def _initialise(network: ResNet) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for module in network.modules():
        if isinstance(module, Block):
            last = list(module.body.modules())[-1]
            nn.init.zeros_(last.weight)  # type: ignore[arg-type]
    if network.arguments.symmetric:
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.data *= ORDER**0.5  # which the mean of eight takes away again
        tie(network)


Arguments = ResNetArguments
Network = ResNet
