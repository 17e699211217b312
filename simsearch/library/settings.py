"""The settings of `add`, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from simsearch.errors import InputError
from simsearch.images.source import Limits


@dataclass(frozen=True, slots=True)
class AddSettings:
    """The settings of reading and committing inputs.

    Attributes:
        batch_size: Images embedded at once.
        workers: Decoding processes; 0 is one that stays warm, None for the default.
        limits: Bounds on the cost of one image.
        commit_every: Images after which a segment is committed; rows without images come in segments of full size.
        commit_seconds: Seconds after which a smaller one is committed.
    """

    batch_size: int = 64
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    commit_every: int = 4096
    commit_seconds: float = 10.0

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.commit_every < 1:
            raise InputError(f"batch_size {self.batch_size} and commit_every {self.commit_every} must be at least 1")
