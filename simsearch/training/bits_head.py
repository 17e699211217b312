"""A linear head trained for bits: planes that keep an image and its edited copies on one side, and others apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.errors import InputError
from simsearch.extract.quantiser import Map, Quantiser, mapped_rows
from simsearch.extract.quantiser_fit import fit_quantiser
from simsearch.training.loss import nt_xent, unit

_SHARPEST = 12.0  # how many times steeper than at first a bit is at last; from there its sign is all that counts
_RATE = 1e-2


def fit_head(
    clean: NDArray[Any],
    edited: NDArray[Any],
    *,
    bits: int,
    how: Map,
    model: str,
    source: str = "",
    steps: int = 1500,
    batch: int = 512,
    temperature: float = 0.1,
    seed: int = 0,
) -> Quantiser:
    """Train a quantiser on rows of images and of edited copies of them.

    A bit is a sigmoid of its margin that grows steeper, so that gradients pass at first and signs count at last; the
    loss is the contrastive one of SimCLR on the vectors of bits. It begins at ITQ.

    Args:
        clean: Rows of images (n, d).
        edited: Rows of edited copies of each (n, e, d).
        bits: Length of a code, at most d.
        how: What is done to a row first, see `Quantiser.map`.
        model: Fingerprint of the model.
        source: What the rows are, in words.
        steps: Of training.
        batch: Images a step.
        temperature: Of the loss; smaller ones look more at the nearest strangers.
        seed: Of what is drawn.

    Raises:
        InputError: The two do not fit together, or bits is out of range.
        RowError, MetricError: Rows are not usable.

    Reference:
        Cao et al., "HashNet: deep learning to hash by continuation", 2017; Chen et al., SimCLR, 2020.
    """
    if edited.ndim != 3 or edited.shape[::2] != clean.shape or not edited.shape[1]:
        raise InputError(f"edited rows {edited.shape} must be (n, e, d), with e copies of each of {clean.shape}")
    start = fit_quantiser(clean, kind="itq", bits=bits, how=how, model=model, seed=seed)
    points = _centred(clean, how, start.centre)
    copies = _centred(edited.reshape(-1, edited.shape[2]), how, start.centre).view(*edited.shape)
    planes = torch.tensor(start.planes, dtype=torch.float32).requires_grad_()
    scale = 1 / float((points @ planes.T.detach()).std())
    optimiser = torch.optim.Adam([planes], _RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        chosen = torch.randperm(len(points), generator=generator)[:batch]
        which = torch.randint(edited.shape[1], (len(chosen),), generator=generator)
        steepness = scale * _SHARPEST ** (step / max(1, steps - 1))
        directions = torch.nn.functional.normalize(planes, dim=1)
        views = [torch.tanh(steepness * rows @ directions.T) for rows in (points[chosen], copies[chosen, which])]
        loss = nt_xent(*(unit(view, "cosine") for view in views), temperature=temperature)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        decay.step()
    trained = torch.nn.functional.normalize(planes.detach().double(), dim=1).numpy()
    return Quantiser("head", how, start.centre, trained.astype(np.float32), model, source)


def _centred(rows: NDArray[Any], how: Map, centre: NDArray[np.float32]) -> Tensor:
    return torch.tensor(mapped_rows(rows, how) - centre, dtype=torch.float32)
