"""The setup of a run from its settings: parsed edits, network, photographs, held-out ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from simsearch.errors import InputError, MetricError
from simsearch.extract.networks.resnet import ResNet
from simsearch.extract.zoo.card import ModelCard
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Rejected
from simsearch.runtime.device import choose_device
from simsearch.training.config import FinetuneConfig
from simsearch.training.data.augmentation_plan import Plan, ends_of, perturbations, plan_of
from simsearch.training.data.images import Pictures, load_pictures
from simsearch.training.network import starting_point
from simsearch.training.teacher import Teacher
from simsearch.training.validation.evaluation import Trial, supported_fpr

_HELD_SIDE = 1.5  # times the model's side, so that crops are still sharp


@dataclass(frozen=True, slots=True)
class Run:
    """A run with all of its parts loaded.

    Attributes:
        config: The settings.
        folder: Of the run.
        device: Of training.
        card: Of the trained model, its digest not yet known.
        network: At the start.
        teacher: Of distillation, if any.
        plans: Of the moderate and the hard view.
        train: Photographs to train on.
        held: Photographs held out, which form the library of validation.
        strangers: Photographs that are in no library.
        rejected: Files that could not be used.
        side: Of the squares.
    """

    config: FinetuneConfig
    folder: Path
    device: torch.device
    card: ModelCard
    network: nn.Module
    teacher: Teacher | None
    plans: tuple[Plan, Plan]
    train: Pictures
    held: Pictures
    strangers: Pictures
    rejected: tuple[Rejected, ...]
    side: int

    @property
    def fpr(self) -> float:
        """The false-positive rate of reported recalls."""
        return supported_fpr(len(self.strangers), self.config.validation.fpr)

    @property
    def similarity(self) -> str:
        """Of the exported row: `js` or `cosine`."""
        return self.config.loss.similarity or ("js" if self.card.metric == "js" else "cosine")

    @property
    def trains_on_luminance(self) -> bool:
        """Whether the views need no colours: the network sees none, and no pictures but the views are trained on."""
        how, sees = self.card.preprocessing, isinstance(self.network, ResNet) and self.network.arguments.luminance
        grey = len({*how.mean}) == len({*how.std}) == 1
        return sees and grey and self.teacher is None and self.config.pairs is None

    def trial(self, *names: str, start: Preprocessing | None = None) -> Trial:
        """Return the material of a measurement with these edits beside the trained ones.

        Args:
            names: Of edits and sets.
            start: The preprocessing of the start, where it is evaluated too, first.
        """
        own = [edit for plan in reversed(self.plans) for edit in ends_of(plan)]
        edits = {edit.name: edit for edit in (*own, *perturbations(names, "edits"))}
        preprocessings = (self.card.preprocessing,) if start is None else (start, self.card.preprocessing)
        return Trial(tuple(edits.values()), self.held, self.strangers, preprocessings, self.config.seed)


def prepared_run(config: FinetuneConfig, output: Path, device: str) -> Run:
    """Return a run with its parts loaded; all faults of its settings are found here, the cheapest first.

    Raises:
        InputError: An edit, a part of the network or a device is not there, or there are too few photographs.
        MetricError: Js is asked for and rows may be negative.
        ModelError: The network cannot be built, or there is no such teacher.
    """
    views = config.views
    first, second = (
        plan_of(view, f"views.{name}", engine=views.engine)
        for name, view in (("moderate", views.moderate), ("hard", views.hard))
    )
    perturbations(config.validation.edits, "validation.edits"), perturbations(config.guard.edits, "guard.edits")
    where = choose_device(device)
    teacher = None if config.distillation is None else Teacher(config.distillation.teacher)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        card, network = starting_point(config)
    if (config.loss.similarity or card.metric) == "js" and not card.non_negative:
        raise MetricError(f"loss.similarity: rows of {card.name} may be negative, so js is not defined; use cosine")
    side = config.side or round(_HELD_SIDE * card.preprocessing.size)
    pictures, rejected = load_pictures(config.images, side=side, most=config.most_images, seed=config.seed)
    train, held, strangers = _split(config, pictures, side)
    output.mkdir(parents=True, exist_ok=True)
    plans = (first, second)
    return Run(config, output, where, card, network, teacher, plans, train, held, strangers, tuple(rejected), side)


def _split(config: FinetuneConfig, pictures: Pictures, side: int) -> tuple[Pictures, Pictures, Pictures]:
    """Return training, held-out and stranger photographs: whole source images, by chance."""
    wanted = config.validation.images
    order = np.random.default_rng(config.seed).permutation(len(pictures)).tolist()
    if len(order) < wanted + 2:
        raise InputError(
            f"validation.images: {wanted} of {len(order)} photographs held out leave too few to train on; give more "
            "images or hold out fewer"
        )
    held, train = order[:wanted], order[wanted:]
    if config.validation.strangers:
        strangers, _ = load_pictures(
            config.validation.strangers, side=side, most=config.validation.most_strangers, seed=config.seed
        )
        return pictures.part(train), pictures.part(held), strangers
    if wanted < 2:
        raise InputError("validation.images: without validation.strangers half of them are strangers; hold out more")
    return pictures.part(train), pictures.part(held[: wanted // 2]), pictures.part(held[wanted // 2 :])
