"""Linear heads trained for bits: planes that keep an image and its edited copies on one side, and others apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.errors import InputError
from simsearch.extract.quantise.fit import fit_quantiser, pointed
from simsearch.extract.quantise.hyperplanes import Map, Quantiser, mapped_rows
from simsearch.training.loss import nt_xent, unit

_SHARPEST = 12.0  # how many times steeper than at first a bit is at last; from there its sign is all that counts
_RATE = 1e-2
_NOISE = (
    0.5  # of the mean variance of edits, added in every direction: chosen on photographs that nothing was fitted to
)


def fit_lda(
    clean: NDArray[Any],
    edited: NDArray[Any],
    *,
    bits: int,
    how: Map,
    model: str,
    source: str = "",
    noise: float = _NOISE,
) -> Quantiser:
    """Fit a quantiser to rows of images and of edited copies of them, in closed form.

    Planes lie across the directions in which images differ most for what edits move them: those of linear discriminant
    analysis, every image being a class.

    Args:
        clean: Rows of images (n, d).
        edited: Rows of edited copies of each (n, e, d).
        bits: Length of a code, at most d.
        how: What is done to a row first, see `Quantiser.map`.
        model: Fingerprint of the model.
        source: What the rows are, in words.
        noise: What edits that are not among these may do: a share of the mean variance, in every direction.

    Raises:
        InputError: The two do not fit together, bits is out of range, or noise is not above 0.
        RowError, MetricError: Rows are not usable.

    Reference:
        Strecha, Bronstein, Bronstein, Fua, "LDAHash: improved matching with smaller descriptors", 2012.
    """
    _check_copies(clean, edited)
    if not noise > 0:
        raise InputError(f"noise is {noise} and must be above 0")
    if not 1 <= bits <= clean.shape[1]:
        raise InputError(f"bits is {bits} and must be from 1 to {clean.shape[1]}, the length of a row")
    points = mapped_rows(clean, how)
    copies = mapped_rows(edited.reshape(-1, edited.shape[2]), how)
    moves = copies - np.repeat(points, edited.shape[1], axis=0)
    centre = points.mean(axis=0)
    within = moves.T @ moves / len(moves)
    within += noise * np.trace(within) / len(within) * np.eye(len(within))
    between = (points - centre).T @ (points - centre) / len(points)
    _, vectors = scipy.linalg.eigh(between, within)  # of rising ratio
    planes = vectors[:, ::-1][:, :bits].T
    planes /= np.linalg.norm(planes, axis=1, keepdims=True)
    return Quantiser("lda", how, centre.astype(np.float32), pointed(planes).astype(np.float32), model, source)


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
    _check_copies(clean, edited)
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


def _check_copies(clean: NDArray[Any], edited: NDArray[Any]) -> None:
    if edited.ndim != 3 or edited.shape[::2] != clean.shape or not edited.shape[1]:
        raise InputError(f"edited rows {edited.shape} must be (n, e, d), with e copies of each of {clean.shape}")


def _centred(rows: NDArray[Any], how: Map, centre: NDArray[np.float32]) -> Tensor:
    return torch.tensor(mapped_rows(rows, how) - centre, dtype=torch.float32)
