"""Arguments of callers, checked by their types before any work is done."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError, RowError, shown
from simsearch.extract.image_input import is_tensor
from simsearch.images.paths import raw
from simsearch.library.settings import AddSettings


def folder(path: Any, what: str = "path") -> Path:
    """Return a path that a file system can hold.

    Raises:
        InputError: It is none.
    """
    name = raw(path, what)
    try:
        os.lstat(name)
    except ValueError as error:  # a NUL
        raise InputError(f"{shown(path)} holds characters that no file name can") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(f"{shown(path)} is longer than a file name may be") from error
    return Path(os.fsdecode(name))


def text(value: Any, what: str) -> str:
    """Return a text.

    Raises:
        InputError: It is none.
    """
    if not isinstance(value, str):
        raise InputError(f"{what} is {shown(value)} and must be text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{what} is {shown(value)}, which holds characters that are none") from error
    return str(value)


def flag(value: Any, what: str) -> bool:
    """Return a truth value; texts such as "no", which Python takes for true, are none.

    Raises:
        InputError: It is none.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{what} is {shown(value)} and must be True or False")
    return bool(value)


def number(value: Any, what: str, *, low: float, high: float) -> float:
    """Return a number within bounds.

    Raises:
        InputError: It is none.
    """
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not known or not low <= value <= high:
        raise InputError(f"{what} is {shown(value)} and must be a number from {low:g} to {high:g}")
    return cast(float, value)


def instance(value: Any, kind: type | tuple[type, ...], what: str, give: str) -> Any:
    """Return a value of a kind.

    Raises:
        InputError: It is of another.
    """
    if not isinstance(value, kind):
        raise InputError(f"{what} is {shown(value)}: give {give}")
    return value


def function(value: Any, what: str) -> Callable[..., Any]:
    """Return what can be called.

    Raises:
        InputError: It cannot.
    """
    if not callable(value):
        raise InputError(f"{what} is {shown(value)} and must be a function")
    return cast(Callable[..., Any], value)


def settings(value: Any) -> AddSettings:
    """Return settings, those by default for None.

    Raises:
        InputError: They are none.
    """
    chosen = AddSettings() if value is None else value
    return cast(AddSettings, instance(chosen, AddSettings, "settings", "simsearch.library.AddSettings"))


def rows(values: Any) -> NDArray[Any]:
    """Return rows as an array of numbers, of any shape.

    Raises:
        RowError: They are none.
    """
    try:
        array = np.asarray(
            values.detach().cpu().float() if is_tensor(values) and values.is_floating_point() else values
        )
    except Exception as error:  # ragged lists, sparse tensors, what cannot be converted
        raise RowError(f"{shown(values)} cannot be read as rows; give an array (q, d)") from error
    if array.dtype.kind not in "fiu":
        raise RowError(f"rows are {shown(str(array.dtype))} and must be numbers: give an array (q, d)")
    return array
