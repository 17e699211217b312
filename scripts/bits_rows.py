"""Rows of photographs and of edited copies of them, which bits are fitted to and tried on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.runtime.cpu import default_workers
from simsearch.training.config import read_config
from simsearch.training.data.augmentation_plan import Plan, plan_of
from simsearch.training.data.images import Pictures, load_pictures

_AT_ONCE = 64


class FittingRows(NamedTuple):
    """What bits are fitted to.

    Attributes:
        clean: Rows of photographs (n, d).
        edited: Rows of edited copies of each (n, e, d).
    """

    clean: NDArray[np.float32]
    edited: NDArray[np.float32]


def fitting_rows(
    model: NeuralExtractor, photographs: list[Path], *, recipe: Path, most: int, copies: int, seed: int
) -> FittingRows:
    """Rows of some photographs, and of copies edited by the hard view of a training recipe."""
    pictures, _ = load_pictures(photographs, side=model.preprocessing.size, most=most, seed=seed)
    plan = plan_of(read_config(recipe).views.hard, "views.hard", engine="pillow")
    passes = [list(_pass(model, pictures, None, seed))]
    for copy in track(range(copies), "edited copies", console=Console(stderr=True)):
        passes.append(list(_pass(model, pictures, plan, seed + 1 + copy)))
    clean, *edited = (np.concatenate(rows) for rows in passes)
    return FittingRows(clean, np.stack(edited, axis=1))


def _pass(model: NeuralExtractor, pictures: Pictures, plan: Plan | None, seed: int) -> Iterator[NDArray[np.float32]]:
    """Rows of all pictures, edited as the plan draws it."""
    drawn = None if plan is None else plan.draw(np.random.default_rng(seed), len(pictures))

    def seen(i: int) -> NDArray[np.uint8]:
        image = pictures.image(i)
        if plan is not None and drawn is not None:
            rng = np.random.default_rng((seed, i))
            for entry, hit, strength in zip(plan.entries, drawn.hits[:, i], drawn.strengths[:, i], strict=True):
                if hit:
                    image = entry.perturbation(strength, rng).apply(image, rng)
        return model.preprocessing.apply(image)

    with ThreadPoolExecutor(default_workers()) as pool:
        for start in range(0, len(pictures), _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, len(pictures)))
            yield model.embed_pixels(np.stack(list(pool.map(seen, numbers))))
