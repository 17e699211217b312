"""FAISS in a child process, with the interface of `FaissIndex`: what it loads or breaks does not touch this one.

torch and FAISS may want different CUDA libraries, and a fault in native code ends the process that it happens in. Here
that is the child: the caller gets a named error. It is a fresh interpreter, which does not run the caller's `__main__`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from simsearch.errors import IndexFailed, SimsearchError
from simsearch.images.workers.process import importable
from simsearch.search.indexes.faiss_float import Features, Positions
from simsearch.search.indexes.gpu_limits import MOST, Gpus
from simsearch.search.indexes.spec import IndexSpec

_WAIT_S = 10.0  # for a child that was asked to end
_LAST_WORDS = 300  # characters of its last output


class FaissChild:
    """An index in a child process; calls from several threads are serialised.

    Attributes:
        spec: What it is.
        count: Rows in it.
    """

    def __init__(self, spec: IndexSpec, gpus: Gpus | None) -> None:
        self.spec = spec
        self.count = 0
        self._on_gpu = gpus is not None
        self._efforts: tuple[int, ...] = ()
        ours, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno())]
        pass_fds, environment = (theirs.fileno(),), os.environ | importable()
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            pass_fds=pass_fds,
            env=environment,
        )
        theirs.close()
        self._pipe = Connection(ours.detach())
        self._lock = threading.Lock()

    @classmethod
    def train(cls, spec: IndexSpec, sample: Features, gpus: Gpus | None, rows: int) -> FaissChild:
        """See `FaissIndex.train`, or `FaissGpu.train` where there are GPUs."""
        return cls(spec, gpus)._begun("train", spec, sample, gpus, rows)

    @classmethod
    def read(cls, path: Path, spec: IndexSpec, gpus: Gpus | None, *, mapped: bool = False) -> FaissChild:
        """See `FaissIndex.read`, or `FaissGpu.read` where there are GPUs."""
        return cls(spec, gpus)._begun("read", path, spec, gpus, mapped)

    @property
    def max_candidates(self) -> int:
        """As `FaissIndex.max_candidates`."""
        return min(self.count, MOST) if self._on_gpu else self.count

    def add(self, features: Features) -> None:
        """See `FaissIndex.add`."""
        self._ask("add", features)
        self.count += len(features)

    def search(self, features: Features, kept: int, effort: int) -> Positions:
        """See `FaissIndex.search`."""
        found: Positions = self._ask("search", features, kept, effort)
        return found

    def efforts(self) -> tuple[int, ...]:
        """See `FaissIndex.efforts`."""
        return self._efforts

    def write(self, path: Path) -> None:
        """See `FaissIndex.write`."""
        self._ask("write", path)

    def close(self) -> None:
        """End the process, once a call that is under way is answered."""
        with self._lock:
            self._pipe.close()
            try:
                self._child.wait(_WAIT_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            self._errors.close()

    def _begun(self, *call: Any) -> FaissChild:
        try:
            self._ask(*call)
            self.count, self._efforts = self._ask("count"), self._ask("efforts")
        except BaseException:
            self.close()
            raise
        return self

    def _ask(self, *call: Any) -> Any:
        """Return the answer of the child, or the error that it raised.

        Raises:
            IndexFailed: The child is gone.
        """
        with self._lock:
            if self._pipe.closed:
                raise IndexFailed("the index was closed; open the library again")
            try:
                self._pipe.send(call)
                good, answer = self._pipe.recv()
            except (EOFError, OSError) as error:
                raise IndexFailed(f"the process that holds the index is gone ({self._ending()})") from error
            except BaseException:  # Ctrl-C: its answer would be taken for that of the next call
                self._child.kill()
                raise
        if not good:
            raise answer
        return answer

    def _ending(self) -> str:
        try:
            status = self._child.wait(_WAIT_S)
        except subprocess.TimeoutExpired:
            return "it does not answer"
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_WORDS))
        words = " ".join(self._errors.read().decode("utf-8", "replace").split())
        ending = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return f"{ending}: {words}" if words else ending


def _serve(pipe: Connection) -> None:
    """Serve calls until the parent closes the pipe."""
    from simsearch.search.indexes.engine import Held, read_engine, trained_engine

    index: Held | None = None
    while True:
        try:
            verb, *arguments = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            if verb == "train":
                index, answer = trained_engine(*arguments), None
            elif verb == "read":
                index, answer = read_engine(*arguments), None
            else:
                answer = getattr(index, verb)
                answer = answer(*arguments) if callable(answer) else answer
            pipe.send((True, answer))
        except SimsearchError as error:
            pipe.send((False, error))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent ends this process
    _serve(Connection(int(sys.argv[1])))
