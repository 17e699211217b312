"""The answers of several libraries as one, with what became of each library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.library.read.matches import Matches

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ShardState:
    """What became of a shard in a search.

    Attributes:
        shard: Its number, from 0.
        name: Its folder or URL.
        items: Items that it held when it last answered; None where it never did.
        problem: Why it is not part of the answer; None where it is.
        late: Whether it had not answered in time.
    """

    shard: int
    name: str
    items: int | None
    problem: str | None = None
    late: bool = False

    @property
    def ok(self) -> bool:
        """Whether it is part of the answer."""
        return self.problem is None


@dataclass(frozen=True, slots=True)
class GatheredRates:
    """The rates of strangers that the shards judged by, as the first of them tells.

    Attributes:
        origin: Whose pairs were counted.
        what: Of which pictures, in words.
        images: How many the pairs are of.
        pairs: Of strangers.
        stale: Whether a shard has grown twofold since its own were counted.
    """

    origin: str
    what: str
    images: int
    pairs: int
    stale: bool

    def is_stale(self, items: int) -> bool:  # noqa: ARG002 - each shard goes by its own number
        """Return whether a shard has grown twofold since its rates were counted."""
        return self.stale


@dataclass(frozen=True, slots=True)
class ShardMatches(Matches):
    """The answers of a search of several libraries; a match is an item of the library that its `shard` numbers.

    `library_size` is the number of items of all shards as far as that is known, also of those that did not answer.
    Where one did not, no answer is `certified`.

    Attributes:
        shards: What became of each, in order.
    """

    shards: tuple[ShardState, ...] = ()

    def __repr__(self) -> str:
        told = [f"  shard {one.shard}, {one.name}, did not answer: {one.problem}" for one in self.missing]
        return "\n".join([Matches.__repr__(self), *told])

    @property
    def shards_ok(self) -> int:
        """How many shards are part of the answer."""
        return sum(one.ok for one in self.shards)

    @property
    def missing(self) -> tuple[ShardState, ...]:
        """The shards that are not."""
        return tuple(one for one in self.shards if not one.ok)

    @property
    def shard_numbers(self) -> NDArray[np.int64]:
        """The shards of the matches, (q, k) int64, -1 where there are fewer; with `ids` they name the items."""
        numbers = np.full((len(self), self.k), -1, np.int64)
        for i, query in enumerate(self):
            numbers[i, : len(query.matches)] = [-1 if one.shard is None else one.shard for one in query.matches]
        return numbers

    def to_list(self) -> list[dict[str, Any]]:
        """Return one dict a query, as `Matches.to_list`, with `shards`: how many answered, of how many, which not."""
        told = {"ok": self.shards_ok, "of": len(self.shards), "missing": [asdict(one) for one in self.missing]}
        return [{**one, "shards": told} for one in Matches.to_list(self)]

    def to_arrow(self) -> pa.Table:
        """Return the table of `Matches.to_arrow` with a further column, `shard`."""
        import pyarrow as pa

        found: list[int | None] = []
        for answer in self:
            found += [match.shard for match in answer.matches] or [None]
        return Matches.to_arrow(self).append_column("shard", pa.array(found, pa.int32()))


def sizes_of(states: Sequence[ShardState]) -> int:
    """Return the number of items of all shards, as far as it is known."""
    return sum(state.items or 0 for state in states)
