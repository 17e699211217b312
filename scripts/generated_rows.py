"""Clustered rows of full rank, made from a seed wherever they are wanted: no number of them takes memory or a disk.

A row is the centre of one of many clusters and noise; both have the same spectrum, which falls slowly and is turned, so
that no few coordinates, and no few directions, tell neighbours apart. Some rows are copies of queries, each with ever
more noise, at random places.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

BLOCK = 1 << 17
"""Rows that are made at once."""
K = 10
"""Copies of each query."""
_FALL = 0.2  # exponent of the scales of directions: the last of 256 has a third of the first one's
_NOISE, _LEAST, _MOST = 0.6, 0.3, 0.65  # of a row around its centre, and of the nearest and the farthest copy
_ROWS_A_CLUSTER = 1000


@dataclass
class Generated:
    """Rows (n, d), float32, as an array that is made when it is read; the last block is kept.

    Attributes:
        count: How many rows.
        dimension: Of a row.
        device: Where they are made; rows of a CPU and of a GPU differ.
        queries: How many queries have copies among them.
    """

    count: int
    dimension: int
    device: torch.device
    queries: int = 100
    dtype: Any = field(default=np.dtype(np.float32), init=False)

    def __post_init__(self) -> None:
        maker = self._maker(-1)
        scales = torch.arange(1, self.dimension + 1, device=self.device, dtype=torch.float32) ** -_FALL
        square = torch.randn(self.dimension, self.dimension, generator=maker, device=self.device)
        self._turned = scales[:, None] * torch.linalg.qr(square.double())[0].float()
        clusters = max(16, self.count // _ROWS_A_CLUSTER)
        self._centres = torch.randn(clusters, self.dimension, generator=maker, device=self.device) @ self._turned
        self._asked = self._noisy(self._maker(-2), self.queries)
        places = np.random.default_rng(0).choice(self.count, (self.queries, K), replace=False)
        self.planted = np.asarray(places, np.int64)
        self._kept: tuple[int, torch.Tensor] = (-1, torch.empty(0))

    def __len__(self) -> int:
        return self.count

    @property
    def asked(self) -> np.ndarray:
        """The queries (q, d)."""
        found: np.ndarray = self._asked.cpu().numpy()
        return found

    def block(self, number: int) -> torch.Tensor:
        """A block of rows, on the device."""
        if self._kept[0] != number:
            self._kept = number, self._made(number)
        return self._kept[1]

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        if isinstance(key, slice):
            start, stop, _ = key.indices(self.count)
            parts = [
                self.block(number)[max(0, start - number * BLOCK) : stop - number * BLOCK]
                for number in range(start // BLOCK, -(-stop // BLOCK) if stop > start else start // BLOCK)
            ]
            return np.concatenate([np.empty((0, self.dimension), np.float32), *(part.cpu().numpy() for part in parts)])
        out = np.empty((len(key), self.dimension), np.float32)
        order = np.argsort(key, kind="stable")
        numbers, starts = np.unique(key[order] // BLOCK, return_index=True)
        for number, here in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
            out[here] = self.block(number)[torch.from_numpy(key[here] - number * BLOCK).to(self.device)].cpu().numpy()
        return out

    def _made(self, number: int) -> torch.Tensor:
        count = min(BLOCK, self.count - number * BLOCK)
        rows = self._noisy(self._maker(number), count)
        query, rank = np.nonzero((self.planted >= number * BLOCK) & (self.planted < number * BLOCK + count))
        if len(query):
            noise = torch.randn(len(query), self.dimension, generator=self._maker(~number), device=self.device)
            share = torch.from_numpy(_LEAST + (_MOST - _LEAST) * rank / (K - 1)).float().to(self.device)
            at = torch.from_numpy(self.planted[query, rank] - number * BLOCK).to(self.device)
            copied = self._asked[torch.from_numpy(query).to(self.device)]
            rows[at] = copied + share[:, None] * (noise @ self._turned)
        return rows

    def _noisy(self, maker: torch.Generator, count: int) -> torch.Tensor:
        cluster = torch.randint(len(self._centres), (count,), generator=maker, device=self.device)
        noise = torch.randn(count, self.dimension, generator=maker, device=self.device)
        return self._centres[cluster] + _NOISE * (noise @ self._turned)

    def _maker(self, number: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(0x5EED + (number & ((1 << 48) - 1)))


def spectrum(rows: np.ndarray) -> dict[str, Any]:
    """Shares of the variance: of the first directions, of the first 32, and how many directions count alike."""
    values = np.linalg.eigvalsh(np.cov(rows.astype(np.float64), rowvar=False))[::-1]
    shares = values / values.sum()
    first = [round(float(share), 4) for share in shares[:8]]
    effective = float(1 / (shares**2).sum())
    return {
        "first": first,
        "first_32": round(float(shares[:32].sum()), 4),
        "last": float(shares[-1]),
        "effective_directions": round(effective, 1),
    }


def nearest(made: Generated, k: int) -> np.ndarray:
    """Positions (q, k) of the true nearest rows by l2, over all of them, block by block on the device."""
    best = torch.full((made.queries, k), torch.inf, device=made.device)
    where = torch.full((made.queries, k), -1, dtype=torch.int64, device=made.device)
    asked = torch.from_numpy(made.asked).to(made.device)
    for number in range(-(-made.count // BLOCK)):
        gaps = torch.cdist(asked, made.block(number))
        near, at = gaps.topk(min(k, gaps.shape[1]), largest=False)
        together = torch.cat([best, near], 1).topk(k, largest=False)
        where = torch.cat([where, at + number * BLOCK], 1).gather(1, together.indices)
        best = together.values
    found: np.ndarray = where.cpu().numpy()
    return found
