"""Many machines and very many images: libraries searched as one, indexes built in shards, and the planner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.scale.sharded.matches import ShardMatches as ShardMatches
    from simsearch.scale.sharded.matches import ShardState as ShardState
    from simsearch.scale.sharded.shards import Shards as Shards

attach(
    __name__,
    {
        "ShardMatches": "sharded.matches",
        "ShardState": "sharded.matches",
        "Shards": "sharded.shards",
    },
)
