"""Torchvision's networks with the features that the paper compares, and SSCD's head on one of them.

The pooled features before the classifier are the row. SSCD pools by the generalised mean, projects, and divides by the
length: its rows are signed.

Reference: Vallez et al., "Needle In A Haystack, Fast", 2022 (which layers are read); Pizzi et al., "A Self-Supervised
Descriptor for Image Copy Detection", 2022 (SSCD); https://github.com/facebookresearch/sscd-copy-detection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from simsearch.errors import ModelError

WIDTHS = {
    "resnet18": 512,
    "resnet50": 2048,
    "wide_resnet50_2": 2048,
    "wide_resnet101_2": 2048,
    "inception_v3": 2048,
    "efficientnet_b7": 2560,
}
"""How many features each network has after its pool."""
FIRST = {"inception_v3": "Conv2d_1a_3x3.conv", "efficientnet_b7": "features.0.0"}
"""Which convolution sees the pixels; `conv1` where none is told."""
_GEM_POWER = 3.0
_LEAST = 1e-6
_PREFIXES = ("module.", "model.", "backbone.")
_HEADS = ("fc.", "classifier.")


@dataclass(frozen=True, slots=True)
class TorchvisionArguments:
    """Which network, and what its row is.

    Attributes:
        name: As torchvision calls it.
        pool: "avg" as published, or "gem", the generalised mean of power 3 over places.
        head: Length of a linear projection with bias, divided by its length; 0 gives the pooled features, of which
            negative ones become 0.
    """

    name: str = "resnet50"
    pool: Literal["avg", "gem"] = "avg"
    head: int = 0

    def __post_init__(self) -> None:
        if self.name not in WIDTHS:
            raise ModelError(f"no torchvision network {self.name!r} is known here; there are {', '.join(WIDTHS)}")

    @property
    def dimension(self) -> int:
        """Length of a row."""
        return self.head or WIDTHS[self.name]


class GeneralisedMean(nn.Module):
    """Generalised mean over places, of power 3."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, c, 1, 1) of (n, c, h, w)."""
        powers = x.float().clamp(min=_LEAST) ** _GEM_POWER
        return (powers.mean(dim=(2, 3), keepdim=True) ** (1 / _GEM_POWER)).to(x.dtype)


class TorchvisionNetwork(nn.Module):
    """A network of torchvision up to its pool, and the head if there is one.

    Attributes:
        first: Name of the convolution that alone sees the pixels.
    """

    def __init__(self, arguments: TorchvisionArguments) -> None:
        super().__init__()
        from torchvision import models

        self.arguments = arguments
        more = {"init_weights": False, "transform_input": False} if arguments.name == "inception_v3" else {}
        backbone = models.get_model(arguments.name, weights=None, **more)
        if arguments.name == "inception_v3":
            backbone.AuxLogits = None
            backbone.aux_logits = False
        width, head = WIDTHS[arguments.name], arguments.head
        last = nn.Linear(width, head) if head else nn.Identity()
        setattr(backbone, "classifier" if hasattr(backbone, "classifier") else "fc", last)
        if arguments.pool == "gem":
            backbone.avgpool = GeneralisedMean()
        self.backbone = backbone
        self.first = f"backbone.{FIRST.get(arguments.name, 'conv1')}"

    def forward(self, x: Tensor) -> Tensor:
        """Return rows (n, dimension) of normalised images (n, 3, h, w)."""
        rows: Tensor = self.backbone(x)
        return F.normalize(rows.float(), dim=1) if self.arguments.head else rows.relu()


def published(state: Mapping[str, Tensor], arguments: TorchvisionArguments) -> dict[str, Tensor]:
    """Return the state of our network from that of a published file: without wrappers' prefixes and unused heads."""
    kept: dict[str, Tensor] = {}
    for key, value in state.items():
        name = key
        while name.startswith(_PREFIXES):
            name = name.split(".", 1)[1]
        unused = name.startswith("AuxLogits.") or (not arguments.head and name.startswith(_HEADS))
        if not unused:
            kept[f"backbone.{name}"] = value
    return kept


Arguments = TorchvisionArguments
Network = TorchvisionNetwork
