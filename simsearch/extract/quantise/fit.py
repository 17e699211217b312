"""Fitting hyperplanes to rows: at random, along the principal directions, or turned so that little is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError
from simsearch.extract.quantise.hyperplanes import MAPS, Kind, Map, Quantiser, mapped_rows

_TURNS = 50  # of ITQ; the loss falls little after that (Gong et al., figure 2)


def fit_quantiser(
    rows: NDArray[Any], *, kind: Kind, bits: int, how: Map, model: str, source: str = "", seed: int = 0
) -> Quantiser:
    """Fit a quantiser to rows.

    Args:
        rows: (n, d) of one model, such as those of photographs of the kind that will be searched.
        kind: `hyperplanes` (random directions through the mean: NeuralHash), `pca` (the principal directions), or `itq`
            (these, turned so that the rows lie near the corners of a cube).
        bits: Length of a code; for pca and itq at most d.
        how: What is done to a row first, see `Quantiser.map`.
        model: Fingerprint of the model.
        source: What the rows are, in words.
        seed: Of the random directions, or of the first turn.

    Raises:
        InputError: There is no such kind or map, bits is out of range, or there are fewer rows than directions.
        RowError, MetricError: The rows are not usable.

    Reference:
        Charikar, "Similarity estimation techniques from rounding algorithms", 2002; Gong, Lazebnik, Gordo, Perronnin,
        "Iterative quantization: a Procrustean approach to learning binary codes", 2013.
    """
    if how not in MAPS:
        raise InputError(f"no map is called {how!r}; use {' or '.join(MAPS)}")
    if kind not in _PLANES:
        raise InputError(f"no quantiser of kind {kind!r} can be fitted to rows; use {', '.join(_PLANES)}")
    points = mapped_rows(rows, how)
    if bits < 1 or (kind != "hyperplanes" and bits > points.shape[1]):
        most = "" if kind == "hyperplanes" else f" and at most {points.shape[1]}, the length of a row, for {kind}"
        raise InputError(f"bits is {bits} and must be at least 1{most}")
    if len(points) <= (bits if kind != "hyperplanes" else 0):
        raise InputError(f"{len(points)} rows cannot give {bits} directions; fit to more images, or ask for fewer bits")
    centre = points.mean(axis=0)
    planes = _PLANES[kind](points - centre, bits, np.random.default_rng(seed))
    return Quantiser(kind, how, centre.astype(np.float32), planes.astype(np.float32), model, source)


def _random(points: NDArray[np.float64], bits: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return directions (bits, d) of equal likelihood."""
    normals = rng.standard_normal((bits, points.shape[1]))
    return np.asarray(normals / np.linalg.norm(normals, axis=1, keepdims=True))


def _principal(points: NDArray[np.float64], bits: int, _rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the directions (bits, d) of largest variance, the largest first, with the sign of `pointed`."""
    _, vectors = np.linalg.eigh(points.T @ points)
    return pointed(vectors[:, ::-1][:, :bits].T)


def pointed(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return normals (bits, d) with signs such that each one's largest value is positive: reproducible."""
    largest = np.take_along_axis(planes, np.abs(planes).argmax(axis=1)[:, None], 1)
    return np.ascontiguousarray(planes * np.sign(largest))


def _turned(points: NDArray[np.float64], bits: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the principal directions, turned among themselves so that the signs lose the least squared length."""
    principal = _principal(points, bits, rng)
    seen = points @ principal.T
    turn, _ = np.linalg.qr(rng.standard_normal((bits, bits)))
    for _ in range(_TURNS):
        left, _, right = np.linalg.svd(np.where(seen @ turn > 0, 1.0, -1.0).T @ seen)
        turn = right.T @ left.T
    return np.asarray(turn.T @ principal)


_PLANES = {"hyperplanes": _random, "pca": _principal, "itq": _turned}
