"""Measure what PDQ lists are worth: hashes of whole pictures against those of a channel, and 31 bits among strangers.

    python scripts/measure_lists.py ../shared/data/bsds500/test --list ../shared/data/bsds500/train --photographs 200
    python scripts/measure_lists.py ... --times 1000000   # also seconds to open and to check such a list

The photographs of the first folder are strangers to those of which the list is made.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from simsearch.extract.hashes.pdq import Pdq
from simsearch.extract.image_input import as_rgb
from simsearch.images import find
from simsearch.library.lists.calibrate import calibrate
from simsearch.library.lists.codes import PDQ, PDQ_BYTES, PDQ_RADIUS, Code
from simsearch.library.lists.entries import Change, Listed
from simsearch.library.lists.image_list import ImageList
from simsearch.library.lists.open_lists import Models, add_pictures, check_lists
from simsearch.library.settings import AddSettings
from simsearch.runtime.provenance import write_record

RECORD = Path(__file__).parents[1] / "results" / "act" / "lists.json"


def sizes(photographs: list[Path]) -> dict[str, Any]:
    """Return in how many bits hashes of whole pictures differ from those of pictures brought to 512 pixels."""
    pdq, apart, across = Pdq(), [], 0
    for path in photographs:
        image = as_rgb(path, pdq.preprocessing)
        (whole,), (quality,) = pdq.with_quality([image])
        small, small_quality = pdq.with_quality([_squared(pdq, image)])
        apart.append(int(np.bitwise_count(whole ^ small[0]).sum()))
        across += (quality < 50) != (small_quality[0] < 50)
    values = np.array(apart)
    return {
        "photographs": len(apart),
        "mean_bits": round(float(values.mean()), 2),
        "most_bits": int(values.max()),
        "quality_of_50_told_otherwise": int(across),
    }


def _squared(pdq: Pdq, image: Any) -> Any:
    from PIL.Image import fromarray

    return fromarray(pdq.preprocessing.apply(image))


def strangers(photographs: list[Path], listed: list[Path]) -> dict[str, Any]:
    """Return how often photographs come near the entries of a list, by the pairs that were counted."""
    with tempfile.TemporaryDirectory() as folder:
        one, models = ImageList.create(Path(folder), "measured", "block"), Models()
        add_pictures(one, find(listed), models)
        made = calibrate(one, PDQ, models.makers([PDQ]), find(photographs), AddSettings(), origin="negatives")
        entries, steps = len(one.coded(PDQ)), (PDQ_RADIUS, 40, 50, 60, 70)
        worth = made.calibration.expected([bits / (8 * PDQ_BYTES) for bits in steps], entries)
        return {
            "photographs": made.photographs,
            "entries": entries,
            "pairs": made.calibration.curve.total,
            "look_like_copies": made.copies,
            "expected_false_matches": {
                str(bits): {
                    "value": one.value,
                    "low": one.low,
                    "high": one.high,
                    "beyond_calibration": one.beyond_calibration,
                }
                for bits, one in zip(steps, worth, strict=True)
            },
        }


def times(photographs: list[Path], entries: int) -> dict[str, Any]:
    """Return seconds to take over, open and check a list of random codes."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        one = ImageList.create(Path(folder), "measured", "block")
        changes = (Change("file", "", (Listed(Code(PDQ, rng.bytes(PDQ_BYTES))),)) for _ in range(entries))
        began = time.perf_counter()
        one.apply(changes)
        taken = time.perf_counter() - began
        began = time.perf_counter()
        again = ImageList.open(Path(folder), "measured")
        opened = time.perf_counter() - began
        check_lists(find(photographs[:4]), [again], Models(), count=False)
        began = time.perf_counter()
        check_lists(find(photographs), [again], Models(), count=False)
        checked = time.perf_counter() - began
        size = (Path(folder) / "lists" / "measured.arrow").stat().st_size
    return {
        "entries": entries,
        "bytes": size,
        "import_s": round(taken, 2),
        "open_s": round(opened, 3),
        "check_s": round(checked, 2),
        "photographs": len(photographs),
    }


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs_folder", type=Path)
    parser.add_argument("--list", dest="listed", type=Path, required=True, help="folder of what is listed")
    parser.add_argument("--photographs", type=int, default=200)
    parser.add_argument("--times", type=int, default=0, metavar="ENTRIES", help="also measure a list of so many")
    parser.add_argument("--record", type=Path, default=RECORD)
    arguments = parser.parse_args()
    some = itertools.islice(sorted(arguments.photographs_folder.rglob("*.jpg")), arguments.photographs)
    photographs = list(some)
    listed = sorted(arguments.listed.rglob("*.jpg"))
    values: dict[str, Any] = {"sizes": sizes(photographs), "strangers": strangers(photographs, listed)}
    if arguments.times:
        values["times"] = times(photographs, arguments.times)
    near = values["strangers"]["expected_false_matches"][str(PDQ_RADIUS)]
    verdict = (
        f"a channel's PDQ differs from that of the whole picture in {values['sizes']['mean_bits']} bits on average; "
        f"within {PDQ_RADIUS} bits at most {near['high']:.2g} false matches of a check against this list"
    )
    write_record(arguments.record, values, verdict=verdict)
    print(json.dumps(values, indent=1))


if __name__ == "__main__":
    main()
