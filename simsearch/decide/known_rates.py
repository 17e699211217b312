"""Rates of false matches that were counted on photographs of strangers and come with the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

from simsearch.decide.calibration import Calibration, Origin, has_grown
from simsearch.decide.rate_curve import JointRate, RateCurve
from simsearch.errors import InputError

_FILE = Path(__file__).with_name("rates.json")
_ALONE = Path(__file__).with_name("calibrations.json")
_OF_A_LIBRARY = ("origin", "images", "items", "left_out")


@dataclass(frozen=True, slots=True)
class KnownRates:
    """The rates of some witnesses, alone and together, by their fingerprints.

    Attributes:
        names: Of the models, by fingerprint.
        rate: Their curves, by fingerprint.
        pairs: Pairs of strangers that were counted.
        origin: Whose pairs.
        images: Queries that they are of; 0 where that is not known.
        items: Of the library when it was made; 0 where it was made without one.
        left_out: Pairs that look like copies, and were not counted.
    """

    names: Mapping[str, str]
    rate: JointRate
    pairs: int
    origin: Origin = "package"
    images: int = 0
    items: int = 0
    left_out: int = 0

    @property
    def what(self) -> str:
        """What was counted, in words."""
        whose = {"package": "photographs of other sources", "negatives": "strangers", "queries": "queries"}
        return f"{whose.get(self.origin, 'items')} by {' and '.join(self.names.values())} together"

    def is_stale(self, items: int) -> bool:
        """Return whether the library that it was made on has grown twofold since."""
        return has_grown(self.items, items)

    def to_dict(self) -> dict[str, Any]:
        """Return them as plain values, for a file."""
        alone = {key: {"model": self.names[key], **curve.to_dict()} for key, curve in self.rate.alone.items()}
        facts = {} if self.origin == "package" else {name: getattr(self, name) for name in _OF_A_LIBRARY}
        return {"pairs": self.pairs, **facts, "alone": alone, "joint": self.rate.joint.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> KnownRates:
        """Return what `to_dict` wrote.

        Raises:
            InputError: It is none.
        """
        try:
            names = {key: str(curve["model"]) for key, curve in values["alone"].items()}
            alone = {key: RateCurve.from_dict(curve) for key, curve in values["alone"].items()}
            joint, pairs = RateCurve.from_dict(values["joint"]), int(values["pairs"])
            facts = {name: values[name] for name in _OF_A_LIBRARY if name in values}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"it describes no rates of several channels: {error}") from error
        counts = [pairs, *(value for name, value in facts.items() if name != "origin")]
        if not all(isinstance(n, int) and 0 <= n < 1 << 62 for n in counts) or (
            facts.get("origin", "library") not in get_args(Origin)
        ):
            raise InputError("it describes no rates of several channels: a value is none that they have")
        return cls(names, JointRate(alone, joint), pairs, **facts)


@cache
def all_known() -> tuple[KnownRates, ...]:
    """Return the rates that come with the package."""
    return tuple(map(KnownRates.from_dict, json.loads(_FILE.read_text())["rates"]))


def known_rates(fingerprints: frozenset[str]) -> KnownRates | None:
    """Return the rates of as many of these models as are known together; None where none is known."""
    usable = (known for known in all_known() if known.names.keys() <= fingerprints)
    return max(usable, key=lambda known: len(known.names), default=None)


@cache
def known_calibrations() -> Mapping[tuple[str, str], Calibration]:
    """Return the calibrations that come with the package, by fingerprint and metric."""
    read = map(Calibration.from_dict, json.loads(_ALONE.read_text())["calibrations"])
    return {(one.fingerprint, one.metric): one for one in read}
