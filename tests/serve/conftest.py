"""A service on a real socket of this machine, in a thread, over a small library."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simsearch.library import Library
from simsearch.serve.settings import ServeSettings
from simsearch.serve.tokens import Tokens
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album, make

pytest.importorskip("fastapi")
READ, WRITE, DECIDE = "reading-token-0123", "writing-token-4567", "deciding-token-89"


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"]["code"])


@dataclass(frozen=True)
class Served:
    """A running service."""

    port: int
    held: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None, *, kind: str = "", token: str = "", **headers: str
    ) -> Reply:
        """One request on a connection of its own."""
        if isinstance(body, dict):
            body, kind = json.dumps(body).encode(), "application/json"
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given |= {"Content-Type": kind} if kind else {}
        given |= {"Authorization": f"Bearer {token}"} if token else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, answer.read(), names)
        finally:
            connection.close()


Serving = Callable[..., Served]


@contextmanager
def running(
    folder: Path, *, settings: ServeSettings | None = None, tokens: Tokens | None = None, routers: Sequence[Any] = ()
) -> Iterator[Served]:
    """Serve a library of the fake extractor, or of rows, until the block ends."""
    import uvicorn

    from simsearch.serve.app import ROUTERS, create_app
    from simsearch.serve.asgi.connections import within
    from simsearch.serve.held_library import HeldLibrary
    from simsearch.serve.run import listening

    chosen = settings or ServeSettings(poll_s=0.05)
    with Library.open(folder) as seen:
        made_by = FakeExtractor() if seen.channel.name == FakeExtractor.name else None
    held = HeldLibrary(Library.open(folder, extractor=made_by, device="cpu"), chosen)
    app = create_app(held, chosen, tokens or Tokens(), routers=(*ROUTERS, *routers))
    listener = listening("127.0.0.1", 0)
    config = uvicorn.Config(
        app, loop="asyncio", http=within(chosen.head_s), ws="none", log_config=None, access_log=False, lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not (server.started and held.ready) and time.monotonic() < deadline:
            assert thread.is_alive(), "the service ended at its start"
            time.sleep(0.01)
        assert held.ready, held.problem
        yield Served(listener.getsockname()[1], held)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return album(tmp_path_factory.mktemp("serve") / "photographs", range(12))


def library_of(photographs: Path, folder: Path) -> Path:
    with make(folder) as made:
        made.add(photographs, settings=HERE)
    return folder


@pytest.fixture
def library(photographs: Path, tmp_path: Path) -> Path:
    return library_of(photographs, tmp_path / "library")


@pytest.fixture
def serving(library: Path) -> Iterator[Serving]:
    """What starts a service of the library with settings; all end with the test."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(running(library, **how))


@pytest.fixture(scope="module")
def kept(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that no test changes."""
    return library_of(photographs, tmp_path_factory.mktemp("kept") / "library")


@pytest.fixture(scope="module")
def served(kept: Path) -> Iterator[Served]:
    """A service of it."""
    with running(kept) as one:
        yield one


@pytest.fixture(scope="module")
def guarded(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service of it that takes tokens."""
    with running(kept, tokens=tokens_in(tmp_path_factory.mktemp("tokens"))) as one:
        yield one


@pytest.fixture
def writable(serving: Serving, tmp_path: Path) -> Served:
    """A service that takes tokens, of a library of the test's own."""
    return serving(tokens=tokens_in(tmp_path))


def tokens_in(folder: Path) -> Tokens:
    (folder / "read.txt").write_text(READ + "\n")
    (folder / "write.txt").write_text(WRITE + "\n")
    (folder / "decide.txt").write_text(DECIDE + "\n")
    return Tokens.of_files(folder / "read.txt", folder / "write.txt", folder / "decide.txt")
