"""Every row of a library, piece by piece in bounded memory, scored against queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.distance import Rows, check_rows
from simsearch.search.scores import Prepared, Score

Live = Sequence[NDArray[np.bool_] | None]


class Chunk(NamedTuple):
    """Consecutive rows in memory, the position of the first, and which of them count."""

    start: int
    rows: Rows
    live: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class Scan:
    """A pass over all rows, which can be made as often as needed.

    Attributes:
        blocks: Arrays (n_i, d) whose concatenation is looked at.
        live: For each block the rows that count (n_i,), or None for all.
        metric: The distance that the scores stand for.
        device: Where they are computed.
        score: How.
        budget: Bytes to work in.
    """

    blocks: Sequence[Rows]
    live: Live
    metric: str
    device: torch.device
    score: Score
    budget: int

    @property
    def dimension(self) -> int:
        """Columns of the rows."""
        return int(self.blocks[0].shape[1])

    @property
    def coordinates(self) -> int:
        """Numbers a row takes in its prepared form at most."""
        return self.dimension * (8 if self.metric == "hamming" else 1)

    def chunks(self) -> Iterator[Chunk]:
        """Copies of consecutive rows, a sixteenth of the budget in float32 coordinates each."""
        step = max(1, self.budget // (16 * self.coordinates))
        base = 0
        for block, live in zip(self.blocks, self.live, strict=True):
            for start in range(0, len(block), step):
                stop = min(start + step, len(block))
                mask = None if live is None else np.asarray(live[start:stop])
                yield Chunk(base + start, np.array(block[start:stop]), mask)
            base += len(block)

    def prepare(self, chunk: Chunk) -> tuple[Prepared, Tensor | None]:
        """The chunk's rows on the device and the mask of the dead ones.

        Raises:
            RowError: A live row is not finite or all zeros; it is named by its position.
            MetricError: The metric is js and a live row has a negative value.
        """
        rows = to_device(chunk.rows, self.device)
        if self.metric != "hamming":
            largest = rows.abs().amax(dim=1) if self.metric != "js" else rows.amax(dim=1)
            bad = ~((largest > 0) & (largest < torch.inf))
            if self.metric == "js":
                bad |= rows.amin(dim=1) < 0
            suspects = bad.cpu().numpy() if chunk.live is None else bad.cpu().numpy() & chunk.live
            for i in np.flatnonzero(suspects)[:1]:
                check_rows(chunk.rows[i : i + 1], metric=self.metric, what="row", start=chunk.start + int(i))
        dead = None if chunk.live is None else torch.from_numpy(~chunk.live).to(self.device)
        return self.score.prepare(rows), dead

    def scores(self, queries: Prepared, rows: Prepared, dead: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
        """Scores of bounded numbers of queries; infinite for dead rows only."""
        n = len(rows.term)
        step = max(1, self.budget // (32 * n))
        for start in range(0, len(queries.term), step):
            part = slice(start, min(start + step, len(queries.term)))
            scores = self.score.between(type(queries)(queries.rows[part], queries.term[part]), rows)
            # What overflowed float32 says nothing about the distance: it becomes a candidate.
            scores = scores.nan_to_num_(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
            if dead is not None:
                scores[:, dead] = torch.inf
            yield part, scores

    def gather(self, positions: NDArray[np.int64]) -> Rows:
        """The rows at these positions of the concatenation (c, d)."""
        starts = np.cumsum([0, *(len(block) for block in self.blocks)])
        of_block = np.searchsorted(starts, positions, side="right") - 1
        out = np.empty((len(positions), self.blocks[0].shape[1]), np.result_type(*self.blocks))
        for b in np.unique(of_block):
            here = of_block == b
            out[here] = self.blocks[b][positions[here] - starts[b]]
        return out


def to_device(rows: Rows, device: torch.device) -> Tensor:
    """A copy of the rows as a tensor there, of the same type."""
    return torch.from_numpy(np.array(rows)).to(device)
