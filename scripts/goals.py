"""The goals of performance as data, and a measured figure judged against one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from simsearch.errors import InputError


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to reach, nearly always a ratio of two things measured side by side.

    Attributes:
        number: As `G14`.
        what: What is divided by what.
        targets: The figure to reach, for each part of the goal; a goal of one part has the key "".
        peer: What it is measured against.
        where: "CPU", "GPU" or "both".
        at_most: The figure is to be no larger than the target, not no smaller.
        record: The record of `results/` whose figure of a part takes the place of others, where it has one.
    """

    number: str
    what: str
    targets: Mapping[str, float]
    peer: str
    where: str
    at_most: bool = False
    record: str = ""

    def reached(self, value: float, target: float) -> bool:
        """Whether a figure reaches a target."""
        return bool(value <= target if self.at_most else value >= target)


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of one goal, or of one part of it.

    Attributes:
        goal: The goal's number.
        part: Which part; "" where there is one only.
        value: The figure.
        target: What was to be reached.
        met: Whether it was.
        note: In what circumstances, or why it was missed.
    """

    goal: str
    part: str
    value: float
    target: float
    met: bool
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The same as a plain dictionary, for JSON."""
        return asdict(self)


GOALS = (
    Goal(
        "G1",
        "exact js top-10 queries/s over FAISS's flat js index, same ids, all certified",
        {"512-d": 30, "2048-d": 30},
        "faiss on the CPU",
        "CPU",
    ),
    Goal("G2", "share of js answers on rows with exact zeros that are right, against float64", {"": 1}, "faiss", "CPU"),
    Goal(
        "G4",
        "js batch queries/s over FAISS GPU brute-force js, 1e6 x 2048, 1,000 queries",
        {"": 20},
        "faiss-gpu",
        "GPU",
    ),
    Goal("G5", "fused exact js kernel over the special-function limit", {"": 0.60}, "log2 rate of the device", "GPU"),
    Goal(
        "G6",
        "js queries/s over our own cosine queries/s, same index type",
        {"CPU": 1 / 3, "GPU": 1 / 3},
        "matrix products",
        "both",
    ),
    Goal(
        "G7",
        "compressed js search with exact re-rank over FAISS IVFFlat(js) at recall@10 of .95, 1e6 rows",
        {"": 20},
        "faiss",
        "CPU",
    ),
    Goal(
        "G8",
        "Hamming pairs/s a core over IndexBinaryFlat",
        {"64 bits": 4, "96 bits": 30, "128 bits": 8, "256 bits": 5},
        "faiss",
        "CPU",
    ),
    Goal("G9", "the same kernel over the vector popcount ceiling (16 words a clock)", {"": 0.60}, "CPU limit", "CPU"),
    Goal(
        "G10",
        "latency of one 96-bit query over 1e8-1e9 codes, GpuIndexBinaryFlat over ours",
        {"": 50},
        "faiss-gpu",
        "GPU",
    ),
    Goal("G11", "the same over the memory floor", {"": 0.65}, "copy rate of the device", "GPU"),
    Goal(
        "G12",
        "Hamming batch of 4,096 queries",
        {"over GpuIndexBinaryFlat": 3, "over the popcount limit": 0.60},
        "faiss-gpu",
        "GPU",
    ),
    Goal(
        "G14",
        "embedding images/s over (bf16 matrix rate / operations of the network)",
        {"ResNet-50": 0.40, "ResNet-50 2x": 0.45},
        "matrix rate of the device",
        "GPU",
    ),
    Goal(
        "G15",
        "embedding images/s, same weights",
        {"over eager NCHW AMP": 2, "over plain torch.compile": 1.05},
        "torch",
        "GPU",
    ),
    Goal(
        "G16",
        "CPU embedding (bf16, channels last, folded) over fp32 eager, js distance <= 0.02 for 99 %",
        {"": 3},
        "torch",
        "CPU",
    ),
    Goal(
        "G17",
        "decode + resize of a JPEG over a full Pillow decode + resize, rows within js 0.02 for 99 %",
        {"12 megapixels": 3.5, "ImageNet size": 2},
        "Pillow",
        "CPU",
    ),
    Goal("G18", "images-to-index rate over the slowest stage alone", {"CPU": 0.90, "GPU": 0.90}, "own stages", "both"),
    Goal("G19", "end to end over a PIL + DataLoader reader with the same network", {"": 3}, "DataLoader", "GPU"),
    Goal(
        "G20",
        "float search queries/s over the bare FAISS call on the same index",
        {"CPU": 0.97, "GPU": 0.97},
        "faiss",
        "both",
        record="search/recall.json",
    ),
    Goal("G21", "recall@10 after re-rank at equal bytes, RaBitQ route over OPQ+PQ", {"": 1}, "faiss", "CPU"),
    Goal(
        "G23",
        "1e9 vectors searchable on one H200 (<= 112 B each, built in <= 10 min): recall@10",
        {"": 0.90},
        "faiss IVFPQ",
        "GPU",
    ),
    Goal("G24", "1e9 x 96-bit codes on 24 GiB, exact top-10 of a batch of 32: runs", {"": 1}, "-", "CPU"),
    Goal(
        "G27",
        "near-duplicate self-join of 1e5-1e6 codes over imagededup's find_duplicates",
        {"": 100},
        "imagededup",
        "CPU",
    ),
    Goal("G28", "delete 100 of 1e6 over FAISS's remove_ids", {"": 100}, "faiss", "CPU"),
    Goal(
        "S1",
        "CPU time of one query over 1e6 x 512 float16",
        {
            "cosine over FAISS's float16 scan": 1.2,
            "l2 over FAISS's float16 scan": 1.2,
            "cosine over IndexFlatIP": 0.4,
            "js over our own cosine": 3,
        },
        "faiss",
        "CPU",
        at_most=True,
    ),
    Goal(
        "S2",
        "milliseconds of one query of a library, warm, default threads, median",
        {
            f"{rows} rows{how}{busy}": most
            for rows, most in (("330", 2), ("10,000", 4))
            for how in ("", ", by index", ", Hamming")
            for busy in ("", ", both cores busy")
        },
        "-",
        "CPU",
        at_most=True,
    ),
    Goal(
        "S3",
        "300,000 codes of 96 bits asked one at a time",
        {
            "queries until a compiled pass": 20,
            "milliseconds of a query after it": 0.5,
            "passes that a second process compiles": 0,
        },
        "own",
        "CPU",
        at_most=True,
    ),
    Goal(
        "S4",
        "20 queries near 10,000 equal rows among 20,000 x 512 float16, over the time without them",
        {"js": 1.5, "cosine": 1.5},
        "own",
        "CPU",
        at_most=True,
    ),
    Goal(
        "S5",
        "`index --rows` of 200,000 rows of 512 values into a new library, from the start of Python",
        {"microseconds a row": 16.7, "MiB resident": 600, "bytes written over the library's": 1.3},
        "-",
        "CPU",
        at_most=True,
    ),
    Goal(
        "S6",
        "CPU seconds of a command on 50,000 items, all its processes",
        {"query of one image": 1.6, "index, nothing changed": 0.6},
        "`import torch`",
        "CPU",
        at_most=True,
    ),
)


def goal(number: str) -> Goal:
    """Return the goal of that number.

    Raises:
        InputError: There is none.

    Example:
        >>> goal("G18").targets
        {'CPU': 0.9, 'GPU': 0.9}
    """
    for each in GOALS:
        if each.number == number:
            return each
    raise InputError(f"no goal {number!r}; there are {', '.join(each.number for each in GOALS)}")


def judge(number: str, value: float, *, part: str = "", note: str = "") -> Measured:
    """Return a figure beside its target.

    Raises:
        InputError: No goal has that number, or it has no such part.

    Example:
        >>> judge("G18", 0.95, part="CPU").met, judge("S4", 1.6, part="js").met
        (True, False)
    """
    wanted = goal(number)
    if part not in wanted.targets:
        raise InputError(f"{number} has no part {part!r}; its parts are {list(wanted.targets)}")
    target = wanted.targets[part]
    return Measured(number, part, round(float(value), 4), target, wanted.reached(value, target), note)
