"""A model of the narrow ResNet family in plain torch: the lines of its README that load it without this library."""

from __future__ import annotations

from simsearch.extract.networks.build import arguments_of
from simsearch.extract.zoo.card import ModelCard

_CODE = """\
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional as F

w = {{name: value.float() for name, value in load_file("{file}").items()}}


def norm(x, name):
    values = (w[f"{{name}}.{{v}}"] for v in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, *values, eps=1e-5)


def conv(x, name, stride=1):  # a convolution and its batch norm
    kernel = w[f"{{name}}.0.weight"]
    return norm(F.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2), f"{{name}}.1")


def shrunk(x, size):  # means over areas
    n, edges = x.shape[-1], torch.arange(size + 1) * (x.shape[-1] / size)
    ends = torch.minimum(edges[1:, None], torch.arange(1, n + 1)) - torch.maximum(edges[:-1, None], torch.arange(n))
    share = ends.clamp(0) * (size / n)
    return share @ x @ share.T


def part(x):  # the row of one part of the picture, of sum 1
{stretch}{stem}    for s, depth in enumerate({depths}):
        for b in range(depth):
            block, first = f"stages.{{s}}.{{b}}", s > 0 and b == 0
            y = conv(conv(x, f"{{block}}.body.0", 1 + first).relu(), f"{{block}}.body.1")
            if first:
                x = conv(F.avg_pool2d(x, {shortcut}, count_include_pad=False), f"{{block}}.shortcut.1")
            x = (x + y).relu()
    x = x.mean((2, 3))
{row}    return row / row.sum()


def row_of(path):
    image = Image.open(path).convert("RGB").resize(({size}, {size}), Image.Resampling.{kernel})
    x = torch.tensor(list(image.tobytes())).view(1, {size}, {size}, 3).permute(0, 3, 1, 2) / 255
    x = (x - torch.tensor({mean}).view(3, 1, 1)) / torch.tensor({std}).view(3, 1, 1)
{luminance}    cuts = (slice(({size} - n) // 2, ({size} - n) // 2 + n) for n in {sides})
    return sum(part(shrunk(x[..., cut, cut], {small})) for cut in cuts) / {count}
"""
_STEM = """\
    x = F.max_pool2d(conv(x, "stem.0", 2).relu(), 3, 2, 1)
"""
_ROW = """\
    row = norm(x @ w["row.0.weight"].T, "row.1").relu()
"""
_SYMMETRIC_STEM = """\
    x = F.conv2d(x, w["stem.0.0.weight"], None, 2, 3).abs()
    x = norm(F.max_pool2d(x, 3, 2, 1), "stem.0.3").relu()
"""
_SYMMETRIC_ROW = """\
    forms = [[4 * (m // 4 ^ g // 4) + (g + (-m if g > 3 else m)) % 4 for m in range(8)] for g in range(8)]
    forms = [x.view(1, -1, 8)[:, :, form].flatten(1) for form in forms]  # mirrored and turned
    row = sum(norm(form @ w["row.0.weight"].T, "row.1").relu() for form in forms) / 8
"""
_LUMINANCE = """\
    x = x[:, 0:1] * 0.299 + x[:, 1:2] * 0.587 + x[:, 2:3] * 0.114
"""
_STRETCH = """\
    ranked = F.avg_pool2d(x, 2).flatten().sort().values
    low, high = ranked[len(ranked) // 100], ranked[-1 - len(ranked) // 100]
    x = (((x - low) / (high - low).clamp(1 / 32)).clamp(0, 1) - 0.45) / 0.25
"""
_SYMMETRIC_STRETCH = """\
    ranked = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False).flatten().sort().values
    low, high = ranked[len(ranked) // 100], ranked[-1 - len(ranked) // 100]
    x = ((x - (low + high) / 2) / (high - low).clamp(1 / 32)).clamp(-0.5, 0.5) / 0.25
"""


def plain_torch(card: ModelCard) -> list[str]:
    """Return the lines of a code block whose `row_of(path)` gives a card's row.

    Raises:
        ValueError: The network is another than these lines say.
    """
    network, how = arguments_of(card), card.preprocessing
    kind = (network.block, network.stem, network.shortcut, network.sk_ratio, network.pool, network.edges, how.fit)
    if kind != ("basic", "plain", "d", 0.0, "avg", "even", "squash") or not network.row:
        raise ValueError(f"{card.name}: these lines are of another network")
    sides = [round(scale * how.size) for scale in network.scales]
    text = _CODE.format(
        file=card.weights.file,
        luminance=_LUMINANCE if network.luminance else "",
        stretch=_SYMMETRIC_STRETCH if network.symmetric else _STRETCH if network.luminance else "",
        stem=_SYMMETRIC_STEM if network.symmetric else _STEM,
        shortcut="3, 2, 1" if network.symmetric else "2, ceil_mode=True",
        row=_SYMMETRIC_ROW if network.symmetric else _ROW,
        depths=tuple(network.depths),
        size=how.size,
        kernel=how.kernel.upper(),
        mean=how.mean,
        std=how.std,
        sides=tuple(sides),
        small=min(sides),
        count=len(sides),
    )
    return ["```python", *text.splitlines(), "```"]
