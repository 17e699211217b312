"""A cache of the rows of photographs and their copies, one file for each photograph and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from simsearch.benchmark.data.array_cache import ArrayCache, Arrays, digest
from simsearch.benchmark.data.edit_set import Edits
from simsearch.benchmark.data.photographs import Picture
from simsearch.errors import SimsearchError

_ROWS, _COPIES = "rows", "copies"


@dataclass(frozen=True, slots=True)
class RowCache:
    """The stored rows of one set of edits.

    Attributes:
        store: The array cache.
        edits: All edits of the run.
        keeps_copies: Whether edited copies are stored too, some 10 MB a photograph and 100 edits, for later methods.
    """

    store: ArrayCache
    edits: Edits
    keeps_copies: bool = False

    def stored(self, method: str, picture: Picture) -> Arrays:
        """Return, by copy id, the rows (p, d) of a photograph by the method of that key."""
        return self.store.read(_ROWS, self._key(method, picture=picture)) or {}

    def rows(self, method: str, picture: Picture, copies: Sequence[str]) -> list[NDArray[Any]]:
        """Return the rows (p, d) of these copies.

        Raises:
            SimsearchError: They are not stored, or were damaged since.
        """
        stored = self.stored(method, picture)
        if lacking := [copy for copy in copies if copy not in stored]:
            raise SimsearchError(f"rows of {picture.name}, {lacking[0]}, are gone from the cache; run it again")
        return [stored[copy] for copy in copies]

    def add(self, method: str, picture: Picture, rows: Mapping[str, NDArray[Any]]) -> None:
        """Write rows beside those that are stored already."""
        self.store.write(_ROWS, self._key(method, picture=picture), {**self.stored(method, picture), **rows})

    def kept_copies(self, picture: Picture, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return, by copy id, the pixels (h, w, 3) of the stored ones among these copies."""
        if not self.keeps_copies:
            return {}
        return self.store.read(_COPIES, self._key(*names, picture=picture)) or {}

    def keep_copies(self, picture: Picture, copies: Mapping[str, NDArray[Any]]) -> None:
        """Store these copies, if copies are stored at all."""
        if self.keeps_copies:
            self.store.write(_COPIES, self._key(*copies, picture=picture), copies)

    def _key(self, *names: str, picture: Picture) -> str:
        return digest(*names, picture.sha256, self.edits.seed, self.edits.stamp)
