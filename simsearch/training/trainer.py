"""The run of Lightning's trainer, without its advice on our settings."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from simsearch.runtime.cpu import keep_freed_memory
from simsearch.runtime.device import choose_dtype
from simsearch.training.callback import RunCallback
from simsearch.training.module import Finetuning
from simsearch.training.setup import Run

LOGS = "tensorboard"
_BLOCK, _KEPT = 1 << 30, (1 << 31) - 1  # activations of a step are large, and come again in the next


def fit(run: Run, module: Finetuning, keeper: RunCallback) -> None:
    """Train until the callback ends or pauses the run.

    Raises:
        KeyboardInterrupt: It was interrupted; it resumes from its last save.
    """
    config, cuda = run.config, run.device.type == "cuda"
    with _quiet():
        trainer = Trainer(
            accelerator="gpu" if cuda else "cpu",
            devices=[run.device.index or 0] if cuda and config.devices == 1 else config.devices,
            strategy="auto" if config.devices == 1 else "ddp",
            precision="bf16-mixed" if choose_dtype(config.precision, run.device) == torch.bfloat16 else "32-true",
            max_epochs=-1,
            accumulate_grad_batches=config.accumulation,
            gradient_clip_val=config.optimiser.clip or None,
            logger=TensorBoardLogger(run.folder, name=None, version=LOGS) if config.tensorboard else False,
            callbacks=[keeper],
            log_every_n_steps=10 if cuda else 1,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
        if not cuda:
            keep_freed_memory(block=_BLOCK, kept=_KEPT)
        module.network.to(memory_format=torch.channels_last)
        try:
            trainer.fit(module)
        except SystemExit:  # what Lightning makes of a second Ctrl-C, which it leaves ignored, and of SIGTERM
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if not keeper.paused:
                raise KeyboardInterrupt from None
    if not trainer.is_global_zero:
        raise SystemExit(0)  # a process that Lightning started for another device; the first one goes on alone


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice on our settings."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        log.setLevel(level)
