"""Where inputs become rows: in this process, or wherever a subclass has it done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from simsearch.extract.extractor import Extractor
from simsearch.extract.pipeline import Embedded, embed_sources
from simsearch.images.source import Found, Limits, Rejected

Outcome = Embedded | Rejected
Extractors = Callable[[], Sequence[Extractor]]


class Runner:
    """Embeds inputs in this process; a subclass fetches them first, or sends them to other machines."""

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
        """Yield one outcome an input, in the order of the inputs, as `embed_sources`.

        Args:
            extractors: Called once there is something to embed.
            sources: As of `find`.
            batch_size: Images that go through an extractor at once.
            workers: Decoding processes beside each extractor.
            limits: Bounds on the cost of one image.
            known: As for `embed_sources`; may be left unasked.
        """
        return embed_sources(extractors(), sources, batch_size=batch_size, workers=workers, limits=limits, known=known)

    def settled(self) -> None:
        """Take note that every outcome before the one that was yielded last is on disk, and need not be kept."""

    def runtime(self, extractor: Extractor) -> Mapping[str, str]:
        """Return device, dtype and versions that make an extractor's rows."""
        return extractor.runtime()
