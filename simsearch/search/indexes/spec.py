"""The specification of an index: its kind, metric and sizes, as JSON beside its file."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from simsearch.distance import METRICS
from simsearch.errors import InputError, MetricError

Kind = Literal["flat", "ivf_flat", "ivf_sq8", "ivf_pq", "hnsw", "rabitq", "multi_hash"]
KINDS = ("flat", "ivf_flat", "ivf_sq8", "ivf_pq", "hnsw", "rabitq")
"""For rows of numbers."""
CODE_KINDS = ("flat", "ivf_flat", "multi_hash")
"""For packed codes."""
GPU_KINDS = ("flat", "ivf_flat", "ivf_sq8", "ivf_pq")
"""Those that FAISS has for GPUs too."""
GPU_CODE_BYTES = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)
"""Sizes of an `ivf_pq` code that GPUs read (IVFPQ.cu, isSupportedPQCodeLength); the tables of the largest, 96 times 256
distances in float16, fill the 48 KiB of shared memory of a block (GpuIndexIVFPQ.cu, verifyPQSettings_)."""
GPU_SQ8_BELOW = 6144
"""Dimensions that `ivf_sq8` stays below on a GPU: two float32 of each in 48 KiB (GpuIndexIVFScalarQuantizer.cu)."""
FACTORS, MORE_FACTORS = 8, 20
"""Bytes that RaBitQ keeps of each row beside its bits: two numbers, or five where a coordinate has several bits."""
_FLAT_BELOW = 50_000  # rows that exact search answers before an index would be worth its training
_CODES_BELOW = 10_000_000  # and codes
_WORD = 8  # bytes, to whose multiple codes are padded
_LINKS = 32
_MOST_BITS = 8  # of a coordinate, in RaBitQ
_KEPT = 0.75  # of the coordinates that must be left for two bits each to be better than one


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """The specification of an index over features: see `features`.

    Attributes:
        kind: `flat` (all rows, float32), `ivf_flat` (in lists, float32), `ivf_sq8` (in lists, a byte a coordinate),
            `ivf_pq` (in lists, product-quantised), `rabitq` (in lists, one bit or a few for a coordinate), `hnsw` (a
            graph, float32); for codes `flat`, `ivf_flat` (in lists) and `multi_hash` (tables of chunks of the code).
        metric: Of the neighbours: `js`, `cosine`, `l2` or `hamming`.
        dimension: Of the rows; bytes of a code.
        lists: Of the inverted file; 0 for others.
        code_bytes: Of a row's code in `ivf_pq` and `rabitq`; 0 for others.
        reduced: Coordinates that a rotation keeps before coding; `dimension` keeps all.
        bits: Of each of them in `rabitq`, of a chunk in `multi_hash`; 0 for others.
        links: Of a node of the graph, tables of `multi_hash`; 0 for others.
        seed: Of the training sample and of rotations.
    """

    kind: Kind
    metric: str
    dimension: int
    lists: int = 0
    code_bytes: int = 0
    reduced: int = 0
    bits: int = 0
    links: int = 0
    seed: int = 0

    @property
    def row_bytes(self) -> int:
        """What the index keeps of a row, its number and links included."""
        if METRICS[self.metric].of_codes:
            return self.code_width + (8 * self.links if self.kind == "multi_hash" else 8 if self.lists else 0)
        if self.kind == "flat":
            return 4 * self.dimension
        if self.kind == "hnsw":
            return 4 * self.dimension + 8 * self.links + 8
        return 8 + (self.code_bytes or (1 if self.kind == "ivf_sq8" else 4) * self.dimension)

    @property
    def code_width(self) -> int:
        """Bytes of a padded code."""
        return -(-self.dimension // _WORD) * _WORD

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> IndexSpec:
        """Return the spec of `as_json`.

        Raises:
            InputError: A key is unknown or missing, or a value is none that a spec can have.
        """
        try:
            return checked(cls(**values))
        except TypeError as error:
            raise InputError(f"this is no description of an index: {error}") from error


def spec_for(
    count: int,
    dimension: int,
    metric: str,
    *,
    kind: str = "auto",
    bytes_a_row: int | None = None,
    gpu_room: int | None = None,
) -> IndexSpec:
    """Return a spec with sizes that suit so many rows.

    Without a kind: `flat` below 50,000 rows, which exact search answers within milliseconds; `rabitq` above, whose
    codes are a thirtieth of the rows and cost the least time for a recall once candidates are measured exactly. Codes
    are searched exactly up to ten million, and in lists beyond. Where GPUs serve, in place of `rabitq`, which they
    lack: the first of `ivf_flat`, `ivf_sq8` and `ivf_pq` that has room there, if any.

    Args:
        count: Rows that the index will hold.
        dimension: Of the rows.
        metric: `js`, `cosine`, `l2` or `hamming`.
        kind: One of `KINDS`, for codes of `CODE_KINDS`, or `auto`.
        bytes_a_row: The largest code; `ivf_pq` and `rabitq` only. By default a bit a coordinate.
        gpu_room: Bytes that it may take on its GPUs, whose codes have certain sizes only; None for a CPU.

    Raises:
        InputError: There is no such kind, the bytes are too few, or the kind has no codes.
        MetricError: No index serves the metric.

    Example:
        >>> spec_for(1_000_000, 512, "js").kind, spec_for(1_000_000, 512, "js", bytes_a_row=40).reduced
        ('rabitq', 256)
    """
    if metric in METRICS and METRICS[metric].of_codes:
        return _for_codes(count, dimension, kind, bytes_a_row)
    chosen = _suited(count, dimension, bytes_a_row, gpu_room) if kind == "auto" else kind
    if chosen not in KINDS:
        raise InputError(f"no kind of index is called {kind!r}; there are {', '.join(KINDS)}")
    if bytes_a_row is not None and chosen not in ("ivf_pq", "rabitq"):
        raise InputError(f"an index of kind {chosen} keeps whole rows; bytes go with ivf_pq and rabitq")
    lists = 0 if chosen in ("flat", "hnsw") else _lists(count)
    code, reduced, bits = _code(chosen, dimension, bytes_a_row, gpu=gpu_room is not None)
    links = _LINKS if chosen == "hnsw" else 0
    return checked(IndexSpec(chosen, metric, dimension, lists, code, reduced, bits, links))  # type: ignore[arg-type]


def _suited(count: int, dimension: int, bytes_a_row: int | None, gpu_room: int | None) -> str:
    """Return the default kind."""
    if bytes_a_row is None and count < _FLAT_BELOW:
        return "flat"
    kinds = ("ivf_flat", "ivf_sq8", "ivf_pq") if bytes_a_row is None else ("ivf_pq",)
    for kind in kinds if gpu_room is not None else ():
        code, reduced, _ = _code(kind, dimension, bytes_a_row, gpu=True)
        row = IndexSpec(kind, "l2", dimension, 1, code, reduced).row_bytes  # type: ignore[arg-type]
        if count * row <= (gpu_room or 0) and (kind != "ivf_sq8" or dimension < GPU_SQ8_BELOW):
            return kind
    return "rabitq"


def _for_codes(count: int, width: int, kind: str, bytes_a_row: int | None) -> IndexSpec:
    """Return a spec for packed codes."""
    chosen = ("flat" if count < _CODES_BELOW else "ivf_flat") if kind == "auto" else kind
    if chosen not in CODE_KINDS:
        raise InputError(f"no kind of index for codes is called {kind!r}; there are {', '.join(CODE_KINDS)}")
    if bytes_a_row is not None:
        raise InputError("an index of codes keeps them whole; leave bytes out")
    lists = _lists(count) if chosen == "ivf_flat" else 0
    chunk = min(8 * width, max(8, round(math.log2(max(2, count))))) if chosen == "multi_hash" else 0
    tables = max(1, 8 * width // chunk) if chunk else 0
    return checked(IndexSpec(chosen, "hamming", width, lists, 0, 0, chunk, tables))  # type: ignore[arg-type]


def checked(spec: IndexSpec) -> IndexSpec:
    """Return the spec, checked.

    Raises:
        InputError: It names no kind, or sizes that do not go together.
        MetricError: No index serves the metric.
    """
    if spec.metric not in METRICS or not METRICS[spec.metric].indexed:
        served = ", ".join(name for name, metric in METRICS.items() if metric.indexed)
        raise MetricError(f"no index serves {spec.metric}; there are indexes for {served}")
    sizes = (spec.dimension, spec.lists, spec.code_bytes, spec.reduced, spec.bits, spec.links)
    kinds = CODE_KINDS if METRICS[spec.metric].of_codes else KINDS
    if spec.kind not in kinds or not all(isinstance(size, int) and size >= 0 for size in sizes) or not spec.dimension:
        raise InputError(f"{spec} is no description of an index")
    whole = spec.kind != "ivf_pq" or (spec.code_bytes > 0 and spec.reduced % spec.code_bytes == 0)
    if spec.reduced > spec.dimension or not whole:
        raise InputError(f"{spec}: the coordinates kept must be at most the row's, and a multiple of the code's bytes")
    if spec.kind == "rabitq" and not (spec.reduced and 1 <= spec.bits <= _MOST_BITS):
        raise InputError(f"{spec}: a coordinate has 1 to {_MOST_BITS} bits")
    return spec


def _lists(count: int) -> int:
    """Return a power of two near twice the root of the count: reading the centroids costs as much as a few lists."""
    return int(2 ** round(math.log2(max(1.0, 2 * math.sqrt(count)))))


def _code(kind: str, dimension: int, bytes_a_row: int | None, *, gpu: bool) -> tuple[int, int, int]:
    """Return bytes of a code, the coordinates that it codes, and the bits of each."""
    if kind == "rabitq":
        reduced, bits = _rabitq(dimension, bytes_a_row)
        return _rabitq_bytes(reduced, bits), reduced, bits
    if kind == "ivf_pq":
        wanted = max(1, dimension // 8) if bytes_a_row is None else bytes_a_row
        code = min(wanted, dimension)
        if gpu:
            code = max(size for size in GPU_CODE_BYTES if size <= code)
        return code, code * max(1, min(dimension // code, 4)), 0
    return 0, 0, 0


def _rabitq(dimension: int, bytes_a_row: int | None) -> tuple[int, int]:
    """Return coordinates and bits of each: as many bits as there is room for, else as many coordinates.

    Raises:
        InputError: There is no room for a code.
    """
    if bytes_a_row is None:
        return dimension, 1
    if bytes_a_row <= FACTORS:
        raise InputError(f"{bytes_a_row} bytes a row hold no code; rabitq needs more than {FACTORS}")
    for bits in range(_MOST_BITS, 1, -1):
        fitting = min(dimension, 8 * max(0, bytes_a_row - MORE_FACTORS) // bits)
        while fitting and _rabitq_bytes(fitting, bits) > bytes_a_row:
            fitting -= 1
        if fitting == dimension or (bits == 2 and fitting >= _KEPT * dimension):
            return fitting, bits
    return min(dimension, 8 * (bytes_a_row - FACTORS)), 1


def _rabitq_bytes(reduced: int, bits: int) -> int:
    """Return the bytes of a code in FAISS: signs, the other bits, and factors."""
    if bits == 1:
        return math.ceil(reduced / 8) + FACTORS
    return math.ceil(reduced / 8) + math.ceil(reduced * (bits - 1) / 8) + MORE_FACTORS
