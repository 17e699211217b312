"""Queries that a service answers, or several libraries and services as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsearch.cli.answers import image_answers, isolated, row_answers

if TYPE_CHECKING:
    from simsearch.images.source import Found
    from simsearch.library import Matches
    from simsearch.serve import Client


_OF_IMAGES = {"exclude_self", "fused", "for_query", "normalise", "views"}


@dataclass(frozen=True, slots=True)
class Places:
    """Who is asked.

    Attributes:
        libraries: Folders.
        servers: URLs of services.
        token: Holds the token that these want.
        channel: Whose rows.
        device: Of searches in folders.
        model: What made the rows there; None for what the libraries name.
        timeout_s: Seconds that one of several is waited for.
        max_pixels: Of a picture that is decoded here.
    """

    libraries: Sequence[Path]
    servers: Sequence[str]
    token: Path | None
    channel: str | None
    device: str
    model: str | None
    timeout_s: float
    max_pixels: int

    @property
    def secret(self) -> str | None:
        """The token."""
        from simsearch.serve.tokens import token_in

        return None if self.token is None else token_in(self.token)


def answers_of_server(
    places: Places, inputs: tuple[list[Path], Path | None], rows: Path | None, how: dict[str, Any]
) -> Iterator[Matches]:
    """Yield what the service answers to images, or to the rows of a file, in batches.

    Raises:
        InputError: The URL or the token is none, or the service takes no such argument.
        FingerprintMismatch: Another model made the rows.
        ServiceError: The service cannot be asked.
    """
    from simsearch.serve import Client

    how = {**how, "channel": places.channel}
    with Client(places.servers[0], token=places.secret) as client:
        if rows is not None:
            _require_model(client, rows, places.channel)
            some = {name: value for name, value in how.items() if name not in _OF_IMAGES}
            yield from row_answers(lambda batch: client.search_rows(batch, **some), rows)
            return

        def of_images(chunk: list[Found]) -> Matches:
            return client.search(chunk, **how)

        yield from image_answers(of_images, inputs, None)


def answers_of_shards(
    places: Places, inputs: tuple[list[Path], Path | None], rows: Path | None, how: dict[str, Any]
) -> Iterator[Matches]:
    """Yield what several libraries and services, numbered in this order, answer as one, in batches.

    Raises:
        InputError: They take no such argument.
        FingerprintMismatch: They, or the rows, are of different models.
        LibraryError: None of them answers.
    """
    from simsearch.extract.embeddings.parquet import rows_info
    from simsearch.extract.load import load_extractor
    from simsearch.scale import Shards
    from simsearch.serve import Client

    secret = places.secret
    how_opened: dict[str, Any] = {"channel": places.channel, "device": places.device, "timeout_s": places.timeout_s}
    extractor = None if places.model is None else load_extractor(places.model, device=places.device)
    with ExitStack() as stack:
        clients = [Client(url, token=secret, timeout_s=places.timeout_s) for url in places.servers]
        shards: list[Any] = [*places.libraries, *map(stack.enter_context, clients)]
        opened = stack.enter_context(Shards.open(shards, extractor=extractor, **how_opened))
        if rows is not None:
            opened.require(rows_info(rows).fingerprint, str(rows))
            some = {name: value for name, value in how.items() if name not in _OF_IMAGES}
            yield from row_answers(partial(opened.search_rows, **some), rows)
            return

        def of_images(chunk: list[Found]) -> Matches:
            return opened.search(chunk, settings=isolated(len(chunk), places.max_pixels), **how)

        yield from image_answers(of_images, inputs, None)


def _require_model(client: Client, path: Path, channel: str | None) -> None:
    """Refuse a file of rows that another model made than that of the service's channel."""
    from simsearch.errors import FingerprintMismatch
    from simsearch.extract.embeddings.parquet import rows_info

    made_by = rows_info(path).fingerprint
    one = next((each for each in client.info().channels if channel in (None, each["name"])), None)
    if one is not None and one["fingerprint"] != made_by:
        raise FingerprintMismatch(
            f"{path} has fingerprint {made_by[:16]} and channel {one['name']!r} of the service holds rows of "
            f"{one['fingerprint'][:16]} (model {one['model']!r})"
        )
