"""From rows to bits, NeuralHash's way: on which side of some hyperplanes a row lies, and how surely."""

from __future__ import annotations

import hashlib
import heapq
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import check_rows
from simsearch.errors import InputError, ModelError

Map: TypeAlias = Literal["unit", "hellinger"]
Kind: TypeAlias = Literal["hyperplanes", "pca", "itq", "lda", "head"]
MAPS: tuple[str, ...] = get_args(Map)
KINDS: tuple[str, ...] = get_args(Kind)

_FORMAT = "simsearch quantiser 1"
_CELLS = 1 << 22  # coordinates worked on at once


@dataclass(frozen=True, eq=False)
class Quantiser:
    """Hyperplanes that cut mapped rows into bits.

    Attributes:
        kind: How they were found.
        map: What is done to a row first: `unit` divides it by its length, so that angles count; `hellinger` takes the
            roots of its shares of the sum, whose Euclidean distance is near the Jensen-Shannon distance.
        centre: What is subtracted then, float32 (d,).
        planes: Unit normals of the hyperplanes, float32 (bits, d).
        model: Fingerprint of the model whose rows it was fitted to.
        source: What those rows were, in words.
    """

    kind: Kind
    map: Map
    centre: NDArray[np.float32]
    planes: NDArray[np.float32]
    model: str
    source: str

    @property
    def bits(self) -> int:
        """Length of a code."""
        return len(self.planes)

    @property
    def dimension(self) -> int:
        """Length d of the rows that it takes."""
        return int(self.planes.shape[1])

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides a code: the map, the centre, the planes."""
        text = hashlib.sha256(f"{_FORMAT} {self.map} {self.planes.shape}".encode())
        for values in (self.centre, self.planes):
            text.update(np.ascontiguousarray(values, "<f4").tobytes())
        return text.hexdigest()

    def margins(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return the signed distances (n, bits), float64, of rows from hyperplanes.

        One product in float64 a row and plane, so that it is the same whatever rows are given together.

        Args:
            rows: (n, d) of the model, any float type.

        Raises:
            RowError: A row is not finite, all zeros, or of another dimension.
            MetricError: The map is `hellinger` and a value is negative.
        """
        mapped = mapped_rows(rows, self.map, dimension=self.dimension)
        planes = self.planes.astype(np.float64)
        out = np.empty((len(rows), self.bits))
        step = max(1, _CELLS // self.planes.size)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            np.vecdot(mapped[part, None, :] - self.centre, planes, out=out[part])
        return out

    def encode(self, rows: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the codes of rows: packed (n, bytes), 1 where the margin is above 0, zeros behind the last bit.

        Raises:
            RowError, MetricError: As `margins`.
        """
        return packed(self.margins(rows))

    def save(self, path: Path) -> None:
        """Write it as safetensors, with its digest."""
        from safetensors.numpy import save_file

        about = {"kind": self.kind, "map": self.map, "model": self.model, "source": self.source}
        tensors = {"centre": np.asarray(self.centre), "planes": np.ascontiguousarray(self.planes)}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, {"format": _FORMAT, "digest": self.digest, "about": json.dumps(about)})


def load_quantiser(path: Path) -> Quantiser:
    """Read what `Quantiser.save` wrote.

    Raises:
        ModelError: The file is missing, is no quantiser, or its content is not that of its digest.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            said = file.metadata() or {}
            if said.get("format") != _FORMAT:
                raise ModelError(f"{path} is no quantiser; make one with `simsearch bits fit`")
            about = json.loads(said["about"])
            centre, planes = (np.asarray(file.get_tensor(name), np.float32) for name in ("centre", "planes"))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path} is no whole quantiser: {error}; restore the file or fit it again") from error
    found = Quantiser(about["kind"], about["map"], centre, planes, about["model"], about["source"])
    if found.digest != said["digest"]:
        raise ModelError(f"{path} has digest {found.digest}, its header says {said['digest']}; restore the file")
    return found


def map_for(metric: str) -> Map:
    """Return the map under which codes follow a metric.

    Example:
        >>> map_for("js"), map_for("cosine")
        ('hellinger', 'unit')
    """
    return "hellinger" if metric == "js" else "unit"


def mapped_rows(rows: NDArray[Any], how: Map, *, dimension: int | None = None) -> NDArray[np.float64]:
    """Return rows (n, d) as points whose Euclidean distance means something: of length 1, in float64.

    Raises:
        RowError: A row is not finite, all zeros, or of another dimension.
        MetricError: The map is `hellinger` and a value is negative.

    Example:
        >>> mapped_rows(np.array([[9.0, 16.0]]), "hellinger")
        array([[0.6, 0.8]])
    """
    rows = np.asarray(rows)
    check_rows(rows, dimension=dimension, metric="js" if how == "hellinger" else None)
    values: NDArray[np.float64] = rows.astype(np.float64)
    if how == "hellinger":
        values = np.ldexp(values, -np.frexp(values.max(axis=1, keepdims=True))[1])  # exact; no sum overflows
        return np.asarray(np.sqrt(values / values.sum(axis=1, keepdims=True)))
    values /= np.abs(values).max(axis=1, keepdims=True)
    values /= np.sqrt(np.vecdot(values, values))[:, None]
    return values


def packed(margins: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return codes (n, bytes) of margins (n, bits): 1 where a margin is above 0, zeros behind the last bit."""
    return np.packbits(margins > 0, axis=1)


def unstable(margins: NDArray[np.floating], within: float) -> NDArray[np.uint8]:
    """Return masks (n, bytes) of the bits whose row lies within that of their hyperplane: the first to flip.

    Args:
        margins: (n, bits), as `Quantiser.margins` gives them.
        within: Distance from the hyperplane, in units of mapped rows, whose length is 1.

    Raises:
        InputError: Within is negative.

    Example:
        >>> unstable(np.array([[0.3, -0.01, 0.02]]), 0.05)
        array([[96]], dtype=uint8)
    """
    if not within >= 0:
        raise InputError(f"within is {within} and must be at least 0")
    return np.packbits(np.abs(margins) <= within, axis=1)


def probes(margins: NDArray[np.floating], count: int, *, among: int = 12) -> NDArray[np.uint8]:
    """Return probes (n, count, bytes), the codes that a row may also get elsewhere, likeliest first, its own at 0.

    Flipped are the sets of bits with the smallest sums of squared margins, which is the order of likelihood under
    Gaussian noise (Lv et al., "Multi-probe LSH", 2007).

    Args:
        margins: (n, bits), as `Quantiser.margins` gives them.
        count: Codes a row.
        among: How many of the bits with the smallest margins may flip.

    Raises:
        InputError: Count is below 1 or more than the subsets of that many bits.

    Example:
        >>> probes(np.array([[0.3, -0.01, 0.02]]), 3)[0].tolist()
        [[160], [224], [128]]
    """
    among = min(among, margins.shape[1])
    if not 1 <= count <= 2**among:
        raise InputError(f"count is {count} and must be from 1 to {2**among}, the subsets of {among} bits")
    codes = np.repeat((margins > 0)[:, None, :], count, axis=1)
    order = np.argsort(np.abs(margins), axis=1, kind="stable")[:, :among]
    costs = np.take_along_axis(np.asarray(margins, np.float64) ** 2, order, 1)
    for code, bits, cost in zip(codes, order, costs, strict=True):
        for line, chosen in zip(code, _cheapest_sets(cost.tolist(), count), strict=True):
            line[bits[chosen]] ^= True
    return np.packbits(codes, axis=2)


def _cheapest_sets(costs: list[float], count: int) -> list[list[int]]:
    """Return the subsets of rising total cost, the empty one first; costs rise."""
    sets: list[list[int]] = [[]]
    waiting = [(costs[0], [0])] if costs else []
    while len(sets) < count:
        total, chosen = heapq.heappop(waiting)
        sets.append(chosen)
        last = chosen[-1]
        if last + 1 < len(costs):
            heapq.heappush(waiting, (total - costs[last] + costs[last + 1], [*chosen[:-1], last + 1]))
            heapq.heappush(waiting, (total + costs[last + 1], [*chosen, last + 1]))
    return sets
