"""Splits of photographs into a database and strangers, and which of both are edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simsearch.benchmark.data.photographs import Picture
from simsearch.errors import InputError

ATTACKED = 100  # as in the paper, where the halves hold as many


@dataclass(frozen=True, slots=True)
class Split:
    """One split into two halves; the attacked pictures stand first in both.

    Attributes:
        seed: Of the draw.
        database: Pictures that can be found.
        control: Strangers.
        attacked: How many of each half are edited.
    """

    seed: int
    database: tuple[Picture, ...]
    control: tuple[Picture, ...]
    attacked: int

    @property
    def queries(self) -> tuple[Picture, ...]:
        """The attacked pictures of the database, then those of the control half."""
        return (*self.database[: self.attacked], *self.control[: self.attacked])


def split_pictures(pictures: Sequence[Picture], seed: int, attacked: int | None) -> Split:
    """Return the database half and the control half of one seed.

    Args:
        pictures: All of them.
        seed: Of the halves and of the attacked ones.
        attacked: How many of each half; by default 100, or the half where that is smaller.

    Raises:
        InputError: A half is smaller than the number to attack.
    """
    half = len(pictures) // 2
    count = min(ATTACKED, half) if attacked is None else attacked
    if half < 1:
        raise InputError(f"{len(pictures)} photographs cannot be split; the benchmark needs at least 2, better 200")
    if count > half:
        raise InputError(
            f"{len(pictures)} photographs make halves of {half}, too few to edit {count} of each; "
            f"ask for --attacked {half}, or give more photographs"
        )
    order = [int(i) for i in np.random.default_rng(seed).permutation(len(pictures))]
    return Split(seed, tuple(pictures[i] for i in order[:half]), tuple(pictures[i] for i in order[half:]), count)
