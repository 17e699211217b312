"""Queries that a service answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsearch.cli.answers import image_answers, row_answers

if TYPE_CHECKING:
    from simsearch.images.source import Found
    from simsearch.library import Matches
    from simsearch.serve import Client


_OF_IMAGES = {"fused", "for_query", "normalise", "views"}


def answers_of_server(
    url: str, token: Path | None, inputs: tuple[list[Path], Path | None], rows: Path | None, how: dict[str, Any]
) -> Iterator[Matches]:
    """Yield what a service answers to images, or to the rows of a file, in batches.

    Raises:
        InputError: The URL or the token is none, or the service takes no such argument.
        FingerprintMismatch: Another model made the rows.
        ServiceError: The service cannot be asked.
    """
    from simsearch.serve import Client
    from simsearch.serve.tokens import token_in

    with Client(url, token=None if token is None else token_in(token)) as client:
        if rows is not None:
            _require_model(client, rows, how["channel"])
            some = {name: value for name, value in how.items() if name not in _OF_IMAGES}
            yield from row_answers(lambda batch: client.search_rows(batch, **some), rows)
            return

        def of_images(chunk: list[Found]) -> Matches:
            return client.search(chunk, **how)

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
