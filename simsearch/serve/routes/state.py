"""What the service is and holds, whether it lives and is ready, and its figures."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

import simsearch
from simsearch.serve.asgi.answers import SCHEMA, told
from simsearch.serve.held_library import View
from simsearch.serve.routes.descriptions import answers
from simsearch.serve.routes.service import Service, respond

router = APIRouter(tags=["service"])
_CHANNEL = ("name", "model", "fingerprint", "dimension", "dtype", "metric", "non_negative", "bits")
_PLAIN = ("items", "removed", "rejected", "segments", "bytes", "next_id", "generation")
LIBRARY = {
    "schema": SCHEMA,
    "version": simsearch.__version__,
    "items": 100_000,
    "removed": 0,
    "rejected": 2,
    "segments": 3,
    "bytes": 103_000_000,
    "next_id": 100_000,
    "generation": 7,
    "channels": [{"name": "mini", "model": "mini", "dimension": 512, "dtype": "float16", "metric": "js", "bits": None}],
    "indexes": [],
    "calibrations": [],
}


@router.get("/v1/library", summary="What the library holds", responses=answers(LIBRARY))
async def library(request: Request) -> Response:
    """Return counts, channels, indexes and calibrations of the newest commit; not where the library lies."""
    return await Service.of(request).held.ask(lambda view: respond(told(_facts(view))))


@router.get("/livez", summary="Whether the service lives")
async def live() -> Response:
    """Answer, which says that the service does."""
    return respond(told({"schema": SCHEMA, "live": True}))


@router.get("/readyz", summary="Whether it is ready to be asked", responses={503: {"description": "Not yet."}})
async def ready(request: Request) -> Response:
    """Tell whether a search takes no longer than it has to, and what could not be loaded."""
    held = Service.of(request).held
    problem = held.problem or (None if held.ready else "loading")
    return respond(told({"schema": SCHEMA, "ready": held.ready, "problem": problem}, 200 if held.ready else 503))


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Return counts of requests by route and status, latencies, the queue, the library, memory."""
    return Response(Service.of(request).metrics.text(), media_type="text/plain; version=0.0.4")


def _facts(view: View) -> dict[str, Any]:
    facts = view.library.info()
    return {
        "schema": SCHEMA,
        "version": simsearch.__version__,
        **{name: getattr(facts, name) for name in _PLAIN},
        "channels": [{name: getattr(channel, name) for name in _CHANNEL} for channel in facts.channels],
        "indexes": [asdict(index) for index in facts.indexes],
        "calibrations": [asdict(one) for one in facts.calibrations],
    }
