"""A channel: the rows of one extractor for every item of a library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import METRICS
from simsearch.errors import FingerprintMismatch, InputError, LibraryError, MetricError, RejectCode, RowError, shown
from simsearch.extract.extractor import Extractor
from simsearch.spatial.witness import ASKED, PLACES, VIEWS

Row = NDArray[Any]
Rows = tuple[Row, ...]
"""The rows of one item, in the order of the channels: (d,), or (p, d) where an extractor gives several an image."""

DTYPES = {"float16": np.float16, "float32": np.float32, "uint8": np.uint8, "bits": np.uint8, "points": np.uint8}
DEFAULT_DTYPE = "float16"
_BITS = "bits"
POINTS = "points"  # packed keypoints, of no distance: they are looked at beside the rows of another channel
ASYMMETRIC = "asymmetric"  # not a distance between rows: from a query's margins to stored bits
_MANY = 1 << 20  # values that numpy rounds, at half the speed, in the time of loading pyarrow.compute


@dataclass(frozen=True, slots=True)
class Channel:
    """The identity of a channel; rows of two channels are never compared.

    Attributes:
        name: Unique in the library, fit for a file name.
        model: The extractor's name, for `load_extractor`.
        fingerprint: Hex digest of all that determines a row's values.
        dimension: Values in a row, or bytes in packed bits.
        dtype: Of stored rows: float16, float32, uint8, bits (packed, uint8), or points (packed keypoints, uint8).
        metric: The recommended distance.
        non_negative: Whether js is defined.
        card: SHA-256 of the copy of the model's card, if the library has one.
        bits: Length of a code where it does not fill its last byte; None elsewhere.
    """

    name: str
    model: str
    fingerprint: str
    dimension: int
    dtype: str
    metric: str
    non_negative: bool
    card: str | None = None
    bits: int | None = None

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of stored rows."""
        return np.dtype(DTYPES[self.dtype])

    def round(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return rows in the stored dtype, read-only; what overflows is infinite, for the caller to refuse."""
        if rows.dtype == np.float32 and self.numpy_dtype == np.float16 and rows.size >= _MANY:
            import pyarrow as pa
            import pyarrow.compute as pc

            return np.asarray(pc.cast(pa.array(rows.reshape(-1)), pa.float16()).to_numpy()).reshape(rows.shape)
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(rows, self.numpy_dtype)

    def require(self, fingerprint: str, whose: str) -> None:
        """Refuse rows of another model.

        Raises:
            FingerprintMismatch: The fingerprints differ.
        """
        if fingerprint != self.fingerprint:
            raise FingerprintMismatch(
                f"{whose} has fingerprint {fingerprint[:16]} and channel {self.name!r} holds rows of "
                f"{self.fingerprint[:16]} (model {self.model!r}); use that model, or index into a new library"
            )

    def choose_metric(self, metric: str | None) -> str:
        """Return the metric, by default the recommended one.

        Raises:
            MetricError: It does not exist or is not defined on this channel's rows.
        """
        allowed = metrics_of(self.dtype)
        if metric is None:
            return self.metric
        if not isinstance(metric, str) or metric not in allowed:
            raise MetricError(f"metric {shown(metric)} is not defined on {self.dtype} rows; use {' or '.join(allowed)}")
        if metric in METRICS and METRICS[metric].non_negative and not self.non_negative:
            raise MetricError(
                f"{metric} is defined for non-negative rows only and model {self.model!r} makes signed ones; use cosine"
            )
        return metric

    def asked(self, metric: str) -> Channel:
        """Return the channel of query rows: this one; margins, one a bit, for asymmetric; all views for places."""
        if metric == PLACES:
            return replace(self, dimension=len(VIEWS) * ASKED * self.dimension)
        if metric != ASYMMETRIC:
            return self
        bits = self.bits or 8 * self.dimension
        return replace(self, dtype="float32", dimension=bits, bits=None, non_negative=False)


def metrics_of(dtype: str) -> tuple[str, ...]:
    """Return the metrics for rows of a stored dtype."""
    if dtype == POINTS:
        return (PLACES,)
    of_codes = dtype == _BITS
    names = (name for name, metric in METRICS.items() if metric.of_codes == of_codes)
    return (*names, ASYMMETRIC) if of_codes else tuple(names)


def only(channels: Sequence[Channel]) -> Channel:
    """Return the one channel of a library that takes rows of one model.

    Raises:
        LibraryError: There are several: an item needs a row of each.
    """
    if len(channels) > 1:
        names = ", ".join(channel.name for channel in channels)
        raise LibraryError(
            f"rows of one model make no items of a library with the channels {names}, which need a row of each; "
            "index the images, or `adopt` segments"
        )
    return channels[0]


def channel_of(extractor: Extractor, *, model: str, dtype: str) -> Channel:
    """Return the channel of an extractor's rows.

    Raises:
        InputError: No such dtype, or one that cannot hold these rows.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype {shown(dtype)} is not known; use {', '.join(DTYPES)}")
    if extractor.gives_codes:
        dtype = POINTS if extractor.metric == PLACES else _BITS
    elif dtype in {_BITS, POINTS, "uint8"}:
        raise InputError(f"dtype {dtype!r} cannot hold the rows of {extractor.name!r}; use float16 or float32")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", extractor.name).strip(".-") or "model"
    if name in {"items", "rejects"}:
        name += "-rows"  # those two names are taken in a segment's folder
    return Channel(
        name=name,
        model=model,
        fingerprint=extractor.fingerprint,
        dimension=extractor.dimension,
        dtype=dtype,
        metric=extractor.metric,
        non_negative=extractor.non_negative,
        bits=None if extractor.bits == 8 * extractor.dimension else extractor.bits,
    )


def problem_of(row: Row, channel: Channel, what: str) -> tuple[RejectCode, str] | None:
    """Return why a row (d,), or several (p, d), rounded to the channel's dtype, cannot be kept.

    Raises:
        RowError: The extractor itself is wrong: another length, or a negative value where it declares none.
    """
    if row.shape[-1:] != (channel.dimension,) or row.ndim > 2:
        raise RowError(f"{what} has shape {row.shape}; channel {channel.name!r} takes ({channel.dimension},)")
    if row.dtype.kind != "f":
        return None
    if not np.isfinite(row).all():
        return RejectCode.NON_FINITE, f"the row of {channel.name} holds NaN, infinity, or values beyond {channel.dtype}"
    if not row.any(axis=-1).all():
        return RejectCode.ZERO_ROW, f"the row of {channel.name} is all zeros in {channel.dtype}"
    if channel.non_negative and row.min() < 0:
        raise RowError(f"{what} has a negative value, and model {channel.model!r} promises none")
    return None
