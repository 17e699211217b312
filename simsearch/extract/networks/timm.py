"""Any network of timm up to its pool, by timm's name; and the descriptor that won the Image Similarity Challenge 2021.

Reference: Yokoo, "Contrastive Learning with Large Memory Bank and Negative Embedding Subtraction for Accurate Copy
Detection", 2021; https://github.com/lyakaap/ISC21-Descriptor-Track-1st.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from simsearch.errors import ModelError

_EPSILON = 1e-6
_WRAPPERS = re.compile(r"^(module\.)?(model\.)?")  # of DataParallel and of Lightning
_PARTS = ("_expand_conv", "_depthwise_conv", "_project_conv")
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class TimmArguments:
    """Which network, and what its row is.

    Attributes:
        name: As timm calls it.
        dimension: Length of a row: of the pooled features, or of the head.
        head: Whether the last feature map is averaged, projected without bias, normed over the batch's statistics and
            divided by its length, as the descriptor of 2021 does.
    """

    name: str = "resnet50"
    dimension: int = 2048
    head: bool = False


def is_network(name: str) -> bool:
    """Tell whether timm has a network of that name; timm also takes addresses and folders, and would fetch them."""
    import timm

    return _NAME.fullmatch(name) is not None and bool(timm.is_model(name.split(".", maxsplit=1)[0]))


class TimmNetwork(nn.Module):
    """A network of timm without its classifier, and the head if there is one."""

    def __init__(self, arguments: TimmArguments) -> None:
        super().__init__()
        import timm

        if not is_network(arguments.name):
            raise ModelError(f"timm has no network {arguments.name[:80]!r}")
        self.arguments = arguments
        if not arguments.head:
            self.backbone = timm.create_model(arguments.name, pretrained=False, num_classes=0)
            return
        backbone: Any = timm.create_model(arguments.name, pretrained=False, features_only=True)
        channels = backbone.feature_info.channels()[-1]
        self.backbone = backbone
        self.fc = nn.Linear(channels, arguments.dimension, bias=False)
        self.bn = nn.BatchNorm1d(arguments.dimension)

    @property
    def first(self) -> str | None:
        """Name of the convolution that alone sees the pixels, where timm tells one."""
        name = getattr(self.backbone, "pretrained_cfg", {}).get("first_conv")
        return f"backbone.{name}" if isinstance(name, str) else None

    def forward(self, x: Tensor) -> Tensor:
        """Return rows (n, dimension) of normalised images (n, 3, h, w)."""
        if not self.arguments.head:
            rows: Tensor = self.backbone(x)
            return rows
        places = self.backbone(x)[-1].clamp(min=_EPSILON)
        return F.normalize(self.bn(self.fc(places.mean(dim=(2, 3)))).float(), dim=1)


def published(state: Mapping[str, Tensor], arguments: TimmArguments) -> dict[str, Tensor]:
    """Return the state of our network from that of a published file: without wrappers' prefixes and a classifier."""
    found = {_WRAPPERS.sub("", key): value for key, value in state.items()}
    if "_conv_stem.weight" in found:
        found = _from_efficientnet_pytorch(found)
    if arguments.head:
        return found
    import timm

    known: Any = timm.get_pretrained_cfg(arguments.name)
    heads = getattr(known, "classifier", None) or ()
    unused = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
    names = {key.removeprefix("backbone."): value for key, value in found.items()}
    return {f"backbone.{key}": value for key, value in names.items() if not key.startswith(unused)}


def _from_efficientnet_pytorch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of an EfficientNet by timm's names from that by the names of the package efficientnet_pytorch.

    There blocks are counted through, here by stages, which begin where a block's input is not as wide as its output.
    """
    names = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    stage, place = -1, 0
    for i in itertools.count():
        theirs = [part for part in _PARTS if f"_blocks.{i}.{part}.weight" in state]
        if not theirs:
            break
        widths = [state[f"_blocks.{i}.{part}.weight"].shape for part in (theirs[0], theirs[-1])]
        inside = widths[0][1] if len(theirs) == 3 else widths[0][0]
        stage, place = (stage, place + 1) if inside == widths[1][0] else (stage + 1, 0)
        ours = ("conv_pw", "conv_dw", "conv_pwl") if len(theirs) == 3 else ("conv_dw", "conv_pw")
        for n, (part, name) in enumerate(zip(theirs, ours, strict=True), start=1):
            names[f"_blocks.{i}.{part}"] = f"blocks.{stage}.{place}.{name}"
            names[f"_blocks.{i}._bn{n + 2 - len(theirs)}"] = f"blocks.{stage}.{place}.bn{n}"
    return {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in state.items()}


Arguments = TimmArguments
Network = TimmNetwork
