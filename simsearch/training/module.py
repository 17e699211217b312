"""One step of fine-tuning as a Lightning module: views, rows, loss, rates.

Lightning runs the steps, on one device or several, in the chosen precision, and logs them. What a run
depends on is saved by `keeper` as safetensors, not by Lightning, whose checkpoints are pickles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, distributed, nn
from torch.utils.data import DataLoader

from simsearch.extract.networks.dihedral import tie
from simsearch.extract.networks.resnet import ResNet
from simsearch.images.preprocess import Preprocessing
from simsearch.training.augment.image_batch import Squares
from simsearch.training.config import FinetuneConfig
from simsearch.training.data.batches import Batch, Batches, BatchNumbers, Recipe
from simsearch.training.data.images import Pictures
from simsearch.training.data.views import ViewMaker, network_input
from simsearch.training.loss import Keys, blended_contrast, contrast, distillation, koleo, labelled, unit
from simsearch.training.memory_bank import MemoryBank, gathered, joined
from simsearch.training.mixup import Mixture, mixed
from simsearch.training.network import Averaged, frozen_names, groups, training_mode
from simsearch.training.teacher import Teacher


@dataclass(slots=True)
class Progress:
    """The progress of a run.

    Attributes:
        number: Batches that were trained on.
        seconds: Of training, those before a pause included.
        share: Of the run that is over.
    """

    number: int = 0
    seconds: float = 0.0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Material:
    """The data of a run.

    Attributes:
        pictures: The photographs.
        recipe: The parameters of batches.
        maker: Makes views of batches.
        preprocessing: Of the model.
        workers: Processes for edits by Pillow.
    """

    pictures: Pictures
    recipe: Recipe
    maker: ViewMaker
    preprocessing: Preprocessing
    workers: int


class Finetuning(LightningModule):
    """The network, its head, its bank and its averaged weights, with the training step."""

    def __init__(
        self,
        config: FinetuneConfig,
        material: Material,
        *,
        network: nn.Module,
        head: nn.Module,
        similarity: str,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.material = material
        self.similarity = similarity
        self.teacher = teacher
        self.network = network
        self.head = head
        self.frozen = frozen_names(network, config.optimiser)
        self.bank = MemoryBank(config.loss.bank, _dimension(network, head, material.preprocessing))
        self.average = Averaged(network, config.ema) if config.ema else None
        self.progress = Progress()
        self._maker = material.maker

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW over the parts that move."""
        settings = self.config.optimiser
        own = groups(self.network, self.head, settings)
        return torch.optim.AdamW(own, lr=settings.rate, betas=(0.9, 0.98))

    def on_fit_start(self) -> None:
        """Put the photographs, and a teacher, on the device."""
        maker = self.material.maker
        self._maker = replace(maker, squares=maker.squares.to(self.device), sizes=maker.sizes.to(self.device))
        if self.teacher is not None:
            self.teacher.load(self.device)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return batches without end, from the first that is still to be trained on."""
        recipe = replace(self.material.recipe, rank=self.global_rank, world=self.trainer.world_size)
        workers = self.material.workers
        several: dict[str, Any] = {"multiprocessing_context": "spawn", "prefetch_factor": 2} if workers else {}
        batches = Batches(self.material.pictures, recipe)
        return DataLoader(
            batches, batch_size=None, sampler=BatchNumbers(self.progress.number), num_workers=workers, **several
        )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """Return the batch with its views, made on the device in full precision."""
        with torch.no_grad():
            first, second = self._maker.views(batch)
            preprocessing = self.material.preprocessing
            inputs = [network_input(first, preprocessing), network_input(second, preprocessing)]
            generator = torch.Generator(first.pixels.device).manual_seed(batch["seed"] + 1)
            mixture = mixed(inputs[1], self.config.loss, generator)
            ready: Batch = {"index": batch["index"], "mixture": mixture}
            if mixture is not None:
                inputs.append(mixture.pixels)
            if "pairs" in batch:
                ready["pairs"] = batch["pairs"]["copies"]
                for key, sizes in zip(("a", "b"), batch["pairs"]["sizes"], strict=True):
                    inputs.append(network_input(Squares(batch["pairs"][key].float(), sizes), preprocessing))
            if self.teacher is not None:
                ready["taught"] = self.teacher.units(first)
            ready["inputs"] = inputs
        return ready

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Set the learning rates of this point of the run; leave the batch norms of frozen parts alone."""
        settings = self.config.optimiser
        training_mode(self.network, self.frozen)
        factor = settings.rate * schedule(self.progress.share, settings.warm_up, settings.cool_down)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = factor * group["factor"]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG002
        """Tie the gradients of a network whose convolutions are tied."""
        if isinstance(self.network, ResNet) and self.network.arguments.symmetric:
            tie(self.network, gradients=True)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the loss of a batch."""
        parts = self._parts(batch["inputs"])
        with torch.autocast(self.device.type, enabled=False):
            a, b = parts[:2]
            terms = self._contrast(a, b, batch["index"])
            if batch["mixture"] is not None:
                terms["mixed"] = self._mixed(parts[2], a, batch["mixture"])
            if "pairs" in batch:
                settings = self.config.pairs
                assert settings is not None
                cost = labelled(parts[-2], parts[-1], batch["pairs"], margin=settings.margin)
                terms["pairs"] = settings.weight * cost
            if self.teacher is not None:
                terms["distilled"] = self._distilled(a, batch["taught"])
            loss = torch.stack(list(terms.values())).sum()
        with torch.no_grad():
            first = (b @ a.T).argmax(dim=1).eq(torch.arange(len(a), device=a.device)).float().mean()
        logged = {"loss": loss.detach(), "ranked_first": first, **{k: v.detach() for k, v in terms.items()}}
        logged["step"] = torch.tensor(float(self.progress.number))  # the axis of the logs, also after a pause
        self.log_dict(logged, batch_size=len(a))
        return loss

    def _parts(self, inputs: list[Tensor]) -> list[Tensor]:
        """Return the unit vectors of each view; those of a view that is not trained by the averaged weights.

        The network itself would change under the rows that it is compared with, and not converge.

        Reference: He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", 2020, section 4.1.
        """
        if self.config.loss.both:
            return self._seen(self.network, inputs)
        assert self.average is not None
        self.network.eval()
        with torch.no_grad():
            keys = self._seen(self.average.seen_by(self.network), inputs[:1])
        training_mode(self.network, self.frozen)
        return keys + self._seen(self.network, inputs[1:])

    def _seen(self, network: Callable[[Tensor], Tensor], inputs: list[Tensor]) -> list[Tensor]:
        rows = network(torch.cat(inputs))
        with torch.autocast(self.device.type, enabled=False):
            return list(torch.split(self._units(rows.float()), [len(x) for x in inputs]))

    def _units(self, rows: Tensor) -> Tensor:
        if self.config.head is None:
            return unit(rows, self.similarity)
        return unit(self.head(rows), "cosine")

    def _contrast(self, a: Tensor, b: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Return NT-Xent over both views of all devices and the bank, and the entropy of the trained rows."""
        settings = self.config.loss
        first, second, images = gathered(a), gathered(b), gathered(index)
        own = Keys(torch.cat([first, second]), images.repeat(2))
        keys = joined(own, self.bank.keys()) if settings.bank else own
        n, rank = len(a), distributed.get_rank() if len(first) > len(a) else 0
        at = torch.arange(n, device=a.device) + rank * n
        anchors, partners = ([a, b], [at + len(first), at]) if settings.both else ([b], [at])
        loss = contrast(
            torch.cat(anchors),
            index.repeat(len(anchors)),
            keys,
            partners=torch.cat(partners),
            temperature=settings.temperature,
        )
        if settings.bank:
            self.bank.add(own)
        terms = {"contrast": loss}
        if settings.koleo:
            terms["koleo"] = settings.koleo * koleo(first if settings.both else second)
        return terms

    def _mixed(self, rows: Tensor, a: Tensor, mixture: Mixture) -> Tensor:
        temperature = self.config.loss.temperature
        return blended_contrast(rows, a, parts=mixture.parts, share=mixture.share, temperature=temperature)

    def _distilled(self, a: Tensor, taught: Tensor) -> Tensor:
        settings = self.config.distillation
        assert settings is not None
        return settings.weight * distillation(
            a, taught, temperature=self.config.loss.temperature, teacher_temperature=settings.temperature
        )

    def weights(self) -> dict[str, Tensor]:
        """Return the network's weights as they would be exported: averaged, where that is asked for."""
        return self.network.state_dict() if self.average is None else self.average.state()


def schedule(share: float, warm_up: float, cool_down: float | None = None) -> float:
    """Return the learning rate's factor in [0, 1] when `share` of the run is over: it rises evenly, then falls.

    Args:
        share: Of the run.
        warm_up: Share in which it rises.
        cool_down: Share at the end in which it falls evenly; None for a half cosine from the warm-up on.
    """
    if share < warm_up:
        return max(share / warm_up, 0.01)
    if cool_down is not None:
        return min(1.0, (1 - share) / cool_down) if cool_down else 1.0
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (share - warm_up) / (1 - warm_up))))


def _dimension(network: nn.Module, head: nn.Module, preprocessing: Preprocessing) -> int:
    """Return the length of the rows of the loss."""
    was = network.training
    network.eval(), head.eval()
    with torch.no_grad():
        rows = head(network(torch.zeros(1, 3, preprocessing.size, preprocessing.size)))
    network.train(was), head.train(was)
    return int(rows.shape[1])
