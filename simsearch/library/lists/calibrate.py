"""What an external list is worth here: how often photographs come near its entries, by the pairs that were counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.calibration import Calibration, Origin
from simsearch.errors import InputError
from simsearch.images.source import Found
from simsearch.library.calibration.comparison import Group, Rule
from simsearch.library.calibration.count import count
from simsearch.library.lists.codes import PDQ, PDQ_QUALITY
from simsearch.library.lists.image_list import ImageList
from simsearch.library.lists.pictures import Makers, pictures
from simsearch.library.settings import AddSettings

PHOTOGRAPHS = 4000
"""Photographs of a library that are compared with a list, and entries of a list of more: a sample of both."""
ENTRIES = 50_000


@dataclass(frozen=True, slots=True)
class ListCalibration:
    """Rates of strangers of a list's entries of one type.

    Attributes:
        type: Of the codes.
        calibration: The rates, kept with the list.
        photographs: That were compared.
        passed_over: That could not be read, or show too little.
        copies: Pairs that look like copies and were not counted: look whether the list holds these photographs.
    """

    type: str
    calibration: Calibration
    photographs: int
    passed_over: int
    copies: int


def calibrate(
    one: ImageList,
    kind: str,
    makers: Makers,
    inputs: Iterable[Found],
    settings: AddSettings,
    *,
    origin: Origin,
    progress: Callable[[int, int], None] | None = None,
) -> ListCalibration:
    """Count how often photographs come near a list's entries of a type, and keep the rates with the list.

    A photograph that is met in the library many times counts once.

    Raises:
        InputError: There are too few photographs or entries for a rate.
    """
    rows, passed = list[NDArray[Any]](), 0
    for picture in pictures(inputs, makers.only(kind), (), settings):
        weak = kind == PDQ and picture.pdq_quality is not None and picture.pdq_quality < PDQ_QUALITY
        if kind in picture.rows and not weak:
            rows.append(picture.rows[kind])
        else:
            passed += 1
    if not rows:
        raise InputError("there is no photograph that could be compared with the list; give a folder of photographs")
    calibration = counted(one, kind, np.stack(rows), makers.fingerprint(kind), origin=origin, progress=progress)
    one.keep_rates(calibration)
    return ListCalibration(kind, calibration, len(rows), passed, calibration.left_out)


def counted(
    one: ImageList,
    kind: str,
    rows: NDArray[Any],
    fingerprint: str,
    *,
    origin: Origin,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Return the rates of photographs (n, d) near a list's entries of a type.

    Raises:
        InputError: There are fewer than 1,000 pairs.
    """
    facts = one.channels.get(kind.partition(":")[2])
    metric = "hamming" if facts is None else facts.metric
    held = one.coded(kind).values
    chosen = np.random.default_rng(0).permutation(len(held))[:ENTRIES]
    held = held[np.sort(chosen)]
    if len(rows) * len(held) < 1000:
        raise InputError(
            f"{len(rows):,} photographs and {len(held):,} entries give {len(rows) * len(held):,} pairs, too few for a "
            "rate: give --negatives with more photographs"
        )
    unique = np.unique(rows, axis=0) if rows.dtype == np.uint8 else rows
    rule = Rule(metric, None if facts is None else facts.bits)
    found = count(Group.of(unique), Group.of(held), rule, progress=progress)
    whose = "of this library" if origin == "library" else "that are strangers to the list"
    what = f"photographs {whose}, against the entries of the list {one.name}, without what looks like copies"
    return found.calibration(fingerprint, metric, origin=origin, what=what, sizes=(len(unique), len(one.coded(kind))))


def types_to_calibrate(one: ImageList, makers: Sequence[str]) -> list[str]:
    """Return the types of a list's entries whose rates can be counted here.

    Raises:
        InputError: There are none.
    """
    kinds = [kind for kind in one.types() if kind in makers]
    if not kinds:
        raise InputError(
            f"the list {one.name} holds no PDQ hashes or rows that this library could make: digests need no rates"
        )
    return kinds
