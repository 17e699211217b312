"""The measured part of the page on bits: how good they are, how steady, and how fast they are searched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pages.models import beside_g16
from simsearch.benchmark.report.markdown import cell, table

Record = Mapping[str, Any]


def bits_page(quality: Record, drift: Record, search: Record, asymmetric: Record, billion: Record) -> list[str]:
    """Return the lines between the page's markers.

    Args:
        quality: `results/bits.json`.
        drift: `results/bit_drift.json`.
        search: `results/search/hamming.json`.
        asymmetric: `results/search/asymmetric.json`.
        billion: `results/search/billion.json`.
    """
    return [
        "## How good they are",
        "",
        *_quality(quality),
        "",
        "## How steady they are",
        "",
        *_drift(drift),
        "",
        "## How fast they are searched",
        "",
        *_search(search, asymmetric, billion),
    ]


def _quality(record: Record) -> Iterator[str]:
    supported = "" if record["supported"] else "; so few strangers do not support that rate (`supported: false`)"
    yield (
        f"`scripts/measure_bits.py`: {record['library']} photographs of {record['photographs']}, {record['strangers']} "
        f"strangers, the paper's {record['edits']} edits, the right image, recall at a false-positive rate of "
        f"{100 * record['fpr']:g} %{supported}. Quantisers are fitted to {record['fitted_to']:,} photographs of "
        f"another kind, lda and the head also to {record['copies']} edited copies of each; intervals over source "
        "images."
    )
    yield ""
    rows = []
    for row in record["table"]:
        recall, area = row["recall_right_image"], row["auc_right_image"]
        told = f"{recall['value']:.3f} ({recall['low']:.3f}-{recall['high']:.3f})"
        rows.append([cell(row["name"]), str(row["bytes"]), told, f"{area['value']:.4f}"])
    yield from table(["what is compared", "bytes an image", "recall", "AUC"], rows)


def _drift(record: Record) -> Iterator[str]:
    yield (
        f"`scripts/measure_bit_drift.py`: {record['images']:,} photographs, beside {record['beside']}. A bit is near "
        f"its plane within {record['near']:g}."
    )
    yield ""
    rows = []
    for bits, ways in record["drift"].items():
        for name, one in ways.items():
            near = f"{one['flipped_that_were_near']:.0%}" if one["bits_flipped"] else ""
            changed = [f"{one['bits_flipped']:.3%}", f"{one['images_changed']:.1%}", str(one["most_bits_of_an_image"])]
            rows.append([bits, cell(name), *changed, near])
    heads = ["bits", "embedded", "bits flipped", "images changed", "most of an image", "of the flipped, near"]
    yield from table(heads, rows)
    yield ""
    moved = record["js_of_rows_in_bfloat16_99"]
    yield f"The rows themselves: bfloat16 moves 99 % of them by a js of at most {moved:.3f}, {beside_g16(moved)}."


def _search(record: Record, asymmetric: Record, billion: Record) -> Iterator[str]:
    yield (
        "`scripts/measure_hamming.py`, one thread: exact top 10, billions of pairs a second, a batch of 1,024 queries "
        "and one query by itself, beside FAISS's `IndexBinaryFlat`."
    )
    yield ""
    rows = []
    for bits, one in record["nearest"].items():
        told = []
        for name in ("", "_of_one"):
            rates = one[f"billion_pairs_per_second{name}"]
            ratio = one[f"ratio{name}"]
            told += [f"{rates[way]['median']:.2f}" for way in ("ours", "faiss")]
            told.append(f"{ratio['median']:.1f} ({min(ratio['all']):.1f}-{max(ratio['all']):.1f})")
        rows.append([bits, f"{one['codes']:,}", *told])
    heads = ["bits", "codes", "batch, ours", "FAISS", "ratio", "one query, ours", "FAISS", "ratio"]
    yield from table(heads, rows)
    yield ""
    told = [
        f"{bits} bits, {name}: {ways['margins']['median']:.1f} ({ways['bits']['median']:.1f})"
        for bits, one in asymmetric["milliseconds_a_query"].items()
        for name, ways in one.items()
        if name != "codes"
    ]
    yield (
        "`scripts/measure_asymmetric.py`, one thread: milliseconds a query over a million codes with margins, and in "
        f"brackets of bits against bits: {'; '.join(told)}."
    )
    yield ""
    yield (
        "All codes within a radius, microseconds a query and codes looked at: by comparing every code, by multi-index "
        "hashing, and by a vantage-point tree in Python."
    )
    yield ""
    yield from table(["bits", "codes", "radius", "way", "microseconds", "codes looked at"], list(_radii(record)))
    yield ""
    joins = record["all_pairs"]
    told = [
        f"{int(count):,} codes in {each['seconds']:g} s ({each['pairs']:,} pairs)"
        for count, each in joins.items()
        if count.isdecimal()
    ]
    yield f"All pairs within {joins['radius']} of {joins['bits']} bits: {', '.join(told)}, one thread a core."
    if "over_imagededup" in joins:
        peer = joins["over_imagededup"]
        yield (
            f"For {peer['codes']:,} codes imagededup's `find_duplicates` takes {peer['imagededup_seconds']:g} s and we "
            f"{peer['ours_seconds']['median']:g} s by the clock, for the same {peer['pairs']:,} pairs: "
            f"{peer['ratio']:,.0f} x."
        )
    yield ""
    yield f"`scripts/measure_billion.py`: {billion['verdict']}."


def _radii(record: Record) -> Iterator[list[str]]:
    names = {"every": "every code", "tables": "multi-index hashing", "tree": "vantage-point tree"}
    for bits, entries in record["within_a_radius"].items():
        for one in entries:
            for way, microseconds in one["microseconds"].items():
                looked = one["codes"] if way == "every" else one["looked_at"]
                told = f"{microseconds:,.1f}", f"{looked:,.0f}"
                yield [bits, f"{one['codes']:,}", str(one["radius"]), names[way], *told]
