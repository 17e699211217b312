"""The calibration of a channel: the library's own, else that of the package."""

from __future__ import annotations

from pathlib import Path

from simsearch.decide.calibration import Calibration, most_expected
from simsearch.decide.known_rates import KnownRates, known_calibrations
from simsearch.errors import InputError
from simsearch.library.calibration.store import kept
from simsearch.library.format.channel import ASYMMETRIC, Channel
from simsearch.spatial.witness import PLACES


def calibration_of(folder: Path, channel: Channel, metric: str) -> Calibration | None:
    """Return what matches in a channel by a metric are judged by; None where no rates of strangers are known.

    Raises:
        LibraryDamaged: The library's own is not what was written.
    """
    if metric in {PLACES, ASYMMETRIC}:
        return None
    own = kept(folder, channel, metric)
    if own is not None:
        return own
    return known_calibrations().get((channel.fingerprint, metric))


def most_of(max_expected: float | None, max_fpr: float | None) -> float | None:
    """Return the expected false matches up to which a match is one; None where no decision is asked for.

    Raises:
        InputError: Both are given, or a number is none.
    """
    if max_expected is not None and max_fpr is not None:
        raise InputError("max_expected and max_fpr are two ways to say one thing: give one of them")
    if max_fpr is not None:
        return most_expected(max_fpr)
    if max_expected is not None and not 0 < max_expected < float("inf"):
        raise InputError(f"max_expected {max_expected!r} must be a number above 0")
    return max_expected


def require_usable(calibration: Calibration | None, channel: Channel, metric: str, items: int) -> Calibration:
    """Refuse decisions without rates, or by those of a library that has grown twofold.

    Raises:
        InputError: There are none, or they are stale.
    """
    if calibration is None:
        raise InputError(
            f"no rates of strangers are known of {channel.model} by {metric}, so nothing can be decided: count them "
            "with `simsearch calibrate --library DIR`"
        )
    require_fresh(calibration, items, "simsearch calibrate --library DIR")
    return calibration


def require_fresh(rates: Calibration | KnownRates, items: int, command: str) -> None:
    """Refuse decisions by rates of a library that has grown twofold.

    Raises:
        InputError: They are stale; the command makes them anew.
    """
    if rates.is_stale(items):
        raise InputError(
            f"the calibration was made with {rates.items:,} images and the library holds {items:,}: run `{command}` "
            "again"
        )
