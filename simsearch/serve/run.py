"""Running the service: the address is taken, requests are answered until a signal, and what is under way ends first."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from simsearch.errors import DependencyMissing, InputError
from simsearch.extract.extractor import Extractor
from simsearch.serve.settings import ServeSettings
from simsearch.serve.tokens import Tokens, require_safe

_SWITCH_S = 0.001  # in which a thread that computes in Python lets the event loop in
_BACKLOG = 2048
_CONNECTIONS = 2048


def serve(
    library: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    tokens: Tokens | None = None,
    settings: ServeSettings | None = None,
    channel: str | None = None,
    extractor: Extractor | None = None,
    device: str = "auto",
    started: Callable[[str], None] = lambda _url: None,
) -> None:
    """Answer requests over HTTP about a library, until SIGTERM or Ctrl-C; those under way are answered first.

    Args:
        library: Its folder.
        host: The address to listen on; another than this machine's own needs a token.
        port: 0 takes a free one.
        tokens: Who may ask; None lets everybody on this machine ask and nobody change anything.
        settings: The bounds on requests.
        channel: That is searched where a request names none.
        extractor: What made the library's rows, where that is a class of the caller's own.
        device: Of embedding and search.
        started: Called with the address, once connections are taken.

    Raises:
        DependencyMissing: FastAPI or uvicorn is not installed.
        InputError: A public address without a token, or one that cannot be listened on.
        LibraryNotFound: There is no library.
    """
    chosen, allowed = settings or ServeSettings(), tokens or Tokens()
    require_safe(host, allowed)
    try:
        import uvicorn

        from simsearch.serve.app import create_app
        from simsearch.serve.asgi.connections import within
    except ImportError as error:
        raise DependencyMissing(f'a service needs {error.name}: pip install -e ".[serve]"') from error
    from simsearch.library import Library
    from simsearch.serve.held_library import HeldLibrary

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    with closing(listening(host, port)) as listener:
        opened = Library.open(library, channel=channel, extractor=extractor, device=device)
        app = create_app(HeldLibrary(opened, chosen), chosen, allowed)
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=within(chosen.head_s),
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=max(1, round(chosen.drain_s)),
        )
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        try:
            started(address_of(listener))
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            sys.setswitchinterval(before)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that takes connections.

    It says that it is of TCP, for asyncio to send small answers at once: else each waits 40 ms for an acknowledgement.

    Raises:
        InputError: The address cannot be listened on.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(found[0], socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if found[0] == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(found[4])
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        return listener
    except (OSError, OverflowError) as error:
        raise InputError(f"{host}:{port} cannot be listened on: {error}; give another --host or --port") from error


def address_of(listener: socket.socket) -> str:
    """Return the URL of a socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
