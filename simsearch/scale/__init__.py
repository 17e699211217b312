"""More than one machine: embedding on a cluster, object storage, shards, indexes in pieces, the planner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.scale.objects.fetch import FetchingRunner as FetchingRunner
    from simsearch.scale.objects.find import find_objects as find_objects
    from simsearch.scale.pieces.merge import merge as merge
    from simsearch.scale.pieces.merge import open_merged as open_merged
    from simsearch.scale.pieces.piece import Piece as Piece
    from simsearch.scale.pieces.piece import build_piece as build_piece
    from simsearch.scale.pieces.piece import pieces_of as pieces_of
    from simsearch.scale.pieces.training import Training as Training
    from simsearch.scale.pieces.training import train as train
    from simsearch.scale.pieces.training import training_in as training_in
    from simsearch.scale.planner.figures import Figure as Figure
    from simsearch.scale.planner.models import rows_of as rows_of
    from simsearch.scale.planner.plan import Plan as Plan
    from simsearch.scale.planner.plan import Problem as Problem
    from simsearch.scale.planner.remedies import plan as plan
    from simsearch.scale.planner.request import Machine as Machine
    from simsearch.scale.planner.request import PlanRequest as PlanRequest
    from simsearch.scale.planner.request import Rows as Rows
    from simsearch.scale.sharded.matches import ShardMatches as ShardMatches
    from simsearch.scale.sharded.matches import ShardState as ShardState
    from simsearch.scale.sharded.shards import Shards as Shards

attach(
    __name__,
    {
        "FetchingRunner": "objects.fetch",
        "Figure": "planner.figures",
        "Machine": "planner.request",
        "Piece": "pieces.piece",
        "Plan": "planner.plan",
        "PlanRequest": "planner.request",
        "Problem": "planner.plan",
        "Rows": "planner.request",
        "ShardMatches": "sharded.matches",
        "ShardState": "sharded.matches",
        "Shards": "sharded.shards",
        "Training": "pieces.training",
        "build_piece": "pieces.piece",
        "find_objects": "objects.find",
        "merge": "pieces.merge",
        "open_merged": "pieces.merge",
        "pieces_of": "pieces.piece",
        "plan": "planner.remedies",
        "rows_of": "planner.models",
        "train": "pieces.training",
        "training_in": "pieces.training",
    },
)
