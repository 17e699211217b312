"""One of several libraries that are searched as one: in a folder of this machine, or behind a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from simsearch.errors import FingerprintMismatch, InputError, ServiceError
from simsearch.library.read.matches import Matches
from simsearch.library.read.query import Query
from simsearch.library.reader import Reader


class Service(Protocol):
    """A library over HTTP, as `simsearch.Client` is."""

    def search(self, queries: Any, *, k: int = 10, **how: Any) -> Matches:
        """Return what is near pictures."""

    def search_rows(self, rows: NDArray[Any], *, k: int = 10, **how: Any) -> Matches:
        """Return what is near rows."""

    def info(self) -> Any:
        """Return its items and channels."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a shard says of itself.

    Attributes:
        items: How many it holds.
        fingerprint: Of the model that made the rows of the channel.
        model: Its name.
        metric: Of a search that names none.
    """

    items: int
    fingerprint: str
    model: str
    metric: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What shards are asked.

    Attributes:
        count: How many queries.
        queries: Of each shard in a folder, embedded; empty where rows are asked.
        images: The pictures, for services; None where rows are asked.
        rows: Rows (q, d); None for pictures.
        how: Further arguments of a search.
    """

    count: int
    queries: Mapping[int, Sequence[Query]]
    images: Sequence[Any] | None
    rows: NDArray[Any] | None
    how: Mapping[str, Any]


class Shard(Protocol):
    """A library among several."""

    @property
    def name(self) -> str:
        """Its folder or URL."""

    def described(self) -> Described:
        """Return what it says of itself."""

    def search(self, number: int, asked: Asked, which: Sequence[int], how: Mapping[str, Any]) -> Matches:
        """Return what is near some of the queries."""


@dataclass(frozen=True, slots=True)
class FolderShard:
    """A library in a folder of this machine."""

    library: Reader

    @property
    def name(self) -> str:
        """Its folder."""
        return str(self.library.path)

    def described(self) -> Described:
        """Return what it holds."""
        channel = self.library.channel
        return Described(len(self.library), channel.fingerprint, channel.model, channel.metric)

    def search(self, number: int, asked: Asked, which: Sequence[int], how: Mapping[str, Any]) -> Matches:
        """Return what is near some of the queries, which were embedded before."""
        arguments, _ = {**asked.how, **how}, self.library.snapshot  # which a closed one has not
        if asked.rows is not None and number not in asked.queries:
            return self.library.search_rows(asked.rows[list(which)], **arguments)
        arguments.pop("views", None)  # they are among the queries' rows
        return self.library.search([asked.queries[number][i] for i in which], **arguments)


@dataclass(frozen=True, slots=True)
class ServiceShard:
    """A library behind a service."""

    client: Service
    channel: str | None = None

    @property
    def name(self) -> str:
        """Its URL."""
        return repr(self.client)

    def described(self) -> Described:
        """Return what it holds."""
        info = self.client.info()
        found = next((one for one in info.channels if self.channel in (None, one["name"])), None)
        if found is None:
            raise ServiceError(f"it has no channel {self.channel!r}")
        return Described(info.items, found["fingerprint"], found["model"], found["metric"])

    def search(self, number: int, asked: Asked, which: Sequence[int], how: Mapping[str, Any]) -> Matches:  # noqa: ARG002
        """Return what is near some of the queries."""
        arguments = {**asked.how, **how, **({} if self.channel is None else {"channel": self.channel})}
        for name in ("exclude_self", "settings"):
            arguments.pop(name, None)
        if asked.rows is not None:
            return self.client.search_rows(asked.rows[list(which)], **arguments)
        assert asked.images is not None
        return self.client.search([asked.images[i] for i in which], **arguments)


def require_same_model(described: Described, other: Described, name: str) -> None:
    """Refuse shards of two models.

    Raises:
        FingerprintMismatch: The fingerprints differ.
    """
    if described.fingerprint != other.fingerprint:
        raise FingerprintMismatch(
            f"{name} holds rows of {described.model!r}, fingerprint {described.fingerprint[:16]}, and the first shard "
            f"of {other.model!r}, {other.fingerprint[:16]}: only libraries of one model are searched as one"
        )


def require_for_services(how: Mapping[str, Any], shards: Sequence[Shard]) -> None:
    """Refuse what a service cannot do.

    Raises:
        InputError: The query's own item is to be left out, or all within a distance are asked for.
    """
    if any(isinstance(shard, ServiceShard) for shard in shards):
        if how.get("exclude_self"):
            raise InputError("a service knows no paths of this machine: leave exclude_self out")
        if how.get("k", 10) is None:
            raise InputError("a service counts its matches: give k")
