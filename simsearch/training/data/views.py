"""The views of a batch for the network, on the device of the photographs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from simsearch.extract.networks.resnet import luminance
from simsearch.images.preprocess import Preprocessing
from simsearch.training.augment import FORMS, OF_COLOURS
from simsearch.training.augment.geometry import flip_horizontal
from simsearch.training.augment.image_batch import Squares, normalised, prepared
from simsearch.training.data.augmentation_plan import Plan
from simsearch.training.data.batches import VIEWS


@dataclass(frozen=True, slots=True)
class ViewMaker:
    """The maker of the two views of a batch.

    Attributes:
        squares: (n, 3, s, s) uint8, all photographs on the device.
        sizes: (n, 2) float32, widths and heights of the photographs.
        plans: Of the first and the second view.
        luminance: Whether the views are of luminance alone, (n, 1, s, s): the edits after the last that depends on
            colours then see one plane instead of three.
    """

    squares: Tensor
    sizes: Tensor
    plans: tuple[Plan, Plan]
    luminance: bool = False

    def views(self, batch: dict[str, Any]) -> tuple[Squares, Squares]:
        """Return both views of a batch, mirrored alike."""
        generator = torch.Generator(self.squares.device).manual_seed(batch["seed"])
        turned = batch["mirror"].nonzero().squeeze(1)
        first, second = (
            self._view(batch["index"], batch[name], plan, generator)
            for name, plan in zip(VIEWS, self.plans, strict=True)
        )
        for view in (first, second):
            view.write(turned, flip_horizontal(view.at(turned), turned, generator))
        return first, second

    def _view(self, index: Tensor, drawn: dict[str, Tensor], plan: Plan, generator: torch.Generator) -> Squares:
        view = Squares(self.squares[index].float(), self.sizes[index])
        view.write(drawn["at"], Squares(drawn["pixels"].float(), drawn["sizes"]))
        last = max((e for e, entry in enumerate(plan.entries) if entry.form in OF_COLOURS), default=-1)
        for e, entry in enumerate(plan.entries):
            if self.luminance and e == last + 1:
                view = replace(view, pixels=luminance(view.pixels))
            at = drawn["hits"][e].nonzero().squeeze(1)
            if entry.form and len(at):
                view.write(at, FORMS[entry.form](view.at(at), drawn["strengths"][e, at], generator))
        return replace(view, pixels=luminance(view.pixels)) if self.luminance else view


def network_input(squares: Squares, preprocessing: Preprocessing) -> Tensor:
    """Return a network's input from squares: (n, c, size, size), normalised, channels last."""
    return normalised(prepared(squares, preprocessing), preprocessing)
