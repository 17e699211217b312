"""The service as an ASGI application: bounds, tokens and counts around the routes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

import simsearch
from simsearch.errors import InputError, ServiceBusy, SimsearchError
from simsearch.images.source import Limits
from simsearch.library import AddSettings
from simsearch.serve.asgi.answers import App, failed
from simsearch.serve.asgi.guard import Guard
from simsearch.serve.asgi.intake import Intake
from simsearch.serve.held_library import HeldLibrary
from simsearch.serve.metrics import Metrics
from simsearch.serve.pages import library, sign_in
from simsearch.serve.pages import review as review_page
from simsearch.serve.pages import search as search_page
from simsearch.serve.review.reviews import Reviews
from simsearch.serve.review.searches import Searches
from simsearch.serve.routes import check, duplicates, items, lists, review, search, state
from simsearch.serve.routes.service import Service, respond
from simsearch.serve.sessions import Sessions
from simsearch.serve.settings import ServeSettings
from simsearch.serve.tokens import Tokens

ROUTERS = (
    *(search.router, items.router, check.router, lists.router, duplicates.router, review.router, state.router),
    *(search_page.router, library.router, review_page.router, sign_in.router),
)
"""What is asked of the service; a further subject is a file in `routes/` and its router here."""
_LOG = logging.getLogger("simsearch.serve")
_ABOUT = """Searches a library of images for near-copies, and says what each match is worth.

Nothing is fetched from anywhere: a picture is sent as its bytes. An error is a JSON object with `error`, which has a
`code` and a `message`.
"""


def create_app(
    held: HeldLibrary, settings: ServeSettings, tokens: Tokens, *, routers: Sequence[APIRouter] = ROUTERS
) -> App:
    """Return the service of a library as an ASGI application, which closes the library at its end.

    Args:
        held: The library.
        settings: The bounds on requests.
        tokens: Who may ask.
        routers: What can be asked.
    """
    metrics, sessions = Metrics(), Sessions()
    reading = AddSettings(workers=0, limits=Limits(max_pixels=settings.max_pixels))
    searches = Searches(reading, most=settings.max_pairs)
    reviews = Reviews(held, searches, lease_s=settings.lease_s)
    inner = FastAPI(
        title="simsearch", version=simsearch.__version__, description=_ABOUT, docs_url=None, redoc_url=None,
        lifespan=_life_of(held, searches, reviews),
    )  # fmt: skip
    inner.state.service = Service(held, settings, metrics, searches, reviews, tokens, sessions)
    for router in routers:
        inner.include_router(router)
    for kind in (SimsearchError, HTTPException, RequestValidationError, Exception):
        inner.add_exception_handler(kind, _told)
    intake = Intake(inner, settings)
    metrics.gauge("simsearch_requests_inside", "Requests that wait or are worked on.", lambda: intake.inside)
    metrics.gauge("simsearch_requests_limit", "Of these, at most.", lambda: settings.queue)
    metrics.gauge("simsearch_bodies_bytes", "Bytes of requests' bodies in memory.", lambda: intake.held)
    metrics.gauge("simsearch_library_items", "Items that are searched.", lambda: len(held.view.library))
    metrics.gauge("simsearch_library_generation", "The commit that answers.", lambda: held.view.generation)
    metrics.gauge("simsearch_refresh_failures", "Newer commits not taken up.", lambda: held.failures)
    metrics.gauge("simsearch_ready", "1 once models are loaded.", lambda: held.ready)
    paths = [str(getattr(one, "path", "")) for one in _routes(inner, routers)]
    return Guard(intake, tokens, sessions, metrics, routes=paths)


def _routes(inner: FastAPI, routers: Sequence[APIRouter]) -> list[object]:
    return [*inner.routes, *(route for router in routers for route in router.routes)]


def _life_of(
    held: HeldLibrary, searches: Searches, reviews: Reviews
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(held.warm()), asyncio.create_task(held.watch())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for part in (searches, reviews, held):
                await asyncio.to_thread(part.close)

    return life


async def _told(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return respond(failed(InputError(str(error.detail)), status=error.status_code))
    if isinstance(error, RequestValidationError):
        problems = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
        return respond(failed(InputError("; ".join(problems))))
    place = str(Service.of(request).held.view.library.path)
    if isinstance(error, InputError) and place in str(error):
        error.args = (str(error).replace(place, "of this service"),)
    answer = failed(error)
    if answer.status >= 500 and isinstance(error, SimsearchError) and not isinstance(error, ServiceBusy):
        _LOG.error("%s: %s", type(error).__name__, error)
    return respond(answer)
