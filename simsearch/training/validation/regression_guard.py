"""Before and after: the recall of every family of edits at an equal false-positive rate, with paired intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide import recall_at_fpr, supported
from simsearch.errors import GuardRefused
from simsearch.images.perturb import Perturbation
from simsearch.training.validation.evaluation import Scores

ALL = "all"
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class FamilyChange:
    """The change of one family of edits by training.

    Attributes:
        family: Its name.
        edits: How many edits of it were tried.
        trained: Whether training showed it.
        before: Recall of the right image before.
        after: Recall after.
        low: Lower end of the 95 % interval of the difference, over source images.
        high: Its upper end.
        fell: Whether it fell by more than the margin.
    """

    family: str
    edits: int
    trained: bool
    before: float
    after: float
    low: float
    high: float
    fell: bool

    @property
    def difference(self) -> float:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class GuardTable:
    """The table of all families' changes.

    Attributes:
        families: Each family, in the order of the edits.
        overall: All edits together.
        fpr: The false-positive rate at which all recalls stand, for all strangers' edits together.
        images: Source images in the library.
        strangers: Source images that are not.
        margin: Greatest fall allowed.
        supported: Whether so few strangers can say anything about this rate.
    """

    families: tuple[FamilyChange, ...]
    overall: FamilyChange
    fpr: float
    images: int
    strangers: int
    margin: float
    supported: bool

    @property
    def fallen(self) -> tuple[FamilyChange, ...]:
        """Families that fell by more than the margin."""
        return tuple(change for change in self.families if change.fell)

    @property
    def held_out(self) -> tuple[str, ...]:
        """Families that training did not show."""
        return tuple(change.family for change in self.families if not change.trained)

    def require(self) -> None:
        """Require that no family fell.

        Raises:
            GuardRefused: A family fell by more than the margin; each is named.
        """
        if self.fallen:
            fallen = ", ".join(f"{change.family} {change.before:.3f} to {change.after:.3f}" for change in self.fallen)
            raise GuardRefused(
                f"recall fell by more than {self.margin:g}: {fallen}; the model was not exported. Train these edits "
                "too, with a lower rate or fewer steps, raise guard.margin, or export all the same with --force",
                self,
            )

    def as_json(self) -> dict[str, Any]:
        """Return the table as JSON types."""
        values = asdict(self)
        for change, row in zip((*self.families, self.overall), (*values["families"], values["overall"]), strict=True):
            row["difference"] = round(change.difference, 6)
        return {**values, "held_out": list(self.held_out), "passed": not self.fallen}

    def lines(self) -> list[tuple[str, ...]]:
        """Return the table as rows of text, its head first."""
        head = ("family", "edits", "trained", "before", "after", "change", "95 % interval", "")
        return [head, *(_line(change) for change in (*self.families, self.overall))]


def compare(
    before: Scores,
    after: Scores,
    edits: tuple[Perturbation, ...],
    *,
    trained: frozenset[str],
    fpr: float,
    margin: float,
    draws: int,
    seed: int = 0,
) -> GuardTable:
    """Return the change of every family of edits by training.

    Both models are held to the same false-positive rate on the same strangers, each by its own threshold. Intervals
    are of the difference when whole source images, own and strange, are drawn again for both models alike.

    Args:
        before: Distances of the model that training began with.
        after: Of the trained model, for the same pictures and edits.
        edits: In the order of the distances' columns.
        trained: Families that training showed.
        fpr: The false-positive rate.
        margin: Greatest fall of a family's recall.
        draws: Of the bootstrap.
        seed: Of the draws.

    Reference: Field & Welsh, "Bootstrapping clustered data", 2007.
    """
    families = list(dict.fromkeys(edit.family for edit in edits))
    columns = [[i for i, edit in enumerate(edits) if edit.family == family] for family in families]
    columns.append(list(range(len(edits))))
    rng = np.random.default_rng(seed)
    n, m = len(before.right), len(before.strangers)
    drawn = [(rng.integers(0, n, n), rng.integers(0, m, m)) for _ in range(draws)]
    values = _recalls(after, columns, fpr, drawn) - _recalls(before, columns, fpr, drawn)
    tail = (1 - _CONFIDENCE) / 2
    lows, highs = np.quantile(values, [tail, 1 - tail], axis=0)
    points = [_points(side, columns, fpr) for side in (before, after)]
    changes = [
        FamilyChange(
            name,
            len(own),
            trained=name in trained or (name == ALL and bool(trained)),
            before=old,
            after=new,
            low=float(low),
            high=float(high),
            fell=name != ALL and old - new > margin + 1e-9,
        )
        for name, own, old, new, low, high in zip([*families, ALL], columns, *points, lows, highs, strict=True)
    ]
    return GuardTable(tuple(changes[:-1]), changes[-1], fpr, n, m, margin, supported(fpr, m))


def _points(scores: Scores, columns: list[list[int]], fpr: float) -> list[float]:
    threshold = recall_at_fpr(scores.right, scores.strangers, fpr).threshold
    found = scores.right <= threshold
    return [float(found[:, own].mean()) for own in columns]


def _recalls(
    scores: Scores, columns: list[list[int]], fpr: float, drawn: list[tuple[NDArray[Any], NDArray[Any]]]
) -> NDArray[np.float64]:
    """Return the recall of each group of edits (draws, groups) when these sources are drawn."""
    flat = scores.strangers.ravel()
    order = np.argsort(flat, kind="stable")
    nearest, owner = flat[order], order // scores.strangers.shape[1]
    allowed = np.floor(round(fpr * flat.size, 9))
    out = np.empty((len(drawn), len(columns)))
    for k, (own, strange) in enumerate(drawn):
        times = np.bincount(strange, minlength=len(scores.strangers))
        beyond = np.cumsum(times[owner]) > allowed
        bound = nearest[beyond.argmax()] if beyond.any() else np.inf
        found = scores.right < bound if np.isfinite(bound) else np.ones_like(scores.right, bool)
        weights = np.bincount(own, minlength=len(scores.right)) / len(own)
        shares = weights @ found
        out[k] = [shares[group].mean() for group in columns]
    return out


def _line(change: FamilyChange) -> tuple[str, ...]:
    return (
        change.family,
        str(change.edits),
        "yes" if change.trained else "no",
        f"{change.before:.3f}",
        f"{change.after:.3f}",
        f"{change.difference:+.3f}",
        f"{change.low:+.3f} to {change.high:+.3f}",
        "FELL" if change.fell else "",
    )
