"""The client of a service: the methods of `Library` that make sense over HTTP, by the standard library alone."""

from __future__ import annotations

import builtins
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import ImageRejected, InputError, RejectCode, RowError
from simsearch.extract.image_input import are_several, is_path, pictures
from simsearch.images.find import find
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Limits, Rejected, Source, as_text, load_bytes
from simsearch.library import (
    AddReport,
    Checked,
    Duplicates,
    ListedPictures,
    Matches,
    PictureCheck,
    QueryMatches,
    Verdict,
)
from simsearch.library.lists.editor import Changed
from simsearch.library.verdicts.verdict import Decision, pair_of
from simsearch.serve.client.connection import JSON, Connection
from simsearch.serve.client.duplicates import duplicates
from simsearch.serve.client.lists import ServedList, changed_of, checked_of, joined
from simsearch.serve.client.told import matches_from

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
                max_expected, max_fpr, for_query, normalise; and `channel`, and `fused` to ask all channels.

        Raises:
            InputError: A path does not exist, or the service takes no such argument.
            ServiceError: The service cannot be asked.
        """
        found, last = builtins.list[QueryMatches](), None
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
        report, ids, generation = AddReport(), builtins.list[int | None](), -1
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

    def lists(self) -> tuple[str, ...]:
        """Return the names of the library's lists, in order."""
        return tuple(one["name"] for one in self._connection.json("GET", "/v1/lists", again=True)["lists"])

    def list(self, name: str) -> ServedList:
        """Return the block or allow list of that name.

        Raises:
            InputError: There is none.
        """
        found = ServedList(self._connection, name)
        found.facts()
        return found

    def create_list(self, name: str, kind: str, *, prevalence: float | None = None) -> ServedList:
        """Return a new list; arguments and errors are those of `Library.create_list`. Needs the token for writing."""
        self._post("/v1/lists", {"name": name, "kind": kind, "prevalence": prevalence})
        return ServedList(self._connection, name)

    def add_to_list(self, name: str, images: Any, *, tags: Sequence[str] = ()) -> ListedPictures:
        """List images by their codes, each sent as the bytes of its file; no picture is kept.

        Needs the token for writing.

        Raises:
            InputError: There is no such list, or a path does not exist.
        """
        count, left_out, rejected = 0, Counter[str](), builtins.list[Rejected]()
        changed = changed_of(dict.fromkeys(("added", "updated", "unchanged", "withdrawn"), 0))
        path = f"/v1/lists/{quote(name, safe='')}/entries?" + urlencode([("tag", tag) for tag in tags])
        for where, data in _pictures(images if are_several(images) else [images]):
            if isinstance(data, Rejected):
                rejected.append(data)
                continue
            told = self._connection.json("POST", path, data, media="application/octet-stream")
            count += told["pictures"]
            left_out.update(told["left_out"])
            source = Source.of(where or b"")
            rejected += [Rejected(source, RejectCode(one["code"]), one["message"]) for one in told["rejected"]]
            one = changed_of(told)
            changed = Changed(*(getattr(changed, field.name) + getattr(one, field.name) for field in fields(Changed)))
        return ListedPictures(count, changed, dict(left_out), tuple(rejected))

    def check(self, images: Any, *, lists: Sequence[str] | None = None, **how: Any) -> Checked:
        """Check images against lists, each sent as the bytes of its file; answers are those of `Library.check`.

        Args:
            images: One or several.
            lists: Names of lists; None for all of the library's.
            how: As of `Library.check`: max_bits, max_distance, max_expected, max_fpr, count. The flood guard counts
                them where the token is for writing.

        Raises:
            InputError: There is no such list, or a path does not exist.
        """
        query = [("lists", name) for name in lists or ()] + [*((n, _as_parameter(v)) for n, v in _given(how).items())]
        answers = []
        for path, data in _pictures(images if are_several(images) else [images]):
            text, encoded = (None, None) if path is None else as_text(path)
            if isinstance(data, Rejected):
                found = Checked((PictureCheck(text, encoded, (), rejected=data),), {})
            else:
                media = "application/octet-stream"
                told = self._connection.json("POST", f"/v1/check?{urlencode(query)}", data, media=media)
                found = checked_of([told])
                found = replace(found, pictures=(replace(found[0], query=text, query_b64=encoded),))
            answers.append(found)
        return joined(answers)

    def check_codes(self, codes: Sequence[str], *, lists: Sequence[str] | None = None, **how: Any) -> Checked:
        """Check codes against lists, each as `TYPE:VALUE`; arguments and answers are those of `Library.check_codes`.

        Raises:
            InputError: One is no code, or there is no such list.
        """
        return self._checked("codes", [*codes], lists, how)

    def check_items(self, ids: Sequence[int], *, lists: Sequence[str] | None = None, **how: Any) -> Checked:
        """Check items of the library by what is stored of them; as of `Library.check_items`.

        Raises:
            ItemNotFound: There is no item of an id.
        """
        return self._checked("ids", [int(one) for one in ids], lists, how)

    def duplicates(self, *, progress: Callable[[int, int], None] | None = None, **how: Any) -> Duplicates:
        """Return the duplicates of the library, once the service has found them, which may take minutes.

        Roots, kinds and inodes of files are not told: what is returned is for looking at, and not for acting on here.

        Args:
            progress: Called with contents compared and their number.
            how: As of `Library.duplicates`: channel, metric, max_distance, max_false_pairs, views, grouping, keep,
                exact, confirmed.

        Raises:
            InputError: As of `Library.duplicates`.
            SearchRunning: Another search runs.
        """
        return duplicates(self._connection, _given(how), progress)

    def review(self, a: int | str, b: int | str, decision: Decision, *, by: str) -> Verdict:
        """Keep what somebody decided of two contents, and return it, as `Library.review`. Needs the token for writing.

        Args:
            a: `id:N` or the id itself, or a SHA-256 of 64 hexadecimal digits.
            b: The other one.
            decision: "confirm", "reject" or "undo".
            by: Who decided.

        Raises:
            InputError: There is no such item or decision, or nothing to undo.
        """
        one, other = (f"id:{half}" if isinstance(half, int) else half for half in (a, b))
        return _verdict(self._post("/v1/verdicts", {"a": one, "b": other, "decision": decision, "by": by}))

    def verdicts(self) -> builtins.list[Verdict]:
        """Return what people decided of pairs of contents, oldest first, those that were taken back among them."""
        found = builtins.list[Verdict]()
        while True:
            told = self._connection.json("GET", f"/v1/verdicts?offset={len(found)}", again=True)
            found += map(_verdict, told["verdicts"])
            if not told["verdicts"] or len(found) >= told["total"]:
                return found

    def start_review(self, **how: Any) -> dict[str, Any]:
        """Have the service search for pairs to decide on, and return how far the review is; `standing` tells later.

        Args:
            how: As of `duplicates`.

        Raises:
            SearchRunning: Another search runs.
        """
        return self._post("/v1/review", _given(how))

    def standing(self) -> dict[str, Any]:
        """Return how many pairs are open, leased and decided, and how far the search for more is."""
        return self._connection.json("GET", "/v1/review", again=True)

    def next_pairs(self, *, by: str, count: int = 1) -> builtins.list[dict[str, Any]]:
        """Return pairs that a person has to decide now; nobody else gets them for some minutes.

        Args:
            by: Who.
            count: At most four.
        """
        return builtins.list(self._post("/v1/review/next", {"by": by, "count": count})["pairs"])

    def decide(self, pair: Mapping[str, Any], decision: Literal["confirm", "reject"], *, by: str) -> None:
        """Keep what a person decided of a pair of `next_pairs`.

        Raises:
            PairTaken: Somebody else has it, or decided it.
        """
        named = {"a": pair["kept"]["sha256"], "b": pair["other"]["sha256"]}
        self._post("/v1/review/decisions", {**named, "decision": decision, "by": by, "count": 0})

    def undo(self, *, by: str) -> None:
        """Take back what a person decided last in the review; he has the pair again.

        Raises:
            InputError: There is nothing.
            PairTaken: Somebody decided it anew.
        """
        self._post("/v1/review/undo", {"by": by, "count": 0})

    def _post(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        return self._connection.json("POST", path, json.dumps(dict(asked)).encode(), media=JSON)

    def _checked(self, name: str, values: Sequence[Any], lists: Sequence[str] | None, how: dict[str, Any]) -> Checked:
        answers = []
        options = {**_given(how), **({} if lists is None else {"lists": [*lists]})}
        for start in range(0, len(values), _AT_ONCE):
            answers.append(self._post("/v1/check", {name: values[start : start + _AT_ONCE], **options}))
        if not answers:
            raise InputError(f"there are no {name} to check")
        return checked_of(answers)

    def _found(self, data: bytes, how: dict[str, Any]) -> Matches:
        path = "/v1/search?" + urlencode({name: _as_parameter(value) for name, value in _given(how).items()})
        told = self._connection.json("POST", path, data, media="application/octet-stream", again=True)
        return matches_from([told], k=how["k"])

    def _nothing(self, k: int) -> Matches:
        """Return matches without a query, as of a search of which no picture could be read."""
        info = self.info()
        return Matches((), k, info.items, info.channels[0]["name"], info.channels[0]["metric"])

    def _many(self, name: str, values: Sequence[Any], how: dict[str, Any]) -> Matches:
        answers: builtins.list[dict[str, Any]] = []
        for start in range(0, len(values), _AT_ONCE):
            body = json.dumps({name: builtins.list(values[start : start + _AT_ONCE]), **_given(how)}).encode()
            answers += self._connection.json("POST", "/v1/search/batch", body, media=JSON, again=True)["answers"]
        if not answers:
            raise RowError(f"there are no {name} to search by")
        return matches_from(answers, k=how["k"])


def _verdict(told: Mapping[str, Any]) -> Verdict:
    pair = pair_of(bytes.fromhex(told["a"]), bytes.fromhex(told["b"]))
    return Verdict(pair, told["decision"], told["by"], told["time"], told["distance"], told["channel"])


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
