"""The rows of photographs and their copies on disk, one file for each photograph and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from simsearch.benchmark.edit_set import Edits
from simsearch.benchmark.gallery import Picture
from simsearch.benchmark.store import Arrays, Store, digest
from simsearch.errors import SimsearchError

_ROWS = "rows"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Stored rows of one set of edits.

    Attributes:
        store: Finished parts.
        edits: All edits of the run.
    """

    store: Store
    edits: Edits

    def stored(self, method: str, picture: Picture) -> Arrays:
        """By copy id the rows (p, d) that one method, told by its key, has of a photograph."""
        return self.store.read(_ROWS, self._key(method, picture)) or {}

    def rows(self, method: str, picture: Picture, copies: Sequence[str]) -> list[NDArray[Any]]:
        """The rows (p, d) of these copies.

        Raises:
            SimsearchError: They are not stored, or were damaged since.
        """
        stored = self.stored(method, picture)
        if lacking := [copy for copy in copies if copy not in stored]:
            raise SimsearchError(f"rows of {picture.name}, {lacking[0]}, are gone from the cache; run it again")
        return [stored[copy] for copy in copies]

    def add(self, method: str, picture: Picture, rows: Mapping[str, NDArray[Any]]) -> None:
        """Write rows beside those that are stored already."""
        self.store.write(_ROWS, self._key(method, picture), {**self.stored(method, picture), **rows})

    def _key(self, method: str, picture: Picture) -> str:
        return digest(method, picture.sha256, self.edits.seed, self.edits.stamp)
