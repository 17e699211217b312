"""What was measured, and where: the constants of the planner. A test holds each equal to its record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """A figure of a record in `results/`.

    Attributes:
        value: The figure.
        record: The file's name below `results/`.
        keys: Where in it, by names joined with slashes.
    """

    value: float
    record: str
    keys: str

    @property
    def source(self) -> str:
        """The record, as it is named in a plan."""
        return f"results/{self.record}"


CORES = 2
"""Of the machines of all records here."""
MATRIX_OF_GPU = 790e12
"""Operations a second in bfloat16 of one H200, as is published of it; `scripts/gpu_proof limits` measures it."""
FLOAT32_OF_GPU = 30e12
"""And in float32, half of what its data sheet says."""
COPY_OF_GPU = 4.3e12
"""Bytes a second of its memory."""
SHARE_OF_GPU = 0.40
"""Of the matrix rate that embedding is to reach (goal G14); no GPU has run it yet."""

DECODE = Rate(577.5852230663811, "embedding_without_amx.json", "from_files/images_per_second/decode/median")
"""JPEG files of about 0.2 megapixels decoded and resized, a second, on both cores."""
PIPELINE = Rate(290.3479037777928, "embedding_without_amx.json", "from_files/images_per_second/pipeline/median")
"""And embedded by mini."""
MINI = Rate(761.6738296480429, "embedding_without_amx.json", "networks/mini/images_per_second/ours/median")
"""Images a second of mini alone."""
RESNET = Rate(34.65292974860658, "embedding_without_amx.json", "networks/ResNet-50/images_per_second/ours/median")
"""And of ResNet-50."""
RESNET_GMAC = Rate(4.327, "embedding_without_amx.json", "networks/ResNet-50/gmac")
ROW_MICROSECONDS = Rate(21.84, "rows.json", "files/embed/microseconds_a_row")
"""To take a row of 512 values into a library."""
LIBRARY_BYTES = Rate(236_339_579, "rows.json", "files/embed/library_bytes")
LIBRARY_ROWS = Rate(200_000, "rows.json", "rows")
PROCESS = Rate(1_028_034_560, "memory.json", "peak_bytes/20000")
"""Bytes of all processes that index by mini."""

INDEX_SECONDS = Rate(32.5, "search/indexes.json", "curves/rabitq/seconds_to_build")
"""To build `rabitq` over a million rows of 512 values, in 2,048 lists."""
PRODUCT_SECONDS = Rate(46.9, "search/indexes.json", "curves/ivf_pq/seconds_to_build")
"""And `ivf_pq` of 64 bytes, whose codebooks take their time."""
GRAPH_SECONDS = Rate(318.4, "search/graphs.json", "curves/hnsw/seconds_to_build")
OPTIMIZE_SECONDS = Rate(53.19134255000063, "library.json", "seconds_to_optimize")
"""To build `rabitq` and measure its recall."""
INDEX_ROWS = 1_000_000
DIMENSION = 512

EXACT_SECONDS = Rate(2.715, "library.json", "seconds_of_searches/before/exact/median")
"""For 200 queries over a million rows of 512 values, every row looked at."""
EXACT_QUERIES = 200
CODE_PAIRS = {
    64: Rate(17.004, "search/hamming.json", "nearest/64/billion_pairs_per_second/ours/median"),
    96: Rate(12.777, "search/hamming.json", "nearest/96/billion_pairs_per_second/ours/median"),
    128: Rate(10.112, "search/hamming.json", "nearest/128/billion_pairs_per_second/ours/median"),
    256: Rate(5.102, "search/hamming.json", "nearest/256/billion_pairs_per_second/ours/median"),
}
"""Billions of comparisons a second of one core, of a batch of queries, by the bits of a code."""

REFINED = Rate(5308.529, "search/recall.json", "over_bare_faiss/rabitq, js/queries_per_cpu_second/ours/median")
"""Queries of one core a second, all told, of which most is measuring candidates."""

Point = tuple[float, float, int]
"""A recall of the 10 nearest (the lower end of its interval), queries a second, and lists probed."""
CURVES: dict[str, tuple[str, tuple[Point, ...]]] = {
    "rabitq": (
        "search/indexes.json",
        ((0.971368, 2570.5, 2), (0.985626, 2236.8, 4), (0.988908, 1660.5, 8)),
    ),
    "ivf_flat": (
        "search/indexes.json",
        ((0.95595, 3112.0, 1), (0.971368, 1762.6, 2), (0.982566, 868.4, 4), (0.988908, 428.4, 8)),
    ),
    "ivf_pq": (
        "search/indexes.json",
        ((0.934139, 3568.6, 1), (0.971368, 3165.6, 2), (0.982566, 2156.8, 4), (0.988908, 1822.9, 8)),
    ),
    "hnsw": ("search/graphs.json", ((0.913147, 1583.4, 32), (0.966106, 528.4, 512), (0.982566, 142.6, 2048))),
}
"""Of indexes over a million clustered rows of 512 values, by js, candidates measured exactly; of their records."""
