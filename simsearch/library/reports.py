"""Settings, counts and progress of `add`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simsearch.errors import InputError
from simsearch.images.source import Limits, Rejected


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


@dataclass(frozen=True, slots=True)
class AddReport:
    """The outcomes of every input of one call; `pruned` counts items that were no input.

    `first_only` counts files with further pages or frames, which are left out.
    `codes` splits `rejected` by reject code and `first_rejected` holds a few of them as examples;
    `skipped_by_kind` splits `skipped`, files beside the images. `same_file` counts inputs that are a further link or
    hard link to a file of the same call, `copies_of_gone` the exact copies whose originals are no longer there.

    Example:
        >>> AddReport(added=2, rejected=1).inputs
        3
    """

    added: int = 0
    unchanged: int = 0
    exact_copies: int = 0
    replaced: int = 0
    rejected: int = 0
    pruned: int = 0
    first_only: int = 0
    codes: Mapping[str, int] = field(default_factory=dict, compare=False)
    first_rejected: tuple[Rejected, ...] = field(default=(), compare=False)
    skipped: int = 0
    skipped_by_kind: Mapping[str, int] = field(default_factory=dict, compare=False)
    same_file: int = field(default=0, compare=False)
    copies_of_gone: int = field(default=0, compare=False)

    @property
    def inputs(self) -> int:
        """The number of inputs, each counted once."""
        return self.added + self.unchanged + self.exact_copies + self.replaced + self.rejected + self.skipped


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a call.

    Attributes:
        done: Inputs whose outcome is known.
        report: The counts so far.
        committed: Of `done`, those that a crash can no longer undo.
    """

    done: int
    report: AddReport
    committed: int = 0
