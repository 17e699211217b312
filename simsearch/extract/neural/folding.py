"""A network made ready to run: batch norm and the normalisation of pixels folded into its convolutions."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from simsearch.errors import ModelError
from simsearch.images.preprocess import Preprocessing


class FromPixels(nn.Module):
    """A network in inference mode on a device, from pixels to rows; a trained row keeps float32.

    Where the convolution that sees the pixels is known (`first_convolution`), its weights take the normalisation in.
    What enters it are then whole levels, -255 to 255, that bfloat16 holds exactly. Normalised ones it would round,
    the same way all over a white background, and that alone moves rows further than every other rounding together
    (the last law of its tests). The network is taken over: it cannot be made ready a second
    time.
    """

    def __init__(
        self, network: nn.Module, preprocessing: Preprocessing, device: torch.device, dtype: torch.dtype
    ) -> None:
        super().__init__()
        if getattr(network, "takes_pixels", False):
            raise ModelError("this network is part of an extractor already; load it again for another one")
        network = network.eval().requires_grad_(requires_grad=False)
        fold_norms(network)
        mean, std = 255 * torch.tensor([preprocessing.mean, preprocessing.std], dtype=torch.float64)
        first = first_convolution(network)
        self._read_as = torch.float32 if first is None else dtype
        self._std: torch.Tensor | None = None
        self._passed_as = torch.float32 if getattr(network, "reads_float32", False) else dtype
        shift = mean
        if first is None:
            self._std = std.to(device, self._read_as).repeat(preprocessing.size)
        else:
            shift = mean if dtype == torch.float32 else mean.round()
            _absorb(network, first, mean - shift, std)
        network.takes_pixels = True  # type: ignore[assignment]
        share_biases(network, dtype)
        # A whole line of pixels at once: over three channels at a time a CPU takes ten times as long.
        self._shift = shift.to(device, self._read_as).repeat(preprocessing.size)
        network.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if isinstance(row := getattr(network, "row", None), nn.Module):
            row.float()  # what rounding did to it would be searched
        self._network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return rows (n, d) float32 of pixels (n, s, s, 3) uint8 on the device."""
        lines = pixels.flatten(2).to(self._read_as).sub_(self._shift)  # (n, s, 3 s)
        if self._std is not None:
            lines = lines.div_(self._std).to(self._passed_as)
        rows: torch.Tensor = self._network(lines.view(pixels.shape).permute(0, 3, 1, 2))  # (n, 3, s, s), channels last
        return rows.float()


def first_convolution(network: nn.Module) -> str | None:
    """Return the name of the convolution that alone sees a network's pixels, from its attribute `first`.

    Before it there may only be means of places. None where none is told, or where it is of a kind of its own, as one
    that scales its weights.
    """
    name = getattr(network, "first", None)
    layer = dict(network.named_modules()).get(name) if isinstance(name, str) else None
    if type(layer) is not nn.Conv2d or layer.in_channels != 3 or layer.groups != 1:
        return None
    return name if layer.padding_mode == "zeros" and not isinstance(layer.padding, str) else None


class Edged(nn.Module):
    """A convolution whose padding is a colour instead of zeros."""

    colour: torch.Tensor

    def __init__(self, layer: nn.Conv2d, colour: torch.Tensor) -> None:
        super().__init__()
        self._high, self._wide = int(layer.padding[0]), int(layer.padding[1])
        layer.padding = (0, 0)
        self._layer = layer
        self.register_buffer("colour", colour.float().view(1, -1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the convolution gives of (n, c, h, w)."""
        count, channels, height, width = x.shape
        shape = (count, channels, height + 2 * self._high, width + 2 * self._wide)
        edged = self.colour.expand(shape).contiguous(memory_format=torch.channels_last)
        edged[:, :, self._high : self._high + height, self._wide : self._wide + width] = x
        out: torch.Tensor = self._layer(edged)
        return out


def _absorb(network: nn.Module, name: str, rest: torch.Tensor, std: torch.Tensor) -> None:
    """Make the convolution of (x - rest) / std, of which `rest` is less than a level of colour, one of x."""
    layer = network.get_submodule(name)
    assert isinstance(layer, nn.Conv2d)
    beside, scale = (each.to(layer.weight.device).view(1, 3, 1, 1) for each in (rest, std))
    weight = layer.weight.double() / scale
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.double()
    bias = bias - (weight * beside).sum(dim=(1, 2, 3))
    layer.weight = nn.Parameter(weight.float(), requires_grad=False)
    layer.bias = nn.Parameter(bias.float(), requires_grad=False)
    if any(layer.padding) and rest.any():
        network.set_submodule(name, Edged(layer, rest))


def share_biases(network: nn.Module, dtype: torch.dtype) -> None:
    """Move the rounding of a bias in `dtype` into the other bias where outputs are added (attribute `summed`)."""
    for module in network.modules():
        convolutions = getattr(module, "summed", ())
        if len(convolutions) == 2 and all(each.bias is not None for each in convolutions):
            one, other = (each.bias.data for each in convolutions)
            total = one + other
            one.copy_(total.to(dtype))
            other.copy_(total - one)


def fold_norms(module: nn.Module) -> None:
    """Fold every batch norm into the layer before it; not those that do more, such as timm's with an activation."""
    if isinstance(module, torch.jit.ScriptModule):  # which is as it was compiled
        return
    for child in module.children():
        fold_norms(child)
    names = list(module._modules)
    for first, second in itertools.pairwise(names):
        layer, norm = module._modules[first], module._modules[second]
        if isinstance(layer, nn.Conv2d) and type(norm) is nn.BatchNorm2d:
            module._modules[first], module._modules[second] = fuse_conv_bn_eval(layer, norm), nn.Identity()
        elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
            module._modules[first], module._modules[second] = fuse_linear_bn_eval(layer, norm), nn.Identity()
