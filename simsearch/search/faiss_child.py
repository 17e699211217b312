"""FAISS in a process of its own, with the face of `FaissIndex`: what it loads or breaks does not touch this one.

torch and FAISS may want different CUDA libraries, and a fault in native code ends the process that it happens in. Here
that is the child: the caller gets a named error.
"""

from __future__ import annotations

import multiprocessing
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from simsearch.errors import IndexFailed, SimsearchError
from simsearch.search.faiss_codes import FaissCodes
from simsearch.search.faiss_index import FaissIndex, Features, Gpus, Positions
from simsearch.search.index_spec import IndexSpec

_WAIT_S = 10.0  # for a child that was told to end


class FaissChild:
    """An index that lives in a spawned process; calls from several threads are answered one after the other.

    Attributes:
        spec: What it is.
    """

    def __init__(self, spec: IndexSpec) -> None:
        self.spec = spec
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._child = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._child.start()
        theirs.close()
        self._lock = threading.Lock()

    @classmethod
    def train(cls, spec: IndexSpec, sample: Features, *, gpus: bool = False) -> FaissChild:
        """As `FaissIndex.train`."""
        return cls(spec)._begun("train", spec, sample, gpus)

    @classmethod
    def read(cls, path: Path, spec: IndexSpec, *, mapped: bool = False, gpus: bool = False) -> FaissChild:
        """As `FaissIndex.read`."""
        return cls(spec)._begun("read", path, spec, mapped, gpus)

    @property
    def count(self) -> int:
        """As `FaissIndex.count`."""
        return int(self._ask("count"))

    def add(self, features: Features) -> None:
        """As `FaissIndex.add`."""
        self._ask("add", features)

    def search(self, features: Features, kept: int, effort: int) -> Positions:
        """As `FaissIndex.search`."""
        found: Positions = self._ask("search", features, kept, effort)
        return found

    def efforts(self) -> tuple[int, ...]:
        """As `FaissIndex.efforts`."""
        return tuple(self._ask("efforts"))

    def write(self, path: Path) -> None:
        """As `FaissIndex.write`."""
        self._ask("write", path)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._pipe.close()
        self._child.join(_WAIT_S)
        if self._child.is_alive():
            self._child.kill()
            self._child.join()

    def _begun(self, *call: Any) -> FaissChild:
        try:
            self._ask(*call)
        except BaseException:
            self.close()
            raise
        return self

    def _ask(self, *call: Any) -> Any:
        """The answer of the child, or the error that it raised.

        Raises:
            IndexFailed: The child is gone.
        """
        with self._lock:
            try:
                self._pipe.send(call)
                good, answer = self._pipe.recv()
            except (EOFError, OSError) as error:
                self._child.join(_WAIT_S)
                status = self._child.exitcode
                raise IndexFailed(
                    f"the process that holds the index is gone (exit status {status}); open the library again"
                ) from error
        if not good:
            raise answer
        return answer


def _serve(pipe: Connection) -> None:
    """Answer calls until the other side closes."""
    from simsearch.search.index import engine_of

    index: FaissIndex | FaissCodes | None = None
    while True:
        try:
            verb, *arguments = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            if verb == "train":
                spec, sample, gpus = arguments
                index, answer = engine_of(spec).train(spec, sample, Gpus() if gpus else None), None
            elif verb == "read":
                path, spec, mapped, gpus = arguments
                index, answer = engine_of(spec).read(path, spec, mapped=mapped, devices=Gpus() if gpus else None), None
            elif verb == "count":
                answer = index.count  # type: ignore[union-attr]
            else:
                answer = getattr(index, verb)(*arguments)
            pipe.send((True, answer))
        except SimsearchError as error:
            pipe.send((False, error))
