"""Rates of false matches that were counted on photographs of strangers and come with the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from simsearch.decide.calibration import Calibration
from simsearch.decide.rate_curve import JointRate, RateCurve

_FILE = Path(__file__).with_name("rates.json")
_ALONE = Path(__file__).with_name("calibrations.json")


@dataclass(frozen=True, slots=True)
class KnownRates:
    """The rates of some witnesses, alone and together, by their fingerprints.

    Attributes:
        names: Of the models, by fingerprint.
        rate: Their curves, by fingerprint.
        pairs: Pairs of strangers that were counted.
    """

    names: Mapping[str, str]
    rate: JointRate
    pairs: int

    def to_dict(self) -> dict[str, Any]:
        """Return them as plain values, for a file."""
        alone = {key: {"model": self.names[key], **curve.to_dict()} for key, curve in self.rate.alone.items()}
        return {"pairs": self.pairs, "alone": alone, "joint": self.rate.joint.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> KnownRates:
        """Return what `to_dict` wrote."""
        names = {key: str(curve["model"]) for key, curve in values["alone"].items()}
        alone = {key: RateCurve.from_dict(curve) for key, curve in values["alone"].items()}
        return cls(names, JointRate(alone, RateCurve.from_dict(values["joint"])), int(values["pairs"]))


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
