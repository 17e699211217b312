"""The folder `calibrations` of a library: a JSON file for each channel and metric, and one for all together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simsearch.decide.calibration import Calibration
from simsearch.decide.known_rates import KnownRates
from simsearch.errors import InputError, LibraryDamaged, SimsearchError
from simsearch.library.format.atomic_files import HALF, naming_full_disk, read_file, replacing
from simsearch.library.format.channel import Channel
from simsearch.library.format.layout import CALIBRATIONS, FUSED, is_calibration_name, require_file, require_folder
from simsearch.library.format.seal import sealed, unsealed

FORMAT = 1


def keep(folder: Path, channel: Channel, calibration: Calibration) -> Path:
    """Write the calibration of a channel into a library's folder, in place of an older one, and return its path.

    Raises:
        FingerprintMismatch: It is of another model.
        StorageFull: The disk is full; the older one is kept.
    """
    channel.require(calibration.fingerprint, "the calibration")
    return _write(folder, _path(folder, channel.name, calibration.metric), calibration.to_dict())


def keep_fused(folder: Path, rates: KnownRates) -> Path:
    """Write the rates of several channels together into a library's folder, and return their path.

    Raises:
        StorageFull: The disk is full; older ones are kept.
    """
    return _write(folder, folder / CALIBRATIONS / f"{FUSED}.json", rates.to_dict())


def kept_fused(folder: Path, fingerprints: frozenset[str]) -> KnownRates | None:
    """Return a library's rates of several channels together; None where it has none of these models.

    Raises:
        LibraryDamaged: The file is not what was written.
    """
    values = _kept(folder / CALIBRATIONS / f"{FUSED}.json")
    return values if isinstance(values, KnownRates) and values.names.keys() <= fingerprints else None


def _write(folder: Path, path: Path, values: dict[str, Any]) -> Path:
    with naming_full_disk(folder):
        require_folder(path.parent)
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as half:
            half.write_text(json.dumps(sealed({"format": FORMAT, **values})) + "\n", encoding="utf-8")
    return path


def kept(folder: Path, channel: Channel, metric: str) -> Calibration | None:
    """Return a library's calibration of a channel by a metric; None where it has none of this model.

    Raises:
        LibraryDamaged: The file is not what was written; `simsearch calibrate` writes it again.
    """
    path = folder / CALIBRATIONS / f"{channel.name}-{metric}.json"
    read = _kept(path) if is_calibration_name(path.name) else None
    if isinstance(read, Calibration) and (read.fingerprint, read.metric) == (channel.fingerprint, metric):
        return read
    return None


def _kept(path: Path) -> Calibration | KnownRates | None:
    require_folder(path.parent)
    require_file(path)
    if not path.exists():
        return None
    try:
        return _read(path)
    except SimsearchError as error:
        raise LibraryDamaged(f"{path}: {error}; run `simsearch calibrate` again, or remove the file") from error


def problems(folder: Path) -> Iterator[str]:
    """Yield the faults of the calibrations, one line each; `simsearch calibrate` mends all of them."""
    home = folder / CALIBRATIONS
    require_folder(home)
    for path in sorted(home.glob("*")):
        if is_calibration_name(path.name) and not path.name.endswith(HALF):
            try:
                _read(path)
            except SimsearchError as error:
                yield f"{path}: {error}; run `simsearch calibrate` again, or remove the file"


def _path(folder: Path, channel: str, metric: str) -> Path:
    path = folder / CALIBRATIONS / f"{channel}-{metric}.json"
    if not is_calibration_name(path.name):
        raise InputError(f"{metric} has no distances that could be calibrated; calibrate another channel")
    return path


def _read(path: Path) -> Calibration | KnownRates:
    try:
        values: Any = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(str(error)) from error
    fields = unsealed(values)
    if fields.pop("format", None) != FORMAT:
        raise InputError("it is of another version of simsearch")
    return KnownRates.from_dict(fields) if path.stem == FUSED else Calibration.from_dict(fields)
