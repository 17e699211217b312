"""What the paper's benchmark gives for one extractor and one metric."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval, source images drawn again."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Attack:
    """One edit apart: areas over its own positives and negatives, shares at the pooled threshold."""

    name: str
    family: str
    auc: float
    auc_right_image: float
    recall: float
    recall_right_image: float
    right_image_first: float


@dataclass(frozen=True, slots=True)
class Stranger:
    """A photograph outside the database whose copy came closest to one inside: often a look-alike."""

    name: str
    edit: str
    nearest: str
    distance: float


@dataclass(frozen=True, slots=True)
class PaperResult:
    """What one extractor reached by one metric.

    Attributes:
        extractor: Its name.
        fingerprint: Its identity.
        metric: The distance used.
        seed: Of the protocol.
        database: Photographs that could be found.
        attacked: Photographs edited in each half.
        edits: Edits of each.
        auc: Exact area when any match counts.
        auc_right_image: Exact area when only the right image counts for positives.
        auc_on_grid: The paper's trapezoid over 20 thresholds, not anchored.
        grid: First and last of these thresholds: the paper's where it used this extractor, else all distances.
        fpr: The false-positive rate asked for.
        measured_fpr: The one reached at the threshold.
        threshold: The loosest that stays within `fpr`.
        recall: At that threshold, when any match counts.
        recall_right_image: At that threshold, when only the right image counts.
        supported: Whether there are enough source images to speak of so small a rate.
        right_image_first: Share of positives whose nearest row is the right image.
        attacks: Every edit apart.
        closest_strangers: The photographs of the control half that came closest, each once.
    """

    extractor: str
    fingerprint: str
    metric: str
    seed: int
    database: int
    attacked: int
    edits: int
    auc: Estimate
    auc_right_image: Estimate
    auc_on_grid: float
    grid: tuple[float, float]
    fpr: float
    measured_fpr: float
    threshold: float
    recall: Estimate
    recall_right_image: Estimate
    supported: bool
    right_image_first: Estimate
    attacks: tuple[Attack, ...]
    closest_strangers: tuple[Stranger, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dictionaries and numbers, for JSON."""
        return asdict(self)
