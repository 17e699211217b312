"""Keypoints (`POINT`): candidates by their codes, and a second look at these by the geometry that they agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.spatial.code_tables import CodeTables as CodeTables
    from simsearch.spatial.second_look import SecondLook as SecondLook
    from simsearch.spatial.second_look import look as look
    from simsearch.spatial.witness import POINT as POINT
    from simsearch.spatial.witness import query_witnesses as query_witnesses
    from simsearch.spatial.witness import witness as witness

attach(
    __name__,
    {
        "CodeTables": "code_tables",
        "POINT": "witness",
        "SecondLook": "second_look",
        "look": "second_look",
        "query_witnesses": "witness",
        "witness": "witness",
    },
)
