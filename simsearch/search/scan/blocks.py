"""All rows of a library, in chunks of bounded memory, scored against queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.distance import METRICS, Rows, check_rows
from simsearch.runtime.transfers import Transfers, plain, plain_type, to_device
from simsearch.search.metrics.base import Prepared, Score

_SHARE = 40  # of 256 MiB, 26 MB: what is freed below 32 MiB is given out again without clearing it
_PIECE = 64 << 20  # bytes of one transfer to a GPU

Block: TypeAlias = Rows | Tensor
Live = Sequence[NDArray[np.bool_] | None]


class Chunk(NamedTuple):
    """Consecutive rows on the device, the position of the first, and which of them are live."""

    start: int
    rows: Tensor
    live: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class Scan:
    """A pass over all rows, which can be made as often as needed.

    Attributes:
        blocks: Arrays (n_i, d), or tensors on the device, whose concatenation is searched.
        live: For each block which rows are live (n_i,), or None for all.
        metric: The distance that the scores stand for.
        device: Where they are computed.
        score: Of the first pass.
        budget: Bytes to work in.
    """

    blocks: Sequence[Block]
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
        """Numbers a row takes in its prepared form."""
        return self.dimension * self.score.expansion

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(len(block) for block in self.blocks)

    def chunks(self, resident: int = 0) -> Iterator[Chunk]:
        """Yield consecutive rows, a tenth of the budget in float32 coordinates each; copies of arrays.

        Args:
            resident: How many at once where the rows are on the device already; 0 for as many as of others.
        """
        step = max(1, self.budget // (_SHARE * self.coordinates))
        for (start, mask), rows in Transfers(self.device).ahead(self._pieces(step, resident or step)):
            yield Chunk(start, rows, mask)

    def _pieces(self, step: int, resident: int) -> Iterator[tuple[tuple[int, NDArray[np.bool_] | None], Block]]:
        """Yield consecutive rows, with the position of the first and their mask."""
        base = 0
        for block, live in zip(self.blocks, self.live, strict=True):
            size = resident if isinstance(block, Tensor) else step
            for start in range(0, len(block), size):
                stop = min(start + size, len(block))
                yield (base + start, None if live is None else np.asarray(live[start:stop])), block[start:stop]
            base += len(block)

    def prepare(self, chunk: Chunk) -> tuple[Prepared, Tensor | None]:
        """Return the chunk's rows on the device and the mask of the dead ones.

        Raises:
            RowError: A live row is not finite or all zeros; it is named by its position.
            MetricError: The metric is js and a live row has a negative value.
        """
        prepared = self.score.prepare(chunk.rows)
        suspects = self.score.suspects(chunk.rows, prepared)
        dead = None if chunk.live is None else torch.from_numpy(~chunk.live).to(self.device)
        if dead is not None:
            suspects &= ~dead
        for i in suspects.nonzero()[:, 0].tolist():
            check_rows(to_numpy(chunk.rows[i : i + 1]), metric=self.metric, what="row", start=chunk.start + i)
        return prepared, dead

    def scores(self, queries: Prepared, rows: Prepared, dead: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
        """Yield scores of batches of queries; infinite for dead rows only."""
        n = len(rows.term)
        step = max(1, self.budget // (_SHARE * n))
        finite = self.score.finite and bool(torch.isfinite(queries.term).all() & torch.isfinite(rows.term).all())
        for start in range(0, len(queries.term), step):
            part = slice(start, min(start + step, len(queries.term)))
            scores = self.score.between(type(queries)(queries.rows[part], queries.term[part]), rows)
            if not finite:  # what overflowed float32 has no bound: it becomes a candidate
                scores = scores.nan_to_num_(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
            if dead is not None:
                if dead.is_cuda:  # where indexing by the mask would wait for the device
                    scores.masked_fill_(dead, torch.inf)
                else:
                    scores[:, dead] = torch.inf
            yield part, scores

    def error(self, queries: Prepared, rows: Prepared, dead: Tensor | None) -> float:
        """Return the largest error of these scores."""
        terms = rows.term if dead is None else rows.term.masked_fill(dead, 0)
        ours, theirs = torch.stack(
            [queries.term.max().double(), terms.max().double()]
        ).tolist()  # one wait for a device
        return self.score.error(self.dimension, (ours, theirs))

    def gather(self, positions: NDArray[np.int64]) -> Tensor:
        """Return the rows at these positions of the concatenation (c, d), on the device."""
        if len(self.blocks) == 1:
            return _take(self.blocks[0], positions, self.device)
        starts = np.cumsum([0, *(len(block) for block in self.blocks)])
        of_block = np.searchsorted(starts, positions, side="right") - 1
        order = np.argsort(of_block, kind="stable")
        parts = [
            _take(self.blocks[b], positions[of_block == b] - starts[b], self.device)
            for b in sorted(set(of_block.tolist()))
        ]
        kinds = {part.dtype for part in parts}
        kind = parts[0].dtype if len(kinds) == 1 else torch.float64  # torch would put whole numbers into half
        together = torch.cat([part.to(kind) for part in parts])
        return torch.empty_like(together).index_copy_(0, torch.from_numpy(order).to(self.device), together)


def upload(rows: Block, device: torch.device) -> Tensor:
    """Return the rows as a tensor on the device, copied in pieces without a second copy on the host."""
    if isinstance(rows, Tensor):
        return plain(rows)
    out = torch.empty(rows.shape, dtype=to_device(rows[:0], device).dtype, device=device)
    step = max(1, _PIECE // (rows.shape[1] * rows.itemsize))
    pieces = ((start, rows[start : start + step]) for start in range(0, len(rows), step))
    for start, piece in Transfers(device).ahead(pieces):
        out[start : start + len(piece)] = piece
    return out


def to_numpy(rows: Block) -> Rows:
    """Return the rows as an array of the same values."""
    if not isinstance(rows, Tensor):
        return rows
    array: Rows = plain(rows.float() if rows.dtype == torch.bfloat16 else rows).cpu().numpy()
    return array


def check_tensor(rows: Tensor, *, dimension: int | None, metric: str, what: str) -> None:
    """Check a tensor as `simsearch.distance.check_rows` does, on its device: only suspect rows are copied."""
    fits = rows.ndim == 2 and dimension in (None, rows.shape[1])
    check_rows(to_numpy(rows[:0] if fits else rows), dimension=dimension, metric=metric, what=what)
    if METRICS[metric].of_codes or not len(rows):
        return
    rows = plain(rows)
    largest = rows.abs().amax(dim=1)
    good = (
        (largest > 0)
        & (largest < torch.inf)
        & (rows.amin(dim=1) >= (0 if METRICS[metric].non_negative else -torch.inf))
    )
    for i in (~good).nonzero()[:, 0].tolist():
        check_rows(to_numpy(rows[i : i + 1]), metric=metric, what=what, start=i)


def _take(block: Block, positions: NDArray[np.int64], device: torch.device) -> Tensor:
    if isinstance(block, Tensor):
        return plain(block[torch.from_numpy(positions).to(device)])
    return torch.from_numpy(np.asarray(block[positions], plain_type(block))).to(device)
