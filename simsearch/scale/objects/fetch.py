"""Fetching images from object storage ahead of the decoders: in threads, in order, a bounded number of bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from simsearch.errors import ImageRejected, InputError
from simsearch.extract.runner import Extractors, Outcome, Runner
from simsearch.images.paths import is_remote
from simsearch.images.source import Found, Limits, Rejected, Source, require_size
from simsearch.scale.objects.store import address_of, bucket_at

AHEAD = 32
"""Objects that are fetched at once."""
AHEAD_BYTES = 1 << 28
"""And what they may take together by their sizes in the listing; one always may be fetched."""


def fetched(sources: Iterable[Found], limits: Limits) -> Iterator[Found]:
    """Yield inputs in their order, those of object storage with their bytes, or rejected where these do not come.

    Raises:
        ServiceError: The storage does not answer, after retries: no verdict on the images.
    """
    waiting, held = deque[tuple[Found | Future[Found], int]](), 0
    with ThreadPoolExecutor(AHEAD, "simsearch-fetch") as pool:
        try:
            for one in sources:
                remote = isinstance(one, Source) and is_remote(one.file)
                if not remote and not waiting:
                    yield one
                    continue
                size = min(one.size, limits.max_bytes) if isinstance(one, Source) and remote else 0
                while waiting and (len(waiting) >= 2 * AHEAD or held + size > AHEAD_BYTES):
                    held -= waiting[0][1]
                    yield _taken(waiting.popleft()[0])
                held += size
                waiting.append((pool.submit(fetch, one, limits) if isinstance(one, Source) and remote else one, size))
            while waiting:
                yield _taken(waiting.popleft()[0])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _taken(one: Found | Future[Found]) -> Found:
    return one.result() if isinstance(one, Future) else one


def fetch(source: Source, limits: Limits) -> Found:
    """Return an input of object storage with its bytes, its size and time being those of the answer; or rejected."""
    try:
        address = address_of(source.file.decode())
        if address is None:
            raise InputError(f"{source.printable} is no address of object storage that is known: give s3, gs or az")
        bucket = bucket_at(address.root)
        if source.offset:
            require_size(source.size, limits.max_bytes)
            return replace(source, given=bucket.read_range(address.key, source.offset, source.size))
        answer = bucket.read(address.key, limits.max_bytes)
    except ImageRejected as error:
        return Rejected(source, error.code, error.message)
    return replace(source, given=answer.data, size=answer.size, mtime_ns=answer.mtime_ns)


class FetchingRunner(Runner):
    """Embeds in this process, and fetches first what lies in object storage."""

    def embed(
        self,
        extractors: Extractors,
        sources: Iterable[Found],
        *,
        batch_size: int = 64,
        workers: int | None = None,
        limits: Limits | None = None,
        known: Callable[[bytes], bool] | None = None,
    ) -> Iterator[Outcome]:
        """Yield one outcome an input, as `Runner.embed`."""
        coming = fetched(sources, limits or Limits())
        return super().embed(extractors, coming, batch_size=batch_size, workers=workers, limits=limits, known=known)
