"""What the routes have in common: the library, the settings, the counts."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request, Response

from simsearch.serve.asgi.answers import Answer
from simsearch.serve.held_library import HeldLibrary
from simsearch.serve.metrics import Metrics
from simsearch.serve.settings import ServeSettings


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes have in common.

    Attributes:
        held: The library.
        settings: The bounds on requests.
        metrics: The counts.
    """

    held: HeldLibrary
    settings: ServeSettings
    metrics: Metrics

    @classmethod
    def of(cls, request: Request) -> Service:
        """Return that of a request."""
        service: Service = request.app.state.service
        return service


def respond(answer: Answer) -> Response:
    """Return an answer as a response."""
    return Response(answer.body, answer.status, dict(answer.headers), answer.media)
