"""What the routes have in common: the library, the settings, the counts."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request, Response

from simsearch.serve.asgi.answers import Answer
from simsearch.serve.held_library import HeldLibrary
from simsearch.serve.metrics import Metrics
from simsearch.serve.review.reviews import Reviews
from simsearch.serve.review.searches import Searches
from simsearch.serve.sessions import Session, Sessions
from simsearch.serve.settings import ServeSettings
from simsearch.serve.tokens import Rights, Tokens


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes have in common.

    Attributes:
        held: The library.
        settings: The bounds on requests.
        metrics: The counts.
        searches: Of duplicates.
        reviews: The queue of pairs to decide on.
        tokens: Who may ask.
        sessions: Who has signed in on the page.
    """

    held: HeldLibrary
    settings: ServeSettings
    metrics: Metrics
    searches: Searches
    reviews: Reviews
    tokens: Tokens
    sessions: Sessions

    @classmethod
    def of(cls, request: Request) -> Service:
        """Return that of a request."""
        service: Service = request.app.state.service
        return service


def session_of(request: Request) -> Session | None:
    """Return who has signed in; None for a request that no page sent."""
    found: Session | None = request.scope["session"]
    return found


def rights_of(request: Request) -> Rights:
    """Return what a request may do."""
    found: Rights = request.scope["rights"]
    return found


def respond(answer: Answer) -> Response:
    """Return an answer as a response."""
    return Response(answer.body, answer.status, dict(answer.headers), answer.media)
