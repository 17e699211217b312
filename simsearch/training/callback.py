"""The callback of a run: it saves, validates, reports, and ends it."""

from __future__ import annotations

import copy
import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from simsearch.errors import InputError
from simsearch.images.preprocess import Preprocessing
from simsearch.training.augment.image_batch import normalised
from simsearch.training.checkpoint import Clock, below, optimiser_tensors, read_state, restore_optimiser, write_state
from simsearch.training.module import Finetuning
from simsearch.training.validation.evaluation import Pixels, Trial, scores

RUN, LOG = "run.safetensors", "log.csv"
_AT_ONCE = 64  # images embedded together
_REPORT_EVERY = 10  # steps on a GPU, which would wait for each loss that is read


@dataclass(frozen=True, slots=True)
class ValidationPoint:
    """One validation: the recall of held-out photographs.

    Attributes:
        step: Optimiser steps before it.
        recall: Of the right image, at the false-positive rate of the run.
    """

    step: int
    recall: float


@dataclass(frozen=True, slots=True)
class StepReport:
    """The report of a step: its number, the share of the run that is over, the loss, images a second."""

    step: int
    share: float
    loss: float
    rate: float


@dataclass(slots=True)
class RunCallback(Callback):
    """The callback that saves a run as safetensors, resumes it, and ends it.

    Attributes:
        folder: Of the run and its log.
        settings: Digest of all that determines the run; a run of other settings is not resumed.
        total: Batches of the whole run; 0 where it is measured in seconds.
        seconds: Of the whole run; 0 where it is measured in batches.
        trial: Held-out photographs for validation; None without.
        metric: The distance of validation.
        fpr: Their false-positive rate.
        report: Called after each optimiser step.
        pause: Called after each optimiser step; once it returns True the run is saved and left.
    """

    folder: Path
    settings: str
    total: int
    seconds: float
    trial: Trial | None
    metric: str
    fpr: float
    report: Callable[[StepReport], None]
    pause: Callable[[], bool]
    looks: list[ValidationPoint] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    paused: bool = False
    over: bool = False
    _saved: float = 0.0
    _clock: Clock | None = None
    _kept: tuple[tuple[Pixels, ...], list[tuple[Pixels, ...]]] | None = None
    _state: dict[str, Tensor] = field(default_factory=dict)

    def restore(self, module: Finetuning) -> None:
        """Put a saved run, if there is one, back into the module; its optimiser follows once training starts.

        Raises:
            InputError: The file is damaged, or holds a run of other settings.
        """
        path = self.folder / RUN
        if not path.exists():
            return
        try:
            tensors, told = read_state(path)
            if told["settings"] != self.settings:
                raise InputError(
                    f"{path} holds a run of other settings; choose another --output, or delete the file to begin anew"
                )
            module.load_state_dict(below("module.", tensors))
            module.progress.number, module.progress.seconds = told["number"], told["seconds"]
            self.looks = [ValidationPoint(**look) for look in told["looks"]]
            self.over = told["over"]
        except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path} holds no run of this network ({error}); delete it to begin anew") from error
        self.best, self._state = below("best.", tensors), tensors
        module.progress.share = self._share(module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the optimiser's state, start the clock, and validate the start."""
        module = _ours(pl_module)
        if self._state:
            restore_optimiser(trainer.optimizers[0], self._state)
            self._state = {}
        self._clock, self._saved = Clock(module.progress.seconds), time.monotonic()
        if self.trial is not None and trainer.is_global_zero:
            self._kept = self.trial.originals(), list(self.trial.queries())
            if not self.looks:
                self._look(module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Count the batch; after a step of the optimiser average, validate, save and report."""
        module, progress = _ours(pl_module), _ours(pl_module).progress
        assert self._clock is not None
        progress.number, progress.seconds = progress.number + 1, self._clock.seconds
        progress.share = self._share(module)
        if progress.number % module.config.accumulation:
            return
        if module.average is not None:
            module.average.update(module.network)
        step = progress.number // module.config.accumulation
        every = module.config.validation.every
        if every and step % every == 0 and self.trial is not None and trainer.is_global_zero:
            self._look(module)
        self.over = self._agreed(trainer, progress.share >= 1 or self._is_enough(module))
        first = trainer.is_global_zero
        if first and (self.over or module.device.type == "cpu" or step % _REPORT_EVERY == 0):
            self._tell(trainer, module, step)
        # Called after the report, the last moment at which Lightning lets a SIGTERM still be handled.
        self.paused = self._agreed(trainer, not self.over and self.pause())
        if first and (self.over or self.paused or time.monotonic() - self._saved > module.config.save_every):
            self._save(trainer, module)
        if self.over or self.paused:
            trainer.should_stop = True

    def _share(self, module: Finetuning) -> float:
        progress = module.progress
        return progress.number / self.total if self.total else progress.seconds / self.seconds

    def _is_enough(self, module: Finetuning) -> bool:
        """Return whether that many validations in a row were no better than the best before them."""
        patience = module.config.validation.patience
        return bool(patience) and looks_since_best(self.looks) >= patience

    def _agreed(self, trainer: Trainer, wish: bool) -> bool:
        """Return the first device's decision: all must stop together."""
        return bool(trainer.strategy.broadcast(wish)) if trainer.world_size > 1 else wish

    def _look(self, module: Finetuning) -> None:
        assert self._kept is not None
        assert self.trial is not None
        network = copy.deepcopy(module.network).eval()
        network.load_state_dict(module.weights())
        embed = embedder(network, self.trial.preprocessings[0], module.device)
        found = scores(*self._kept, [embed], [self.metric])[0]
        step = module.progress.number // module.config.accumulation
        self.looks.append(ValidationPoint(step, found.recall(self.fpr)))
        if looks_since_best(self.looks) == 0:
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in module.weights().items()}

    def _save(self, trainer: Trainer, module: Finetuning) -> None:
        tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        tensors |= optimiser_tensors(trainer.optimizers[0])
        told = {
            "settings": self.settings,
            "number": module.progress.number,
            "seconds": module.progress.seconds,
            "over": self.over,
            "looks": [{"step": look.step, "recall": look.recall} for look in self.looks],
        }
        write_state(self.folder / RUN, tensors, told)
        self._saved = time.monotonic()

    def _tell(self, trainer: Trainer, module: Finetuning, step: int) -> None:
        values = {name: round(float(value), 6) for name, value in sorted(trainer.callback_metrics.items())}
        values.pop("step", None)
        if not math.isfinite(values.get("loss", 0.0)):
            raise InputError(f"the loss of step {step} is {values['loss']}; begin anew with a lower optimiser.rate")
        images = module.config.batch * trainer.world_size * 2
        seconds = max(module.progress.seconds, 1e-9)
        rate = images * module.progress.number / seconds
        now = self.looks[-1] if self.looks and self.looks[-1].step == step else None
        row = {
            "step": step,
            "seconds": round(seconds, 2),
            "rate": trainer.optimizers[0].param_groups[-1]["lr"],
            **values,
            "recall": "" if now is None else round(now.recall, 6),
        }
        append_row(self.folder / LOG, row)
        self.report(StepReport(step, min(1.0, module.progress.share), values.get("loss", float("nan")), rate))


def looks_since_best(looks: list[ValidationPoint]) -> int:
    """Return the number of validations after the first one with the highest recall; 0 when the last is the best.

    Example:
        >>> looks_since_best([ValidationPoint(10 * i, recall) for i, recall in enumerate((0.5, 0.7, 0.7, 0.6))])
        2
    """
    if not looks:
        return 0
    recalls = [look.recall for look in looks]
    return len(recalls) - 1 - recalls.index(max(recalls))


def embedder(network: nn.Module, preprocessing: Preprocessing, device: torch.device) -> Callable[[Any], NDArray[Any]]:
    """Return the function from pixels (k, s, s, 3) uint8 to the rows (k, d) of a network in evaluation mode."""

    @torch.inference_mode()
    def embed(pixels: NDArray[np.uint8]) -> NDArray[Any]:
        rows = []
        for start in range(0, len(pixels), _AT_ONCE):
            x = torch.from_numpy(pixels[start : start + _AT_ONCE]).to(device).permute(0, 3, 1, 2).float()
            rows.append(network(normalised(x, preprocessing)).float().cpu().numpy())
        return np.concatenate(rows)

    return embed


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Append a row to a CSV; its first row decides the columns."""
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            columns = next(csv.reader(file))
    else:
        columns = list(row)
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)


def _ours(module: LightningModule) -> Finetuning:
    assert isinstance(module, Finetuning)
    return module
