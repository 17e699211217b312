"""Back-off on out-of-memory: it slows a job, never ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray


class Halving:
    """A function run over a batch in pieces; on out-of-memory the piece halves and the same rows run again.

    The size that worked is kept for the next batch, so the price is paid once.

    Attributes:
        size: Rows in a piece; None while no batch has failed.
    """

    def __init__(self, is_out_of_memory: Callable[[Exception], bool], release: Callable[[], None]) -> None:
        self.size: int | None = None
        self._is_out_of_memory = is_out_of_memory
        self._release = release

    def run(self, function: Callable[[NDArray[Any]], NDArray[Any]], batch: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the results of the pieces, in order.

        Raises:
            Exception: Whatever `function` raises, out-of-memory included when a single row does not fit.
        """
        results: list[NDArray[Any]] = []
        at = 0
        while at < len(batch):
            size = min(self.size or len(batch), len(batch) - at)
            try:
                results.append(function(batch[at : at + size]))
                at += size
            except Exception as error:
                if size == 1 or not self._is_out_of_memory(error):
                    raise
                self.size = size // 2
            else:
                continue
            self._release()  # after the except block, so that the traceback no longer holds the tensors
        return results
