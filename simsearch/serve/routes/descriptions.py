"""What the description of the service (OpenAPI) says of bodies and answers, with examples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from simsearch.serve.routes.question import FORM, JSON, Asked, AskedMany, Options

MATCHES = {
    "schema": 1,
    "query": None,
    "matches": [
        {
            "id": 17,
            "path": "/srv/photographs/0017.jpg",
            "distance": 0.0312,
            "expected_false_matches": 0.000025,
            "expected_interval": [0.00001, 0.00006],
            "expected_for_query": None,
            "beyond_calibration": False,
            "decision": None,
            "copies": [],
        }
    ],
    "certified": True,
    "recall": None,
    "more": None,
    "order": "exact",
    "library_size": 100_000,
    "channel": "mini",
    "metric": "js",
    "low_information": False,
    "crowding": None,
    "calibration": None,
    "rejected": None,
    "generation": 7,
}
ITEM = {
    "schema": 1,
    "generation": 7,
    "id": 17,
    "path": "/srv/photographs/0017.jpg",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "width": 1200,
    "height": 800,
    "bytes": 345_678,
    "quality": 88,
    "owner": None,
    "attributes": None,
}
ADDED = {
    "schema": 1,
    "generation": 8,
    "ids": [18],
    "report": {"added": 1, "unchanged": 0, "exact_copies": 0, "replaced": 0, "rejected": 0, "codes": {}},
}
LIST = {
    "name": "blocked",
    "kind": "block",
    "entries": 1200,
    "withdrawn": 3,
    "prevalence": 0.001,
    "types": {"pdq": 600, "sha256": 600},
    "checks": 90_000,
    "set_aside": 0,
}
ENTRY = {
    "id": 17,
    "type": "pdq",
    "value": "f8" * 32,
    "quality": 100,
    "state": "active",
    "sources": [{"origin": "local", "id": "", "time": "2026-01-01T12:00:00Z", "tags": [], "votes": []}],
    "met": 2,
    "set_aside": False,
}
CHECKED = {
    "schema": 1,
    "generation": 7,
    "listed": True,
    "answers": [
        {
            "query": None,
            "listed": True,
            "matches": [
                {
                    "list": "blocked",
                    "entry": 17,
                    "type": "pdq",
                    "distance": 0.0156,
                    "bits": 4,
                    "expected_false_matches": 1e-7,
                    "expected_interval": [0.0, 1e-6],
                    "beyond_calibration": True,
                    "sources": [{"origin": "local", "id": "", "time": "2026-01-01T12:00:00Z", "tags": [], "votes": []}],
                    "decision": True,
                    "why_not": None,
                }
            ],
            "more": 0,
            "allowed": False,
            "low_information": False,
            "rejected": None,
        }
    ],
    "lists": {"blocked": 1200},
    "not_compared": [],
    "notes": [],
    "set_aside": [],
    "counted": False,
}
_PICTURE = {
    **{"id": 17, "path": "/srv/photographs/0017.jpg", "sha256": ITEM["sha256"], "bytes": 345_678},
    **{"width": 1200, "height": 800, "quality": 88, "mtime_ns": 1_700_000_000_000_000_000},
}
DUPLICATES = {
    "schema": 1,
    "search": 1,
    "generation": 7,
    "state": "done",
    "compared": 100_000,
    "of": 100_000,
    "seconds": 86.9,
    "error": None,
    "totals": {"groups": 1, "files": 1, "frees": 17_078, "channel": "mini", "metric": "js", "max_distance": 0.21},
    "total_pairs": 1,
    "pairs": [{"group": 1, "kept": _PICTURE, "other": {**_PICTURE, "id": 18, "distance": 0.031, "exact": False}}],
}
VERDICT = {
    "a": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "b": "c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2",
    "decision": "confirm",
    "by": "Anna",
    "time": "2026-01-01T12:00:00+00:00",
    "distance": 0.031,
    "channel": "mini",
}
REMOVED = {"schema": 1, "generation": 9, "removed": 1}
_ERRORS = {
    400: ("InputError", "k is 5000, and this service gives 1000 matches of a query at most"),
    401: ("AccessRefused", "this service needs a token: send `Authorization: Bearer TOKEN`"),
    403: ("AccessRefused", "this service changes nothing: it was started without --write-token"),
    404: ("ItemNotFound", "the library has no item 17"),
    408: ("BodyRefused", "1,024 bytes came within 30 seconds, and not all"),
    409: ("LibraryLocked", "another process is writing to the library"),
    413: ("BodyRefused", "the body has more than the limit of 33,554,432 bytes"),
    422: ("ImageRejected", "io_error: the file is no longer what was indexed"),
    503: ("ServiceBusy", "64 requests wait or are worked on, and no more are taken: ask again later"),
}
_ERROR = {
    "type": "object",
    "required": ["schema", "error"],
    "properties": {
        "schema": {"type": "integer"},
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "reason": {"type": "string"}},
        },
    },
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


def answers(example: dict[str, Any] | None, *errors: int) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a route: one that succeeds, where an example is given, and errors by their status."""
    found: dict[int | str, dict[str, Any]] = {}
    if example is not None:
        found[200] = {"description": "Done.", "content": {JSON: {"schema": {"type": "object"}, "example": example}}}
    for status in (*errors, 401, 503):
        code, message = _ERRORS[status]
        told = {"schema": 1, "error": {"code": code, "message": message}}
        found[status] = {"description": code, "content": {JSON: {"schema": _ERROR, "example": told}}}
    return found


def searching() -> dict[str, Any]:
    """Return what a single search takes."""
    form = {**_properties(Options), "image": {"type": "string", "format": "binary"}}
    content = {
        JSON: {
            "schema": _schema(Asked),
            "examples": {
                "by id": {"value": {"id": 17, "k": 5, "exclude_self": True}},
                "by code": {"value": {"code": "f8" * 32, "channel": "pdq", "max_distance": 0.121}},
            },
        },
        FORM: {"schema": {"type": "object", "properties": form}},
        "image/*": _BINARY,
        "application/octet-stream": _BINARY,
    }
    return {"requestBody": {"required": True, "content": content}, "parameters": _parameters()}


def asking(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Return what a request with a JSON object takes."""
    return {"requestBody": {"content": {JSON: {"schema": _schema(model), "example": example}}}}


def listing(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Return what takes a JSON object or pictures."""
    content = {**adding()["requestBody"]["content"], JSON: {"schema": _schema(model), "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def searching_many() -> dict[str, Any]:
    """Return what many searches in one request take."""
    example = {"codes": ["f8" * 32, "07" * 32], "channel": "pdq", "k": 3}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": _schema(AskedMany), "example": example}}}}


def adding() -> dict[str, Any]:
    """Return what adding takes."""
    files = {"type": "object", "properties": {"image": {"type": "array", "items": _BINARY["schema"]}}}
    content = {FORM: {"schema": files}, "image/*": _BINARY, "application/octet-stream": _BINARY}
    return {"requestBody": {"required": True, "content": content}}


def _parameters() -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in _properties(Options).items()
    ]


def _properties(model: type[BaseModel]) -> dict[str, Any]:
    return dict(_schema(model)["properties"])


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()
