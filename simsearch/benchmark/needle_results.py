"""The needle protocol in `results.json`: recall at a number of expected false matches in a library of N.

NeedleResults
├── sources                     photographs and queries by source
├── limits                      the libraries and numbers of expected false matches; lists below run along them
├── groups, edits               what was done to the copies
├── methods                     one a method and metric
│   ├── thresholds              with the stranger pairs behind each, and whether they support it
│   ├── groups, edits           recall of the mean over a group's edits, and of every edit
│   ├── curve                   recall of each group against the size of the library
│   ├── strata                  the rate across each two sources, among look-alikes, textures, edited queries
│   ├── held_out                a threshold set without a source, tested on that source
│   ├── nearest                 the nearest pairs of strangers, to be looked at
│   └── distractors             how many of a large set come within each threshold
└── differences                 every method against the first, on the same draws
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simsearch.decide.intervals import Estimate as Estimate  # noqa: PLC0414 - part of the schema

Support = Literal["supported", "beyond_calibration", "unsupported"]
StratumKind = Literal["across", "sources", "look_alikes", "textures", "edited"]


@dataclass(frozen=True, slots=True)
class NeedleLimit:
    """One limit: a library of so many strangers, and the expected false matches of a query."""

    library: float
    expected: float

    @property
    def rate(self) -> float:
        """The share of pairs of strangers that may lie within the threshold."""
        return self.expected / self.library


@dataclass(frozen=True, slots=True)
class NeedleSource:
    """One source of photographs.

    Attributes:
        name: A folder, the beginning of a tar member's name, or as a CSV says.
        photographs: How many are strangers to the other sources.
        queries: How many of them were edited and searched.
        textures: Whether they are textures, whose pairs are counted separately.
    """

    name: str
    photographs: int
    queries: int
    textures: bool


@dataclass(frozen=True, slots=True)
class NeedleThreshold:
    """The distance of one limit.

    Attributes:
        threshold: The largest distance within the rate, with its interval; null where not one pair is allowed.
        pairs: Stranger pairs within it.
        images: Different images in these.
        support: Whether 50 pairs of 50 images support the rate; `beyond_calibration` up to a decade further.
    """

    threshold: Estimate | None
    pairs: int
    images: int
    support: Support


@dataclass(frozen=True, slots=True)
class NeedleGroup:
    """The mean recall over the edits of a group, along the limits; null where there is no threshold."""

    name: str
    edits: int
    recall: tuple[Estimate | None, ...]


@dataclass(frozen=True, slots=True)
class NeedleEdit:
    """The recall of one edit, along the limits."""

    name: str
    family: str
    recall: tuple[Estimate | None, ...]


@dataclass(frozen=True, slots=True)
class NeedleCurve:
    """Recall of one group's mean at one expected false match, against the size of the library."""

    group: str
    library: tuple[float, ...]
    recall: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class NeedleStratum:
    """Pairs of one kind.

    Attributes:
        kind: `across` all sources, two `sources`, `look_alikes` within one, `textures` and what they are paired with,
            or `edited` copies against strangers.
        name: The sources; empty for all.
        pairs: How many there are.
        within: How many lie within each threshold, along the limits; null where there is none.
    """

    kind: StratumKind
    name: str
    pairs: int
    within: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class NeedleHeldOut:
    """A threshold set on all sources but one, used on that one; see `decide.held_out`."""

    source: str
    library: float
    expected: float
    threshold: float | None
    pairs: int
    predicted: float
    observed: int
    ratio_low: float
    ratio_high: float
    support: Support


@dataclass(frozen=True, slots=True)
class NeedlePair:
    """Two strangers at a small distance."""

    one: str
    other: str
    distance: float


@dataclass(frozen=True, slots=True)
class NeedleDistractors:
    """Many images of one source, as a stress test and not as a rate.

    Attributes:
        name: Their folder or file.
        count: How many.
        queries: Photographs that were compared with each.
        predicted: Pairs expected within each threshold, along the limits.
        observed: Pairs there.
        queries_hit: Photographs with at least one.
        nearest: Pairs to be looked at: are they copies?
    """

    name: str
    count: int
    queries: int
    predicted: tuple[float | None, ...]
    observed: tuple[int | None, ...]
    queries_hit: tuple[int | None, ...]
    nearest: tuple[NeedlePair, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """Figures of one method by one metric."""

    method: str
    metric: str

    @property
    def key(self) -> tuple[str, str]:
        """Method and metric, the key."""
        return self.method, self.metric


@dataclass(frozen=True, slots=True)
class NeedleMethod(Scored):
    """One method by one metric; lists run along the limits.

    Attributes:
        supported_library: The largest library of which one expected false match is supported; 0 where none is.
        thresholds: The distance of each limit.
        groups, edits: Recall.
        curve: Recall against the size of the library, one a group.
        strata: Pairs by kind.
        held_out: Predicted against observed.
        nearest: The nearest pairs of strangers.
        distractors: One a set.
    """

    supported_library: float
    thresholds: tuple[NeedleThreshold, ...]
    groups: tuple[NeedleGroup, ...]
    edits: tuple[NeedleEdit, ...]
    curve: tuple[NeedleCurve, ...]
    strata: tuple[NeedleStratum, ...]
    held_out: tuple[NeedleHeldOut, ...]
    nearest: tuple[NeedlePair, ...]
    distractors: tuple[NeedleDistractors, ...] = ()


@dataclass(frozen=True, slots=True)
class NeedleDifference:
    """The change of a group's mean recall from one method to another, along the limits, on the same draws."""

    before: tuple[str, str]
    after: tuple[str, str]
    group: str
    change: tuple[Estimate | None, ...]


@dataclass(frozen=True, slots=True)
class NeedleResults:
    """The needle protocol of one run; see the head of this module.

    Attributes:
        sources: By name.
        pairs: Of strangers across sources, without textures and known copies.
        known_copies: Pairs that were taken out.
        limits: Libraries and expected false matches.
        group_edits: By group the names of its edits.
        methods: In the order of the settings.
        differences: Each method against the first.
    """

    sources: tuple[NeedleSource, ...]
    pairs: int
    known_copies: int
    limits: tuple[NeedleLimit, ...]
    group_edits: dict[str, tuple[str, ...]]
    methods: tuple[NeedleMethod, ...]
    differences: tuple[NeedleDifference, ...] = ()

    @property
    def main(self) -> tuple[int, ...]:
        """The limits of the main number of expected false matches, by the size of the library."""
        asked = [i for i, limit in enumerate(self.limits) if limit.expected == self.limits[0].expected]
        return tuple(sorted(asked, key=lambda i: self.limits[i].library))

    @property
    def middle(self) -> int:
        """The one of these at which single edits are reported."""
        return self.main[len(self.main) // 2]
