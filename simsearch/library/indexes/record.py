"""The record of a library's index: the JSON file beside it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, get_args

from simsearch.errors import InputError
from simsearch.library.format.channel import metrics_of
from simsearch.library.format.seal import sealed, unsealed
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.indexes.curve import Curve
from simsearch.search.arguments import Order
from simsearch.search.indexes.spec import IndexSpec

FORMAT = 2
_READ = (1, FORMAT)  # the first has one curve, by queries that the index held
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """An index in a library's folder.

    Attributes:
        file: Its name.
        channel: Whose rows.
        metric: Whose neighbours it finds.
        spec: Its specification.
        segments: Names of the segments that it was built over, in the order of its rows.
        rows: How many.
        bytes: Size of the file.
        sha256: Of the file, in hex.
        curve: Its measured recall at 10.
        device: Where that was measured, to which its rates belong: "cpu", or "cuda" for FAISS's GPUs.
        wider: Its measured recall at larger k, ascending.
        live: Number of live rows then; None where it is not known.
        order: Of candidates when it was measured, and when it is searched.
    """

    file: str
    channel: str
    metric: str
    spec: IndexSpec
    segments: tuple[str, ...]
    rows: int
    bytes: int
    sha256: str
    curve: Curve
    device: str = "cpu"
    wider: tuple[Curve, ...] = ()
    live: int | None = None
    order: Order = "exact"

    @property
    def curves(self) -> tuple[Curve, ...]:
        """All of them, for ascending numbers of neighbours."""
        return (self.curve, *self.wider)

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON types, with a digest over them."""
        return sealed({"format": FORMAT, **asdict(self), "segments": list(self.segments)})

    @classmethod
    def of_json(cls, values: Any) -> IndexRecord:
        """Return the record of `as_json`.

        Raises:
            InputError: It is none, is not what was written, or of a later version.
        """
        fields = unsealed(values, required=False)
        try:
            if fields.pop("format") not in _READ:
                raise InputError("it is of another version of simsearch")
            spec, curve = IndexSpec.of_json(fields["spec"]), Curve.of_json(fields["curve"])
            if not isinstance(fields["segments"], list):
                raise TypeError("its segments are no list")
            wider = tuple(map(Curve.of_json, fields.get("wider", ())))
            made = {"spec": spec, "curve": curve, "wider": wider, "segments": tuple(fields["segments"])}
            record = cls(**{**fields, **made})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"it describes no index: {error}") from error
        record._check()
        return record

    def _check(self) -> None:
        texts = (self.file, self.channel, self.metric, self.sha256, *self.segments)
        counts = (self.rows, self.bytes, self.rows if self.live is None else self.live)
        good = all(isinstance(text, str) for text in texts) and all(_is_count(count) for count in counts)
        good = good and _DIGEST.fullmatch(self.sha256) is not None
        if (
            not good
            or self.device not in ("cpu", "cuda")
            or self.order not in get_args(Order)
            or self.metric != self.spec.metric
            or len(set(self.segments)) < len(self.segments)
        ):
            raise InputError("it describes no index: a value is none that one has")
        asked = [curve.chosen for curve in self.curves]
        reaches = [curve.reach for curve in self.curves]
        if None in asked or any(point is not None and point.depth > self.rows for point in asked):
            raise InputError("it does not say how the index is asked")
        if reaches != sorted(set(reaches)):
            raise InputError("its curves are not for ascending numbers of neighbours")

    def covers(self, snapshot: Snapshot) -> bool:
        """Return whether all segments that it was built over are still there."""
        return set(self.segments) <= set(snapshot.uuids)

    def fits(self, snapshot: Snapshot) -> bool:
        """Return whether it covers rows of the snapshot, in number and kind: only such an index is searched."""
        channels = {channel.name: channel for channel in snapshot.state.channels}
        channel = channels.get(self.channel)
        if channel is None or not self.segments or not self.covers(snapshot):
            return False
        same = self.spec.dimension == channel.dimension and self.metric in metrics_of(channel.dtype)
        return same and self.rows == self._rows_in(snapshot)

    def _rows_in(self, snapshot: Snapshot) -> int:
        segments = [snapshot.segments[snapshot.uuids[name]] for name in self.segments]
        return sum(len(segment.channels[self.channel].row) for segment in segments)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 62
