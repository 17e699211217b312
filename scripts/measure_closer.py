"""Say what more keypoints tell of hard edits: places on which copies and strangers agree, by bytes of keypoints."""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import numpy as np

from measure_pairs import read
from simsearch.images.perturb import PAPER, by_name
from simsearch.spatial import query_witnesses, witness
from simsearch.spatial.second_look import places_agreeing

_EDITS = ("crop_anywhere_68.4", "cropping_60_and_rescaling", "pixelation_12", "blur_5", "laid_on_image_40")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path, help="a tar such as strangers/test.tar")
    parser.add_argument("--every", type=int, default=29, help="of its photographs")
    parser.add_argument("--count", type=int, default=60, help="photographs")
    parser.add_argument("--edited", type=int, default=24, help="of them")
    parser.add_argument("--bytes", type=int, nargs="+", default=[2048, 8192, 16384])
    arguments = parser.parse_args()
    chosen = itertools.islice(read(arguments.photographs), 0, None, arguments.every)
    photographs = [image for _, image in itertools.islice(chosen, arguments.count)]
    paper = {edit.name: edit for edit in PAPER}
    for size in arguments.bytes:
        items = [witness(image, most_bytes=size) for image in photographs]
        own: dict[str, list[int]] = {name: [] for name in _EDITS}
        strangers, spent = [], 0.0
        for i, name in itertools.product(range(arguments.edited), _EDITS):
            edit = paper[name] if name in paper else by_name(name)
            views = query_witnesses(edit.apply(photographs[i], np.random.default_rng(i)), most_bytes=size)
            began = time.perf_counter()
            found = places_agreeing(views, items)
            spent += time.perf_counter() - began
            own[name].append(int(found[i]))
            strangers.append(np.delete(found, i))
        others = np.concatenate(strangers)
        told = {name: f"{np.mean(np.array(places) > others.max()):.2f}" for name, places in own.items()}
        each = 1000 * spent / (len(strangers) * len(items))
        print(f"{size} bytes: {len(others):,} strangers, at most {others.max()} places; beyond: {told}; {each:.2f} ms")


if __name__ == "__main__":
    main()
