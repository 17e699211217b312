"""The client of a service: the methods of `Library` that make sense over HTTP, by the standard library alone."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import ImageRejected, RejectCode, RowError
from simsearch.extract.image_input import are_several, is_path, pictures
from simsearch.images.find import find
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Limits, Rejected, Source, as_text, load_bytes
from simsearch.library import AddReport, Matches, QueryMatches
from simsearch.serve.client.connection import Connection
from simsearch.serve.client.told import matches_from

_JSON = "application/json"
_AT_ONCE = 256  # rows of one request
_AS_SEEN = Preprocessing(32, "squash", 32, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Added:
    """What became of pictures that were sent to be added.

    Attributes:
        report: The counts.
        ids: Of the items, in the order of the pictures; None for a rejected one.
        generation: The commit after it.
    """

    report: AddReport
    ids: tuple[int | None, ...]
    generation: int


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """What a service says of its library.

    Attributes:
        items: Items that are searched.
        removed: Items that were removed and still lie in the files.
        rejected: Inputs that could not be used.
        segments: Folders of rows.
        bytes: Size of those folders.
        generation: The commit that answers.
        channels: Name, model, fingerprint, dimension, dtype, metric and bits of each.
        version: Of simsearch, there.
    """

    items: int
    removed: int
    rejected: int
    segments: int
    bytes: int
    generation: int
    channels: tuple[dict[str, Any], ...]
    version: str


class Client:
    """A library behind a service, searched and changed as a `Library` is; safe for threads.

    Errors are those that a `Library` raises, and `ServiceError` and its kin where the service itself refuses.

    Example:
        >>> Client("http://127.0.0.1:8000")
        Client('http://127.0.0.1:8000')
    """

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = 60.0) -> None:
        """Make it; nothing is sent yet.

        Args:
            url: Of the service.
            token: For reading, or for writing too.
            timeout_s: Seconds that one answer may take.

        Raises:
            InputError: The URL is none of a service, or the token is none.
        """
        self._connection = Connection(url, token=token, timeout_s=timeout_s)

    def __repr__(self) -> str:
        return f"Client({self._connection.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept between requests."""
        self._connection.close()

    def search(self, queries: Any, *, k: int = 10, **how: Any) -> Matches:
        """Return the k nearest items of every picture, in order, each sent as the bytes of its file.

        Args:
            queries: One picture or an iterable of them, in any form that `Library.search` takes; a folder or tar is one
                query for each picture in it.
            k: Matches a query.
            how: As of `Library.search`: metric, max_distance, exact, order, group_copies, min_quality, views,
                max_expected, max_fpr, for_query; and `channel`, and `fused` to ask all channels.

        Raises:
            InputError: A path does not exist, or the service takes no such argument.
            ServiceError: The service cannot be asked.
        """
        found, last = list[QueryMatches](), None
        for path, data in _pictures(queries if are_several(queries) else [queries]):
            if isinstance(data, Rejected):
                answer = QueryMatches(None, (), certified=False, rejected=data)
            else:
                last = self._found(data, {"k": k, **how})
                answer = last[0]
            text, encoded = (None, None) if path is None else as_text(path)
            found.append(replace(answer, query=text, query_b64=encoded))
        return replace(self._nothing(k) if last is None else last, queries=tuple(found))

    def search_rows(self, rows: NDArray[Any], *, k: int = 10, **how: Any) -> Matches:
        """Return the k nearest items of every row (q, d) or (d,): codes as packed uint8, others as floats.

        Raises:
            RowError: They are no rows.
        """
        array = np.atleast_2d(np.asarray(rows))
        if array.ndim != 2 or array.dtype.kind not in "fu":
            raise RowError(f"rows of {array.dtype} {array.shape}: give floats, or packed codes as uint8, as (q, d)")
        from simsearch.extract import floats_to_base64, to_hex

        packed = array.dtype == np.uint8
        texts = to_hex(array) if packed else floats_to_base64(array)
        return self._many("codes" if packed else "rows", texts, {"k": k, **how})

    def search_items(self, ids: Sequence[int], *, k: int = 10, **how: Any) -> Matches:
        """Return the k nearest items of every item that is named by its id; `exclude_self` leaves itself out.

        Raises:
            ItemNotFound: The library has no item of an id.
        """
        return self._many("ids", [int(one) for one in ids], {"k": k, **how})

    def add(self, images: Any) -> Added:
        """Add pictures, each as an item without a path, and return what became of them; all of it is on disk then.

        Needs the token for writing.

        Raises:
            AccessRefused: The token is not for writing, or the service changes nothing.
            LibraryLocked: Another process is writing.
        """
        report, ids, generation = AddReport(), list[int | None](), -1
        for _, data in _pictures(images if are_several(images) else [images]):
            if isinstance(data, Rejected):
                report = _sum(report, AddReport(rejected=1, codes={str(data.code): 1}))
                ids.append(None)
                continue
            told = self._connection.json("POST", "/v1/items", data, media="application/octet-stream")
            report, generation = _sum(report, AddReport(**told["report"])), told["generation"]
            ids += told["ids"]
        return Added(report, tuple(ids), generation)

    def remove(self, ids: int | Iterable[int], *, purge: bool = False) -> int:
        """Return how many items were removed; their files are not touched. Needs the token for writing.

        Raises:
            ItemNotFound: The library has no item of an id; those before it were removed.
            AccessRefused: As of `add`.
        """
        count = 0
        for one in [ids] if isinstance(ids, int) else ids:
            path = f"/v1/items/{int(one)}" + ("?purge=true" if purge else "")
            count += int(self._connection.json("DELETE", path)["removed"])
        return count

    def info(self) -> ServiceInfo:
        """Return facts about the library."""
        told = self._connection.json("GET", "/v1/library", again=True)
        facts = {one.name: told[one.name] for one in fields(ServiceInfo)}
        return ServiceInfo(**{**facts, "channels": tuple(facts["channels"])})

    def item(self, number: int) -> dict[str, Any]:
        """Return what is known of an item: path, sha256, width, height, bytes, quality, owner, attributes.

        Raises:
            ItemNotFound: There is none of that id.
        """
        return self._connection.json("GET", f"/v1/items/{int(number)}", again=True)

    def thumbnail(self, number: int, *, side: int = 256) -> bytes:
        """Return a small JPEG of an item.

        Raises:
            ItemNotFound: There is none of that id.
            ImageRejected: Its file is gone, or holds something else by now.
        """
        path = f"/v1/items/{int(number)}/thumbnail?side={int(side)}"
        return self._connection.ask("GET", path, again=True)[0]

    def _found(self, data: bytes, how: dict[str, Any]) -> Matches:
        path = "/v1/search?" + urlencode({name: _as_parameter(value) for name, value in _given(how).items()})
        told = self._connection.json("POST", path, data, media="application/octet-stream", again=True)
        return matches_from([told], k=how["k"])

    def _nothing(self, k: int) -> Matches:
        """Return matches without a query, as of a search of which no picture could be read."""
        info = self.info()
        return Matches((), k, info.items, info.channels[0]["name"], info.channels[0]["metric"])

    def _many(self, name: str, values: Sequence[Any], how: dict[str, Any]) -> Matches:
        answers: list[dict[str, Any]] = []
        for start in range(0, len(values), _AT_ONCE):
            body = json.dumps({name: list(values[start : start + _AT_ONCE]), **_given(how)}).encode()
            answers += self._connection.json("POST", "/v1/search/batch", body, media=_JSON, again=True)["answers"]
        if not answers:
            raise RowError(f"there are no {name} to search by")
        return matches_from(answers, k=how["k"])


def _given(how: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that say something, in the form of JSON."""
    found = {name: value for name, value in how.items() if value is not None}
    views = found.get("views")
    if views is not None and not isinstance(views, str):
        found["views"] = ",".join(views)
    return found


def _as_parameter(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pictures(images: Iterable[Any]) -> Iterator[tuple[bytes | None, bytes | Rejected]]:
    """Yield the path of each picture, None for one from memory, and its bytes, or why it cannot be read."""
    limits = Limits()
    for image in images:
        on_disk = isinstance(image, Source | Rejected)
        if not (on_disk or is_path(image)):
            yield None, _in_memory(image, limits)
            continue
        for source in [image] if on_disk else find([image]):
            if isinstance(source, Rejected):
                yield source.source.path, source
                continue
            try:
                yield source.path, load_bytes(source, limits.max_bytes)
            except ImageRejected as error:
                yield source.path, Rejected(source, error.code, error.message)


def _in_memory(image: Any, limits: Limits) -> bytes | Rejected:
    try:
        found = pictures(image, [_AS_SEEN], limits)
    except ImageRejected as error:
        return Rejected(Source.of(b""), error.code, error.message)
    if isinstance(found, bytes):
        return found or Rejected(Source.of(b""), RejectCode.EMPTY, "the file has no bytes")
    buffer = io.BytesIO()
    found[0].save(buffer, "PNG")
    return buffer.getvalue()


def _sum(one: AddReport, other: AddReport) -> AddReport:
    names = ("added", "unchanged", "exact_copies", "replaced", "rejected")
    counts = {name: getattr(one, name) + getattr(other, name) for name in names}
    return AddReport(**counts, codes=dict(Counter(one.codes) + Counter(other.codes)))
