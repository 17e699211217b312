"""A figure of a plan, with the arithmetic behind it and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simsearch.scale.planner.sizes import duration, size

How = Literal["computed", "measured", "extrapolated", "published"]
"""Follows from sizes alone; was measured at this very size; follows from a measurement at another size or on another
machine; or from what others say of hardware that nothing of ours has run on."""
Unit = Literal["bytes", "seconds", "a second", ""]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a plan.

    Attributes:
        name: What it is of.
        value: The figure.
        unit: Bytes, seconds, things a second, or none.
        how: How it is known.
        arithmetic: Where it comes from.
        sources: Records of `results/` that it rests on.
    """

    name: str
    value: float
    unit: Unit
    how: How
    arithmetic: str
    sources: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The value with its unit."""
        if self.unit == "bytes":
            return size(self.value)
        if self.unit == "seconds":
            return duration(self.value)
        short = f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.3g}"
        return f"{short} {self.unit}".strip()
