"""What parent and decode worker say to each other over two pipes; pixels go through shared memory instead.

A worker is started with its settings as JSON in its first argument. It says `READY`, then answers requests in order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from struct import Struct
from typing import Any

from simsearch.errors import RejectCode
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Limits, Rejected
from simsearch.images.views import ViewPreprocessing
from simsearch.images.workers.prepared import Prepared

READY = b"+"
REQUEST = Struct("<IIQQ")  # slot, bytes of the file's name (which follows; the data if none), offset, size
REPLY = Struct("<BB?HIIQ32s")  # reject code + 1 or 0, quality, more, bytes of the message (which follows), width, ...
CODES = tuple(RejectCode)
MAX_MESSAGE = 400


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a worker needs to know.

    Attributes:
        preprocessings: What to do with each picture.
        limits: What one image may cost.
        memory: File descriptor of the shared memory, `slots` times the pixels of a picture long.
        slots: How many pictures may be under way.
    """

    preprocessings: tuple[Preprocessing, ...]
    limits: Limits
    memory: int
    slots: int

    def to_json(self) -> str:
        """Return the settings as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Return the settings that `to_json` wrote."""
        fields = json.loads(text)
        preprocessings = tuple(map(_preprocessing, fields["preprocessings"]))
        return cls(preprocessings, Limits(**fields["limits"]), fields["memory"], fields["slots"])


def _preprocessing(given: dict[str, Any]) -> Preprocessing:
    kind = ViewPreprocessing if "view" in given else Preprocessing
    return kind(**{**given, "mean": tuple(given["mean"]), "std": tuple(given["std"])})


def square_sizes(preprocessings: Iterable[Preprocessing]) -> list[int]:
    """Return the bytes of the pixels for each preprocessing, as they follow each other in a slot."""
    return [3 * how.size**2 for how in preprocessings]


def pack_result(result: Prepared | Rejected) -> bytes:
    """Return a result, without pixels, as bytes."""
    if isinstance(result, Rejected):
        message = result.message.encode("utf-8", "backslashreplace")[:MAX_MESSAGE]
        return REPLY.pack(CODES.index(result.code) + 1, 0, False, len(message), 0, 0, 0, b"") + message
    return REPLY.pack(0, result.quality, result.more, 0, result.width, result.height, result.n_bytes, result.sha256)
