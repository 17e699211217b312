"""What the channels of a library say of a match, and what that is worth together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from simsearch.spatial.overlap import Overlap


@dataclass(frozen=True, slots=True)
class Testimony:
    """What one channel says of a match.

    Attributes:
        channel: Its name.
        metric: How it compares.
        value: The distance, or by `places` on how many places keypoints agree.
        expected_false_matches: Chance matches in this library for which it would speak as strongly, by it alone; None
            where its rates are not known.
        view: Of the query, in which it is strongest; None where it knows none.
    """

    channel: str
    metric: str
    value: float
    expected_false_matches: float | None
    view: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What all channels say of a match.

    Attributes:
        witnesses: Each channel, in the library's order.
        overlap: What query and item have in common, where keypoints say so.
        disagree: Whether one is sure of a match and another, that has something to say of both pictures as a whole,
            sees strangers. Pictures that were made to collide look so.
    """

    witnesses: tuple[Testimony, ...]
    overlap: Overlap | None
    disagree: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it in the form of `query --json`."""
        seen, common = self.overlap, None
        if seen is not None:
            common = {
                "in_query": np.round(seen.in_query, 1).tolist(),
                "in_item": np.round(seen.in_item, 1).tolist(),
                "of_query": round(seen.of_query, 3),
                "of_item": round(seen.of_item, 3),
                "edits": list(seen.edits),
            }
        return {
            "witnesses": [asdict(one) for one in self.witnesses],
            "overlap": common,
            "channels_disagree": self.disagree,
        }
