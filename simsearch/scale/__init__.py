"""More than one machine: embedding on a cluster, object storage, a library in shards, the planner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.scale.objects.fetch import FetchingRunner as FetchingRunner
    from simsearch.scale.objects.find import find_objects as find_objects

attach(
    __name__,
    {
        "FetchingRunner": "objects.fetch",
        "find_objects": "objects.find",
    },
)
