"""Every exception that simsearch raises on purpose; one line each, saying what was wrong, the value, what to do.

SimsearchError
├── InputError (ValueError)
│   ├── RowError            a row is NaN, infinite, zero-sum or of the wrong dimension; the row is named
│   ├── MetricError         no such metric, or the metric is not defined on these rows
│   └── ImageRejected       one image cannot be used; carries a reject code
├── ModelError
│   ├── ModelNotFound       no model of that name
│   ├── WeightsError        the weights are missing, damaged or do not fit the network
│   └── FingerprintMismatch the model is not the one that made the rows
├── LibraryError
│   ├── LibraryNotFound     there is no library in that folder
│   ├── LibraryExists       there is one already, and it differs
│   ├── LibraryLocked       another process is writing
│   ├── LibraryDamaged      a file does not hold what the manifest says
│   │   └── LibraryTooNew   a later version of simsearch wrote it
│   └── StorageFull         the disk is full; nothing was lost
├── OutputLocked            another process is writing to the output folder
├── IndexFailed             an index cannot be made, read or searched; exact search still can
└── DependencyMissing       an optional package is not installed
"""

from __future__ import annotations

from enum import StrEnum


class RejectCode(StrEnum):
    """Why an input did not become a row: the closed list."""

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
    """A value given by the caller cannot be used."""


class RowError(InputError):
    """A row is NaN, infinite, zero-sum or of the wrong dimension."""


class MetricError(InputError):
    """The metric does not exist or is not defined on these rows."""


class ImageRejected(InputError):
    """One image cannot be used, for the reason in `code`."""

    def __init__(self, code: RejectCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ModelError(SimsearchError):
    """A model cannot be used."""


class ModelNotFound(ModelError):
    """There is no model of that name."""


class WeightsError(ModelError):
    """The weights are missing, damaged or do not fit the network."""


class FingerprintMismatch(ModelError):
    """The model is not the one that made the rows."""


class LibraryError(SimsearchError):
    """A library on disk cannot be used as asked."""


class LibraryNotFound(LibraryError):
    """There is no library in that folder."""


class LibraryExists(LibraryError):
    """The folder already holds a library that differs from what was asked for."""


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


class IndexFailed(SimsearchError):
    """An index cannot be made, read or searched; the rows are not touched and exact search still answers."""


class DependencyMissing(SimsearchError):
    """An optional package is not installed."""
