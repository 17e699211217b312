"""Names: as a journal writes them, and free ones, by which a picture and its sidecars stay together."""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Callable, Sequence

_MOST = 10_000


def encoded(path: bytes) -> str:
    """Return a path in base64."""
    return base64.b64encode(path).decode()


def decoded(text: str) -> bytes:
    """Return the path that `encoded` wrote."""
    return base64.b64decode(text, validate=True)


def numbered(name: bytes, stem: bytes, number: int) -> bytes:
    """Return a name with a number behind the stem of its picture; as it is for 1.

    Example:
        >>> numbered(b"a.jpg.xmp", b"a", 2), numbered(b"a.jpg", b"a", 1)
        (b'a (2).jpg.xmp', b'a.jpg')
    """
    return name if number == 1 else stem + f" ({number})".encode() + name[len(stem) :]


def free_names(picture: bytes, others: Sequence[bytes], taken: Callable[[bytes], bool]) -> list[bytes]:
    """Return names for a picture and its sidecars of which none is taken, all with the same number.

    Args:
        picture: The picture's name.
        others: Names of its sidecars, which begin with its stem.
        taken: Whether there is something of a name.

    Raises:
        FileExistsError: Ten thousand numbers are taken.
    """
    stem = os.path.splitext(picture)[0]
    for number in itertools.takewhile(lambda count: count <= _MOST, itertools.count(1)):
        names = [numbered(name, stem, number) for name in (picture, *others)]
        if not any(map(taken, names)):
            return names
    raise FileExistsError(f"{_MOST} files are called {os.fsdecode(picture)}")
