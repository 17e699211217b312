"""The schema of `results.json`, version 1: frozen values, from which alone tables, plots and the report are made.

Results
├── settings, provenance        of the run: flags and file; machine, versions, commit, command
├── photographs                 name, number, digest, rejected files; never an absolute path
├── methods                     one an extractor, those that could not run with the reason
├── needle                      recall at one expected false match in a library of N (needle_results.py)
├── paper                       one a method, metric and split: areas, recalls, curves, every attack
├── means                       one a method and metric: the same figures over all splits
├── sweeps                      hash length, keypoint count, cutoff, database size
├── transfer                    a threshold set on one set of photographs, used on another
├── perception, copy_detection, chains, templates      the other protocols
├── times                       milliseconds an image
└── examples                    closest strangers, false matches, missed copies, with thumbnails

Lower distances are closer; a query is detected when its distance is at most the threshold. JSON has no infinity: null
stands for a threshold or distance that is infinite. An `Estimate` is a number with its 95 % interval, source images
drawn again, and `supported: false` where the sources are too few. Schema 1 may gain keys, never lose them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pydantic

from simsearch.benchmark.needle_results import NeedleResults, Scored
from simsearch.decide.intervals import Estimate as Estimate  # noqa: PLC0414 - part of the schema
from simsearch.errors import InputError
from simsearch.extract.extractor import Kind
from simsearch.runtime.files import published

SCHEMA = 1
FILE = "results.json"

ExampleKind = Literal["closest_stranger", "false_match", "missed_copy"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several splits of the same photographs."""

    mean: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """A file that took no part: its name below the folder, the code and what was wrong."""

    name: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Photographs:
    """A set of photographs: the folder's last name, how many took part, SHA-256 over their sorted content hashes."""

    name: str
    count: int
    digest: str
    rejected: tuple[RejectedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """One extractor.

    Attributes:
        name: As it is written in `--models`; unique.
        label: What tables print.
        kind: Hash, keypoints, network, or a user's own class.
        metric: The distance that it recommends.
        metrics: Those that were scored, the recommended one first.
        fingerprint: Its identity; empty where it is missing.
        bits: Length of a hash or binary descriptor.
        dimension: Length of a float row.
        several: Whether an image has several rows; then `cutoff` of them must agree.
        cutoff: The cutoff-th smallest descriptor distance is the image's.
        runtime: Device, dtype, versions.
        missing: Why it could not run; null where it did.
        measured: Provenance, where it was taken over from another run.
    """

    name: str
    label: str
    kind: Kind
    metric: str = ""
    metrics: tuple[str, ...] = ()
    fingerprint: str = ""
    bits: int | None = None
    dimension: int | None = None
    several: bool = False
    cutoff: int = 1
    runtime: dict[str, str] = field(default_factory=dict, hash=False)
    missing: str | None = None
    measured: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Curve:
    """A ROC curve thinned to at most 200 operating points, strictest first; a null threshold is infinite."""

    thresholds: tuple[float | None, ...]
    fpr: tuple[float, ...]
    recall: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The figures of a method at the loosest threshold within a false-positive rate.

    Attributes:
        fpr: The requested rate.
        threshold: The loosest distance within it.
        measured_fpr: Share of stranger queries detected there.
        recall: Share of copies detected, any database image counting.
        recall_right_image: Share of copies whose own original is within the threshold.
    """

    fpr: float
    threshold: float | None
    measured_fpr: Estimate
    recall: Estimate
    recall_right_image: Estimate


@dataclass(frozen=True, slots=True)
class Attack:
    """One edit: areas over its own copies and strangers, recall at the threshold of the first operating point."""

    name: str
    family: str
    category: str
    auc: float
    auc_right_image: float
    auc_on_grid: float
    recall: Estimate
    recall_right_image: Estimate
    right_image_first: float


@dataclass(frozen=True, slots=True)
class Group:
    """Edits pooled: those of one category (`kind` "category"), or "text" and "no text" (`kind` "text").

    The paper's font cannot be shipped, so all that is compared with its figures is reported without text too.
    """

    name: str
    kind: Literal["category", "text"]
    edits: int
    auc: float
    auc_right_image: float
    auc_on_grid: float
    recall: Estimate
    recall_right_image: Estimate
    right_image_first: float


@dataclass(frozen=True, slots=True)
class PaperSplit(Scored):
    """The paper's protocol for one method, metric and split.

    Attributes:
        seed: Of the split.
        database: Photographs that can be found.
        attacked: Photographs edited in each half.
        edits: Edits of each.
        auc: Exact area, any match counting.
        auc_right_image: Exact area, only the right image counting for copies.
        auc_on_grid: The paper's trapezoid over 20 thresholds, not anchored.
        grid: First and last of these: the paper's own for its methods, else the range of all distances.
        grid_of_paper: Whether the grid is the paper's own.
        right_image_first: Share of copies whose nearest image is their own original.
        operating: Recall at each requested false-positive rate; the first is the run's main one.
        roc: Any match.
        roc_right_image: The right image only.
        attacks: Every edit apart, in the order of the settings.
        groups: Edits pooled by category and by text.
    """

    seed: int
    database: int
    attacked: int
    edits: int
    auc: Estimate
    auc_right_image: Estimate
    auc_on_grid: float
    grid: tuple[float, float]
    grid_of_paper: bool
    right_image_first: Estimate
    operating: tuple[OperatingPoint, ...]
    roc: Curve
    roc_right_image: Curve
    attacks: tuple[Attack, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class AttackMean:
    """One edit, or one group of edits, over all splits."""

    name: str
    family: str
    category: str
    auc: Spread
    auc_right_image: Spread
    auc_on_grid: Spread
    recall: Spread
    recall_right_image: Spread
    right_image_first: Spread


@dataclass(frozen=True, slots=True)
class RecallMean:
    """One operating point over all splits; unsupported if any split is."""

    fpr: float
    measured_fpr: Spread
    recall: Spread
    recall_right_image: Spread
    supported: bool


@dataclass(frozen=True, slots=True)
class PaperMean(Scored):
    """The paper's protocol for one method and metric over all splits; a network's distances stand side by side.

    `recall` and `recall_right_image` are those of the first operating point. In `groups`, `family` holds the kind of
    group (category or text) and `category` its name.
    """

    splits: int
    auc: Spread
    auc_right_image: Spread
    auc_on_grid: Spread
    grid_of_paper: bool
    right_image_first: Spread
    fpr: float
    recall: Spread
    recall_right_image: Spread
    supported: bool
    operating: tuple[RecallMean, ...]
    attacks: tuple[AttackMean, ...]
    groups: tuple[AttackMean, ...]


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One point of a sweep, over all splits.

    Attributes:
        sweep: Hash_length, keypoint_count, cutoff or database_size.
        family: What is swept, as `phash` or `sift`; for database_size the method's name.
        method: Name of the method at this point.
        metric: The distance used.
        value: The hash's bits, keypoints, cutoff or number of images in the database.
        auc, auc_right_image: Exact areas.
        auc_on_grid: On the paper's grid of this study (hash length: 30 thresholds from 0 to 0.8).
        fpr: The requested rate.
        recall, recall_right_image: At that rate.
        supported: Whether there are sources enough for that rate.
    """

    sweep: Literal["hash_length", "keypoint_count", "cutoff", "database_size"]
    family: str
    method: str
    metric: str
    value: int
    auc: Spread
    auc_right_image: Spread
    auc_on_grid: Spread
    fpr: float
    recall: Spread
    recall_right_image: Spread
    supported: bool

    @property
    def key(self) -> tuple[str, str]:
        """Method and metric."""
        return self.method, self.metric


@dataclass(frozen=True, slots=True)
class Transfer(Scored):
    """The paper's Table 2: a threshold that gives `fpr` on the main photographs, used on another set; first splits."""

    fpr: float
    threshold: float | None
    fpr_here: Estimate
    recall_here: Estimate
    fpr_there: Estimate
    recall_there: Estimate
    recall_right_image_there: Estimate


@dataclass(frozen=True, slots=True)
class PerceptionRow(Scored):
    """perception's table: all originals in the database, each copy against its own and the nearest other image.

    Attributes:
        category: The photographs' folder; "all" for all of them.
        transform: The edit; "all" for all of them.
        fpr: The requested rate: share of copies that another image comes within the threshold of.
        threshold: The loosest within it.
        measured_fpr: The rate there.
        recall: Share of copies whose own original is within the threshold.
        photographs: In this category.
    """

    category: str
    transform: str
    fpr: float
    threshold: float | None
    measured_fpr: Estimate
    recall: Estimate
    photographs: int


@dataclass(frozen=True, slots=True)
class CopyDetection(Scored):
    """Copies and strangers of the first split ranked together by the distance to their nearest image.

    Attributes:
        micro_average_precision: Of the pooled ranking; a prediction is right when the image is.
        recall_at_precision: The largest recall at which `precision` still holds.
        precision: The requested one, 0.9.
    """

    micro_average_precision: Estimate
    recall_at_precision: Estimate
    precision: float


@dataclass(frozen=True, slots=True)
class ChainPoint(Scored):
    """Recall after k mild edits, at the threshold that gives `fpr` on strangers so edited, all k pooled; one split."""

    k: int
    fpr: float
    threshold: float | None
    recall: Estimate
    recall_right_image: Estimate


@dataclass(frozen=True, slots=True)
class Templates(Scored):
    """Templates and their variants: half of the templates are the database, variants of the others are strangers.

    Intervals draw whole templates again.
    """

    name: str
    templates: int
    positives: int
    negatives: int
    auc: Estimate
    auc_right_image: Estimate
    auc_on_grid: float
    operating: tuple[OperatingPoint, ...]
    roc: Curve


@dataclass(frozen=True, slots=True)
class Time:
    """Milliseconds an image on one core (hashes, keypoints) or on the device (networks), with the middle half.

    Attributes:
        method: Its name.
        images: Measured.
        batch: Images handed over at once.
        ms: Median without decoding.
        ms_low, ms_high: First and third quartile.
        ms_with_decoding: Median with the file's decoding.
        device: "cpu", or the name of the GPU.
    """

    method: str
    images: int
    batch: int
    ms: float
    ms_low: float
    ms_high: float
    ms_with_decoding: float
    device: str


@dataclass(frozen=True, slots=True)
class Example:
    """An example pair.

    Attributes:
        kind: Closest_stranger, false_match (a stranger within the threshold) or missed_copy (an original beyond it).
        method, metric, seed: Of the distances; the seed of the split.
        query: The photograph that was edited, its name below the folder.
        edit: How.
        image: The database image shown beside it: the nearest; for a missed copy its own original.
        distance: Between the two; null where infinite.
        threshold: Of the first operating point.
        query_thumbnail, image_thumbnail: JPEG files, relative to the folder of results.json.
    """

    kind: ExampleKind
    method: str
    metric: str
    seed: int
    query: str
    edit: str
    image: str
    distance: float | None
    threshold: float | None
    query_thumbnail: str | None = None
    image_thumbnail: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Method and metric."""
        return self.method, self.metric


@dataclass(frozen=True, slots=True)
class Results:
    """One run of `simsearch benchmark`; see the head of this module.

    Attributes:
        settings: As read from YAML and flags, JSON types.
        photographs: The main set.
        needle: The needle protocol, where it was run.
        other_photographs: The set that thresholds were transferred to, and the templates' set.
        seconds: Wall-clock seconds by stage of this run; cached parts make them small.
        provenance: As `record.provenance`.
    """

    settings: dict[str, Any]
    photographs: Photographs
    methods: tuple[Method, ...]
    paper: tuple[PaperSplit, ...] = ()
    means: tuple[PaperMean, ...] = ()
    sweeps: tuple[SweepPoint, ...] = ()
    transfer: tuple[Transfer, ...] = ()
    perception: tuple[PerceptionRow, ...] = ()
    copy_detection: tuple[CopyDetection, ...] = ()
    chains: tuple[ChainPoint, ...] = ()
    templates: tuple[Templates, ...] = ()
    times: tuple[Time, ...] = ()
    examples: tuple[Example, ...] = ()
    needle: NeedleResults | None = None
    other_photographs: tuple[Photographs, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def to_json(self) -> str:
        """Return these results as JSON text."""
        return _RESULTS.dump_json(self, indent=1).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Results:
        """Parse the results of `to_json`; unknown keys are ignored.

        Raises:
            InputError: It is no JSON of schema 1.
        """
        try:
            results = _RESULTS.validate_json(text)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise InputError(f"no results of a benchmark: {where}: {first['msg']}; run simsearch benchmark") from error
        if results.schema != SCHEMA:
            raise InputError(f"results of schema {results.schema}; this version reads {SCHEMA}: run it again")
        return results


_RESULTS = pydantic.TypeAdapter(Results)


def write_results(results: Results, folder: Path) -> Path:
    """Write `results.json` into a folder, whole or not at all, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    with published(folder / FILE) as part:
        part.write_text(results.to_json(), encoding="utf-8")
    return folder / FILE


def read_results(folder: Path) -> Results:
    """Read the results in a folder.

    Raises:
        InputError: There are none, or they are damaged.
    """
    path = folder / FILE
    try:
        return Results.from_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; run it without --replot") from error


def finite(value: float) -> float | None:
    """Return the value, or None where it is infinite.

    Example:
        >>> finite(0.5), finite(float("inf"))
        (0.5, None)
    """
    return float(value) if math.isfinite(value) else None
