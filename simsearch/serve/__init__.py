"""A library over HTTP: the service, and the client that asks it (no extra package is needed for the client)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.serve.client.client import Added as Added
    from simsearch.serve.client.client import Client as Client
    from simsearch.serve.client.client import ServiceInfo as ServiceInfo
    from simsearch.serve.run import serve as serve
    from simsearch.serve.settings import ServeSettings as ServeSettings
    from simsearch.serve.tokens import Tokens as Tokens

attach(
    __name__,
    {
        "Added": "client.client",
        "Client": "client.client",
        "ServeSettings": "settings",
        "ServiceInfo": "client.client",
        "Tokens": "tokens",
        "serve": "run",
    },
)
