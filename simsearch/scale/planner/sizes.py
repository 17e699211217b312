"""Numbers and sizes as people write them: 1e9, 24GiB, 2 TB."""

from __future__ import annotations

import math
import re

from simsearch.errors import InputError, shown

_UNITS = {"": 1, "B": 1, "bytes": 1} | {
    f"{prefix}{i}B": (1024 if i else 1000) ** power for power, prefix in enumerate("KMGTP", 1) for i in ("", "i")
}
_SIZE = re.compile(r"\s*([0-9][0-9_,]*\.?[0-9]*(?:[eE][+]?[0-9]+)?)\s*([A-Za-z]*)\s*")


def count_of(text: str) -> int:
    """Return a whole number above 0.

    Raises:
        InputError: It is none.

    Example:
        >>> count_of("1e9"), count_of("1,000")
        (1000000000, 1000)
    """
    found = _SIZE.fullmatch(text)
    value = float(re.sub("[_,]", "", found.group(1))) if found and not found.group(2) else 0.0
    if not 1 <= value < 1e15 or value != int(value):
        raise InputError(f"{shown(text)!r} is no number of images: give a whole one, as 1e9 or 250000")
    return int(value)


def bytes_of(text: str) -> int:
    """Return a number of bytes; KB, MB, GB and TB are powers of 1,000, KiB, MiB, GiB and TiB of 1,024.

    Raises:
        InputError: It is none.

    Example:
        >>> bytes_of("24GiB"), bytes_of("1.5 TB")
        (25769803776, 1500000000000)
    """
    found = _SIZE.fullmatch(text)
    units = {name.lower(): size for name, size in _UNITS.items()}
    unit = units.get(found.group(2).lower()) if found else None
    value = float(re.sub("[_,]", "", found.group(1))) if found else math.nan
    if unit is None or not 0 < value * unit < 1e18:
        raise InputError(f"{shown(text)!r} is no size: give a number and a unit, as 24GiB or 2TB")
    return int(value * unit)


def size(count: float) -> str:
    """Return a number of bytes in a readable unit.

    Example:
        >>> size(72e9), size(1 << 20)
        ('67.1 GiB', '1 MiB')
    """
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return _short(count, unit)
        count /= 1024
    return _short(count, "TiB")


def duration(seconds: float) -> str:
    """Return a time in a readable unit.

    Example:
        >>> duration(90), duration(7200), duration(4e5)
        ('1.5 min', '2 h', '4.6 days')
    """
    for limit, unit, each in ((60, "s", 1), (3600, "min", 60), (172_800, "h", 3600), (63_072_000, "days", 86_400)):
        if seconds < limit:
            return _short(seconds / each, unit)
    return _short(seconds / 31_536_000, "years")


def _short(value: float, unit: str) -> str:
    return f"{value:,.1f}".removesuffix(".0") + f" {unit}"
