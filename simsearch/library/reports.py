"""Counts and progress of `add`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simsearch.images.source import Rejected


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
class ReembedReport:
    """The outcome of giving a library a further channel.

    Attributes:
        channel: Its name; None where it is not yet one of the library's.
        items: Items of the library.
        embedded: Images that this call embedded; what earlier ones did is not done again.
        missing: Why items have no row, by path, `id:N` for one without; while there is one, the channel is not
            switched in.
        agreement: Share of common items among the 10 nearest by the searched channel and by this one; None where that
            is the same, or no item has another.
        sampled: Of how many items that is the mean.
    """

    channel: str | None
    items: int
    embedded: int = 0
    missing: Mapping[bytes, Rejected] = field(default_factory=dict)
    agreement: float | None = None
    sampled: int = 0


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
