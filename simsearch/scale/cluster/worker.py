"""A worker: loads the models once, embeds the shards that it is given, and leaves their outcomes in the ledger."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import simsearch
from simsearch.errors import FingerprintMismatch, SimsearchError
from simsearch.extract.extractor import Extractor
from simsearch.extract.runner import Outcome
from simsearch.images.source import Found
from simsearch.scale.cluster.ledger import open_ledger
from simsearch.scale.cluster.outcomes import encode
from simsearch.scale.cluster.shard import EmbedJob, Shard
from simsearch.scale.cluster.stream import ShardStream
from simsearch.scale.objects.fetch import FetchingRunner


@dataclass(frozen=True, slots=True)
class Usage:
    """What a worker has used since its models were loaded.

    Attributes:
        cpu_seconds: Of its process and of its decoding processes that have ended.
        seconds: By the clock, from its first shard to its last.
    """

    cpu_seconds: float = 0.0
    seconds: float = 0.0


class Worker:
    """The extractors of a job and the pipeline through them, once it was told to `begin`.

    Args:
        job: What is embedded how.
        ledger: Where outcomes go: a folder that the driver sees too, or an address in object storage.
        decoders: Decoding processes beside it.
    """

    def __init__(self, job: EmbedJob, ledger: str, decoders: int) -> None:
        self._job = job
        self._decoders = decoders
        self._ledger = open_ledger(ledger, job.digest)
        self._extractors: Sequence[Extractor] = ()
        self._stream = ShardStream(self._embed)
        self._cpu_before = 0.0
        self._began: float | None = None
        self._ended = 0.0

    def begin(self) -> str:
        """Load the models, and return the version of simsearch here.

        Raises:
            FingerprintMismatch: One is another model than where the job was made.
        """
        self._extractors = load_all(self._job)
        self._cpu_before = _cpu_seconds()
        return simsearch.__version__

    def embed(self, shard: Shard) -> tuple[str, Usage]:
        """Embed a shard and return the name of its file in the ledger, and what was used so far.

        Several threads may wait in it, each with a shard.
        """
        self._began = self._began or time.monotonic()
        outcomes = self._stream.submit(shard).result()
        name = self._ledger.put(shard.key, encode(self._job, shard, outcomes, self._runtimes()))
        self._ended = time.monotonic()
        return name, self.usage()

    def usage(self) -> Usage:
        """Return what was used so far."""
        seconds = 0.0 if self._began is None else self._ended - self._began
        return Usage(_cpu_seconds() - self._cpu_before, max(0.0, seconds))

    def _embed(self, sources: Iterable[Found]) -> Iterator[Outcome]:
        job, runner = self._job, FetchingRunner()
        sizes: dict[str, Any] = {"batch_size": job.batch_size, "workers": self._decoders}
        return runner.embed(lambda: self._extractors, sources, limits=job.limits, **sizes)

    def _runtimes(self) -> list[Mapping[str, str]]:
        return [extractor.runtime() for extractor in self._extractors]


def load_all(job: EmbedJob) -> Sequence[Extractor]:
    """Return the extractors of a job on its device.

    Raises:
        FingerprintMismatch: One is another model here than where the job was made.
    """
    from simsearch.extract.load import load_extractor

    extractors = [load_extractor(name, device=job.device) for name in job.models]
    for name, extractor, wanted in zip(job.models, extractors, job.fingerprints, strict=True):
        if extractor.fingerprint != wanted:
            raise FingerprintMismatch(
                f"{name} has fingerprint {extractor.fingerprint[:16]} on a worker and {wanted[:16]} where the job was "
                "started; install the same simsearch and models on all machines"
            )
    return extractors


def require_same_version(version: str) -> None:
    """Refuse a worker of another version.

    Raises:
        SimsearchError: It is one.
    """
    if version != simsearch.__version__:
        raise SimsearchError(
            f"a worker runs simsearch {version} and this is {simsearch.__version__}; install the same on all machines"
        )


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
