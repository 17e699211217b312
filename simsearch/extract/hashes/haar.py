"""The Haar multiresolution signature: where the strongest wavelet coefficients are, and their signs."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError
from simsearch.extract.hashes.base import FloatHash, between, one_of
from simsearch.extract.hashes.isometry import Isometry

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = {
    "scanned": (
        (5.00, 0.83, 1.01, 0.52, 0.47, 0.30),
        (19.21, 1.26, 0.44, 0.53, 0.28, 0.14),
        (34.37, 0.36, 0.45, 0.14, 0.18, 0.27),
    ),
    "painted": (
        (4.04, 0.78, 0.46, 0.42, 0.41, 0.32),
        (15.14, 0.92, 0.53, 0.26, 0.14, 0.07),
        (22.62, 0.40, 0.63, 0.25, 0.15, 0.38),
    ),
}
"""The paper's weights for queries that are scans of a picture, or paintings of it: (Y, I, Q), bins 0 to 5 of each."""
YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
"""NTSC colours from RGB."""
_LAST_BIN = 5
_PARTS = 8  # of the ballast, each at one of _PLACES places
_PLACES = 128
_ZERO = 1e-9  # of a grey picture's colour, which is rounding; one level of one pixel moves a coefficient by 1e-7


@dataclass(kw_only=True, eq=False, repr=False)
class Haar(FloatHash):
    """The signature of fast multiresolution image querying, as a row whose l1 distance is the paper's score.

    The picture is squashed to a square, in YIQ; each channel goes through the standard Haar decomposition, and of it
    are kept the mean and the signs of the `count` largest other coefficients. The paper scores a target T for a query
    Q, lower being better, with weights w of a coefficient's channel and bin, min(max(row, column), 5):

        score(Q, T) = sum_c w_c0 |mean_c(Q) - mean_c(T)| - sum of w over coefficients kept in both with equal signs

    A row holds w_c0 times the mean at (c, 0, 0) and half of w times the sign where a coefficient is kept. That alone
    would make l1 the score plus (W(Q) + W(T)) / 2, W being the weight of all that a picture keeps, which is small for
    grey pictures and for plain ones: they would be near to each other whatever they show. So the row ends with ballast,
    (C - W) / 2 in equal parts at 8 of 1,024 places that a digest of the signs chooses; C is the largest possible W.
    With n the number of these places that Q and T share, which is 8 for equal signs and by chance 1 in 16 otherwise,

        l1(Q, T) = C + score(Q, T) - n / 8 * (C - max(W(Q), W(T)))

    exactly. The last term is the departure from the paper: equal pictures are at distance 0, and one pair of strangers
    in 16 is nearer than its score by what about three coefficients weigh.

    Turned forms follow from the row, up to the rounding of the resize, which decides between coefficients of about
    equal size: of photographs on average at least 97 % of the signs kept are those of the turned picture's own row.

    Attributes:
        side: Of the square. The paper's is 128, for which rows have 50,176 numbers; of 150 photographs and 1,160
            queries with the paper's edits, 32, 64 and 128 put the right one first equally often (0.92).
        count: Coefficients kept of each channel; the paper found 40 best for scans and 60 for paintings.
        weights: The paper's for scans, which copies are most like, or for paintings.

    Reference:
        Jacobs, Finkelstein & Salesin, "Fast multiresolution image querying", 1995.

    Example:
        >>> from PIL import Image
        >>> row = Haar().rows([Image.new("RGB", (20, 10), "white")])
        >>> row.shape, float(row[0, 0])  # of a white picture 5 times the mean luma, 1
        ((1, 4096), 5.0)
    """

    base: ClassVar = "haar"
    label = "Haar signature"
    recipe: ClassVar = "haar {side}x{side} YIQ, Lanczos, {count} signs a channel, weights for {weights}, ballast 8x128"
    metric = "l1"

    side: int = between(32, 8, 128)
    count: int = between(40, 1, 1000)
    weights: str = one_of("scanned", "painted")

    def __post_init__(self) -> None:
        """Raise InputError for a side that is no power of two."""
        super().__post_init__()
        if self.side & (self.side - 1):
            raise InputError(f"haar: side={self.side} must be a power of two")

    @property
    def shape(self) -> tuple[int, ...]:
        """Coefficients by channel, row and column, then ballast."""
        return (3 * self.side**2 + _PARTS * _PLACES,)

    def values(self, image: Image) -> NDArray[np.float64]:
        """Return the weighted means and signs, and the ballast."""
        from PIL.Image import Resampling

        pixels = np.asarray(image.resize((self.side, self.side), Resampling.LANCZOS), np.float64) / 255
        basis = _basis(self.side)
        coefficients = basis @ np.moveaxis(pixels @ np.array(YIQ).T, 2, 0) @ basis.T  # (3, side, side)
        means, coefficients[:, 0, 0] = coefficients[:, 0, 0].copy(), 0
        return self._row(means, _largest_signs(coefficients, self.count))

    def turn(self, values: NDArray[Any], isometry: Isometry) -> NDArray[Any]:
        """Return the signs moved: reversing an axis mirrors the wavelets of each scale and changes their signs."""
        transposed, rows, columns = isometry.value
        coefficients = values[:, : 3 * self.side**2].reshape(-1, 3, self.side, self.side)
        means, signs = coefficients[..., 0, 0] / self._mean_weights, np.sign(coefficients)
        signs[..., 0, 0] = 0
        mirrored, change = _mirror(self.side)
        if transposed:
            signs = signs.swapaxes(-1, -2)
        if rows:
            signs = signs[..., mirrored, :] * change[:, None]
        if columns:
            signs = signs[..., mirrored] * change
        return np.array([self._row(m, s) for m, s in zip(means, signs, strict=True)]).reshape(values.shape)

    @functools.cached_property
    def _weights(self) -> NDArray[np.float64]:
        """The weight of each coefficient (3, side, side), with 0 for the means."""
        index = np.minimum(np.arange(self.side), _LAST_BIN)
        weights: NDArray[np.float64] = np.array(WEIGHTS[self.weights])[:, np.maximum(index[:, None], index)]
        weights[:, 0, 0] = 0
        return weights

    @functools.cached_property
    def _heaviest(self) -> float:
        """The largest possible weight of all that a picture keeps."""
        return float(np.sort(self._weights.reshape(3, -1), axis=1)[:, -self.count :].sum())

    @property
    def _mean_weights(self) -> NDArray[np.float64]:
        return np.array(WEIGHTS[self.weights])[:, 0]

    def _row(self, means: NDArray[Any], signs: NDArray[Any]) -> NDArray[np.float64]:
        """Return the row of means (3,) and signs (3, side, side), whose first is 0."""
        ballast = np.zeros((_PARTS, _PLACES))
        digest = hashlib.blake2b(signs.astype(np.int8).tobytes(), digest_size=_PARTS).digest()
        places = np.frombuffer(digest, np.uint8) % _PLACES
        ballast[np.arange(_PARTS), places] = (self._heaviest - self._weights[signs != 0].sum()) / 2 / _PARTS
        halves = self._weights * signs / 2
        halves[:, 0, 0] = self._mean_weights * means
        return np.concatenate([halves.ravel(), ballast.ravel()])


def _largest_signs(coefficients: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the signs of each channel's `count` largest coefficients (3, s, s), 0 elsewhere; ties to the first."""
    flat = coefficients.reshape(len(coefficients), -1)
    largest = np.argsort(-np.abs(flat), axis=1, kind="stable")[:, :count]
    kept = np.take_along_axis(flat, largest, axis=1)
    signs = np.zeros_like(flat)
    np.put_along_axis(signs, largest, np.where(np.abs(kept) > _ZERO, np.sign(kept), 0), axis=1)
    return signs.reshape(coefficients.shape)


@functools.cache
def _basis(side: int) -> NDArray[np.float64]:
    """Return the Haar wavelets of one axis, (side, side), coarse to fine, of length side ** -0.5; row 0 is the mean."""
    basis = np.ones((1, 1))
    while len(basis) < side:
        coarse = np.kron(basis, [1, 1])
        fine = np.kron(np.eye(len(basis)), [1, -1]) * np.sqrt(len(basis))
        basis = np.concatenate([coarse, fine])
    return basis / side


@functools.cache
def _mirror(side: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the wavelet that each becomes when the axis is reversed (side,), and with which sign (side,)."""
    index = np.arange(side)
    scale = np.where(index > 0, 2 ** np.floor(np.log2(np.maximum(index, 1))).astype(np.int64), 0)
    mirrored = np.where(index > 0, 3 * scale - 1 - index, 0)
    return mirrored, np.where(index > 0, -1.0, 1.0)
