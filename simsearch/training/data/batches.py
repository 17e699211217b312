"""The batches of a run: pictures, draws, and the edits by Pillow.

A batch depends on the seed and its number alone, so any worker process may make it and a resumed run sees what it
would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from simsearch.errors import InputError
from simsearch.training.data.augmentation_plan import Draw, Plan
from simsearch.training.data.images import Pictures, square
from simsearch.training.data.look_alikes import compositions, order_by_likeness
from simsearch.training.data.pairs import PairList

Batch = dict[str, Any]

_ORDER, _DRAW, _PAIRS = 0, 1, 2  # streams of the random generator
VIEWS = ("first", "second")


@dataclass(frozen=True, slots=True)
class Recipe:
    """The parameters of batches.

    Attributes:
        plans: Of the first and the second view.
        mirror: Share of the images of which both views are mirrored.
        size: Images of a batch.
        side: Of the squares.
        seed: Of all that is drawn.
        alike: Images of each group that look alike.
        rank: Of this device among several.
        world: Number of devices; each takes another part of the same order.
        pairs: Labelled pairs.
        n_pairs: Pairs of a batch.
    """

    plans: tuple[Plan, Plan]
    mirror: float
    size: int
    side: int
    seed: int
    alike: int = 1
    rank: int = 0
    world: int = 1
    pairs: PairList | None = None
    n_pairs: int = 0


class Batches(Dataset[Batch]):
    """Batch number i of a run.

    Each holds `index` (n,), `mirror` (n,) and, for the first and the second view, `hits` (e, n), `strengths` (e, n),
    and of the images that Pillow edited `at` (k,), `pixels` (k, 3, s, s) uint8 and `sizes` (k, 2).
    """

    def __init__(self, pictures: Pictures, recipe: Recipe) -> None:
        """Require enough pictures.

        Raises:
            InputError: A batch needs more pictures than there are.
        """
        if recipe.size * recipe.world > len(pictures):
            raise InputError(
                f"a batch of {recipe.size * recipe.world} needs as many photographs, and {len(pictures)} are left to "
                "train on; give a smaller `batch` or more images"
            )
        self.pictures = pictures
        self.recipe = recipe
        self._compositions: NDArray[np.float32] | None = None
        self._turn, self._order = -1, np.empty(0, np.int64)

    def __getitem__(self, number: int) -> Batch:
        """Return batch `number`, counted from 0."""
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, _DRAW, number, recipe.rank))
        index = self.index(number)
        batch: Batch = {
            "number": number,
            "index": torch.from_numpy(index),
            "mirror": torch.from_numpy(rng.random(recipe.size) < recipe.mirror),
            "seed": int(rng.integers(2**62)),
        }
        for name, plan in zip(VIEWS, recipe.plans, strict=True):
            batch[name] = self._view(plan, index, rng)
        if recipe.pairs is not None:
            chosen = np.random.default_rng((recipe.seed, _PAIRS, number, recipe.rank))
            batch["pairs"] = recipe.pairs.drawn(chosen, recipe.n_pairs)
        return batch

    def index(self, number: int) -> NDArray[np.int64]:
        """Return which pictures batch `number` holds (n,): each once a pass, but for the last few of a pass."""
        recipe, whole = self.recipe, self.recipe.size * self.recipe.world
        turn, place = divmod(number, len(self.pictures) // whole)
        if turn != self._turn:
            self._order, self._turn = self._order_of(turn), turn
        first = place * whole + recipe.rank * recipe.size
        return self._order[first : first + recipe.size]

    def _order_of(self, turn: int) -> NDArray[np.int64]:
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, _ORDER, turn))
        if recipe.alike == 1:
            return rng.permutation(len(self.pictures))
        if self._compositions is None:
            self._compositions = compositions(self.pictures)
        return order_by_likeness(self._compositions, recipe.alike, rng)

    def _view(self, plan: Plan, index: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
        draw = plan.draw(rng, len(index))
        by_pillow = np.array([not entry.form for entry in plan.entries], bool)
        at = np.flatnonzero(draw.hits[by_pillow].any(axis=0))
        pixels = torch.empty((len(at), 3, self.recipe.side, self.recipe.side), dtype=torch.uint8)
        sizes = torch.empty((len(at), 2))
        for k, (i, own) in enumerate(zip(at, rng.spawn(len(at)), strict=True)):
            image = self.pictures.image(int(index[i]))
            for perturbation in _chain(plan, draw, int(i), by_pillow, own):
                image = perturbation.apply(image, own)
            pixels[k], sizes[k] = square(image, self.recipe.side), torch.tensor(image.size)
        return {
            "hits": torch.from_numpy(draw.hits),
            "strengths": torch.from_numpy(draw.strengths).float(),
            "at": torch.from_numpy(at),
            "pixels": pixels,
            "sizes": sizes,
        }


def _chain(plan: Plan, draw: Draw, i: int, by_pillow: NDArray[np.bool_], rng: np.random.Generator) -> Iterator[Any]:
    """Yield the edits of image i by Pillow, in order."""
    for e, entry in enumerate(plan.entries):
        if by_pillow[e] and draw.hits[e, i]:
            yield entry.perturbation(float(draw.strengths[e, i]), rng)


class BatchNumbers(Sampler[int]):
    """An endless sampler of batch numbers, from the first that is still to be trained on."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __iter__(self) -> Iterator[int]:
        """Yield first, first + 1, and so on."""
        number = self.first
        while True:
            yield number
            number += 1
