"""Every exception that simsearch raises on purpose; one line each, saying what was wrong, the value, what to do.

SimsearchError
├── InputError (ValueError)
│   ├── RowError            a row is NaN, infinite, zero-sum or of the wrong dimension; the row is named
│   ├── MetricError         no such metric, or the metric is not defined on these rows
│   ├── ItemNotFound        the library has no item of that id
│   └── ImageRejected       one image cannot be used; carries a reject code
├── ModelError
│   ├── ModelNotFound       no model of that name
│   ├── WeightsError        the weights are missing, damaged or do not fit the network
│   ├── FingerprintMismatch the model is not the one that made the rows
│   └── GuardRefused        training lost more recall than allowed; nothing is exported
├── LibraryError
│   ├── LibraryNotFound     there is no library in that folder
│   ├── LibraryExists       there is one already, and it differs
│   ├── LibraryLocked       another process is writing
│   ├── LibraryDamaged      a file does not hold what the manifest says
│   │   └── LibraryTooNew   a later version of simsearch wrote it
│   └── StorageFull         the disk is full; nothing was lost
├── OutputLocked            another process is writing to the output folder
├── ServiceError            a service cannot be asked, or did not do as asked
│   ├── AccessRefused       no token, or one that does not allow this
│   ├── BodyRefused         the body of a request is too large, or came too slowly
│   ├── PairTaken           somebody else has that pair, or decided it
│   └── ServiceBusy         the service has as much to do as it takes on; ask again later
│       └── SearchRunning   another search for duplicates runs, and one runs at a time
├── ProcessFailed           one of several processes ended with an error
├── IndexFailed             an index cannot be made, read or searched; exact search still can
└── DependencyMissing       an optional package is not installed
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePath
from typing import Any

__all__ = [
    "AccessRefused",
    "BodyRefused",
    "DependencyMissing",
    "FingerprintMismatch",
    "GuardRefused",
    "ImageRejected",
    "IndexFailed",
    "InputError",
    "ItemNotFound",
    "LibraryDamaged",
    "LibraryError",
    "LibraryExists",
    "LibraryLocked",
    "LibraryNotFound",
    "LibraryTooNew",
    "MetricError",
    "ModelError",
    "ModelNotFound",
    "OutputLocked",
    "PairTaken",
    "ProcessFailed",
    "RejectCode",
    "RowError",
    "SearchRunning",
    "ServiceBusy",
    "ServiceError",
    "SimsearchError",
    "StorageFull",
    "WeightsError",
]

LONGEST = 1000  # characters of an InputError, whatever was given: a list of names to choose from fits
_SHOWN = 80  # and of a value in a message


class RejectCode(StrEnum):
    """The reasons for which an input has no row: a closed list."""

    EMPTY = "empty"
    UNKNOWN_FORMAT = "unknown_format"
    FORMAT_NOT_ALLOWED = "format_not_allowed"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_BYTES = "too_many_bytes"
    TRUNCATED = "truncated"
    DECODE_ERROR = "decode_error"
    TIMEOUT = "timeout"
    WORKER_DIED = "worker_died"
    IO_ERROR = "io_error"
    NON_FINITE = "non_finite"
    ZERO_ROW = "zero_row"
    NO_FEATURES = "no_features"
    UNSUPPORTED_NAME = "unsupported_name"


class SimsearchError(Exception):
    """Root of every error that simsearch raises on purpose."""


class InputError(SimsearchError, ValueError):
    """A value given by the caller cannot be used; whatever it was, the message stays one that can be logged."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(shortened(arg, LONGEST) if isinstance(arg, str) else arg for arg in args))


class RowError(InputError):
    """A row is NaN, infinite, zero-sum or of the wrong dimension."""


class MetricError(InputError):
    """The metric does not exist or is not defined on these rows."""


class ItemNotFound(InputError):
    """The library has no item of that id."""


class ImageRejected(InputError):
    """One image cannot be used, for the reason in `code`."""

    def __init__(self, code: RejectCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = shortened(message, LONGEST)


class ModelError(SimsearchError):
    """A model cannot be used."""


class ModelNotFound(ModelError):
    """There is no model of that name."""


class WeightsError(ModelError):
    """The weights are missing, damaged or do not fit the network."""


class FingerprintMismatch(ModelError):
    """The model is not the one that made the rows."""


class GuardRefused(ModelError):
    """Training lost more recall of a family of edits than the margin allows; nothing is exported.

    Attributes:
        table: The `GuardTable` of the comparison.
    """

    def __init__(self, message: str, table: Any) -> None:
        super().__init__(message)
        self.table = table


class LibraryError(SimsearchError):
    """A library on disk cannot be used as asked."""


class LibraryNotFound(LibraryError):
    """There is no library in that folder."""


class LibraryExists(LibraryError):
    """The folder already holds a library that differs from the requested one."""


class LibraryLocked(LibraryError):
    """Another process is writing to the library."""


class LibraryDamaged(LibraryError):
    """A file of the library does not hold what the manifest says."""


class LibraryTooNew(LibraryDamaged):
    """A later version of simsearch wrote the library; nothing is wrong with it."""


class StorageFull(LibraryError):
    """The disk is full; nothing that was acknowledged is lost."""


class OutputLocked(SimsearchError):
    """Another process is writing to the output folder."""


class ServiceError(SimsearchError):
    """A service cannot be asked, or did not do as asked."""


class AccessRefused(ServiceError):
    """No token was given, or one that does not allow this."""


class BodyRefused(ServiceError):
    """The body of a request is too large, or came too slowly."""


class PairTaken(ServiceError):
    """Somebody else has that pair to decide, or decided it."""


class ServiceBusy(ServiceError):
    """The service has as much to do as it takes on; ask again later."""


class SearchRunning(ServiceBusy):
    """Another search for duplicates runs, and one runs at a time."""


class ProcessFailed(SimsearchError):
    """One of several processes ended with an error; its last line says which."""


class IndexFailed(SimsearchError):
    """An index cannot be made, read or searched; the rows are not touched and exact search still answers."""


class DependencyMissing(SimsearchError):
    """An optional package is not installed."""


def shown(value: object, limit: int = _SHOWN) -> str:
    r"""Return any value in the form of a message: one printable line of at most `limit` characters.

    Names and numbers are shown themselves, cut in the middle where they are long; of everything else the type, since
    its text may be of any length.

    Example:
        >>> shown("photos/\n.jpg"), shown(10**9), shown([1, 2]), shown(None)
        ('photos/\\n.jpg', '1000000000', 'a list of 2', 'None')
    """
    if isinstance(value, (bool, float, type(None))):
        return shortened(repr(value), limit)
    if isinstance(value, int):
        return str(int(value)) if value.bit_length() < 3 * limit else f"a number of {value.bit_length()} bits"
    if isinstance(value, PurePath):
        value = str(value)
    if isinstance(value, (bytes, bytearray, str)):
        text = value if isinstance(value, str) else bytes(value).decode("utf-8", "surrogateescape")
        return shortened("".join(map(_printable, shortened(text, limit))), limit)
    name = type(value).__name__
    count = f" of {len(value)}" if isinstance(value, (list, tuple, set, frozenset, dict)) else ""
    return shortened(f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}{count}", limit)


def shortened(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters, cut in the middle: its ends say most.

    Example:
        >>> shortened("0123456789", 7)
        '012...9'
    """
    if len(text) <= limit:
        return text
    behind = (limit - 3) // 3
    return text[: limit - 3 - behind] + "..." + text[len(text) - behind :]


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, 200 characters of it at most; its type's name where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
