"""A shard: some inputs that are embedded together, and the job that it is part of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from simsearch.images.source import Limits, Source


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """All that decides rows and rejects beside the inputs; equal for every worker.

    Attributes:
        models: Names by which workers load the extractors, in the order of the channels.
        fingerprints: What these must have.
        device: `cpu` or `cuda`: rows are equal to the bit on one kind.
        batch_size: Images that go through an extractor at once.
        limits: Bounds on the cost of one image.
    """

    models: tuple[str, ...]
    fingerprints: tuple[str, ...]
    device: str
    batch_size: int
    limits: Limits

    @property
    def digest(self) -> str:
        """32 hex digits that differ where a row or a reject may."""
        told = {"fingerprints": self.fingerprints, "device": self.device, "batch_size": self.batch_size}
        text = json.dumps({**told, "limits": asdict(self.limits)}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Shard:
    """Some inputs of a job, in order.

    Attributes:
        number: In the run that made it.
        sources: The inputs.
    """

    number: int
    sources: tuple[Source, ...]

    @property
    def key(self) -> str:
        """32 hex digits of its inputs."""
        return hashlib.blake2b(b"".join(map(input_key, self.sources)), digest_size=16).hexdigest()


def input_key(source: Source) -> bytes:
    """Return 16 bytes by which an input is known again as long as its path, size and time stay.

    Example:
        >>> one, other = (Source(b"/a", b"b", b"/a/b", 0, 1, time) for time in (2, 3))
        >>> input_key(one) == input_key(one), input_key(one) == input_key(other)
        (True, False)
    """
    whole = hashlib.blake2b(digest_size=16)
    for text in (source.root, source.name, source.file):
        whole.update(len(text).to_bytes(8) + text)
    for number in (source.offset, source.size, source.mtime_ns):
        whole.update(number.to_bytes(16, signed=True))
    return whole.digest()


def keys_of(sources: Sequence[Source]) -> list[bytes]:
    """Return the key of each input."""
    return [input_key(source) for source in sources]
