"""The measured part of the page on the second look: what rows, keypoints and both together find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simsearch.benchmark.report.markdown import cell, table

Record = Mapping[str, Any]

_GROUPS = ("paper", "today", "agency")


def fused_brief(record: Record) -> list[str]:
    """Return the table of all channels at each size of a library."""
    names = {"row": record["model"], "points": f"{record['bytes']:,} bytes of keypoints", "fused": "both, fused"}
    rows = []
    for library in record["recall"]["fused"]:
        for key, name in names.items():
            groups = record["recall"][key][library]
            told = [f"{groups[g]['mean']:.3f} ({groups[g]['low']:.3f}-{groups[g]['high']:.3f})" for g in _GROUPS]
            rows.append([f"{int(library):,}", cell(name), *told])
    return table(["images", "channel", *_GROUPS], rows)


def fused_page(record: Record, searched: Record, candidates: Record, indexed: Mapping[str, Record]) -> list[str]:
    """Return the lines between the page's markers.

    Args:
        record: `results/spatial/fused.json`.
        searched: `results/spatial/fused_search.json`.
        candidates: `results/spatial/candidates.json`.
        indexed: The records of `scripts/measure_points.py`, by what was indexed.
    """
    return [
        *(*_samples(record), "", *fused_brief(record), "", *_mistaken(record), "", *_lost(record), ""),
        *_searched(searched),
        "",
        f"Candidates by keypoints alone (`scripts/measure_candidates.py`): {candidates['verdict']}",
        "",
        "What keypoints cost in indexing on two cores (`scripts/measure_points.py`):",
        "",
        *(f"- {what}: {one['verdict']}" for what, one in indexed.items()),
    ]


def _searched(record: Record) -> Iterator[str]:
    found, false, time = record["found"], record["false_matches"], record["milliseconds"]
    shares = ", ".join(f"{group} {found[group]['expected_at_most_1']:.3f}" for group in _GROUPS)
    yield (
        f"From candidates to matches (`scripts/measure_fused_search.py`): a library of {record['images']:,} "
        f"photographs, {record['bytes_an_image']:,} bytes an image with tables, {record['queries']:,} queries. The "
        f"share of copies that are among the first ten with at most one chance match expected: {shares}. So are "
        f"{false['counted']} other images, where the number says that one a query, {false['expected_at_most']}, "
        f"would be. A query from memory takes {time['median']:.0f} ms on two cores ({time['p99']:.0f} at the 99th "
        "percentile)."
    )


def _samples(record: Record) -> Iterator[str]:
    rates, mistakes = record["rates"], record["false_matches"]["strangers"]
    yield (
        f"`scripts/measure_pairs.py` and `scripts/measure_fused.py`: rates are counted on {rates['pairs']:,} pairs of "
        f"strangers, {rates['queries']:,} queries, half of them edited, against photographs of other sources "
        f"({', '.join(rates['sources'])}); recall on {record['photographs']} others in all edits of "
        "`configs/today.yaml`: the share of copies for which at most one chance match is expected in a library of so "
        f"many images, with intervals by photograph. Rates below {rates['supported']:.1g} rest on fewer than 50 pairs, "
        "so that the figures at 1,000,000 go beyond the calibration. Candidates are not part of it: every copy is "
        f"compared with its original ({next(iter(mistakes.values()))['pairs']:,} pairs of strangers beside)."
    )


def _mistaken(record: Record) -> Iterator[str]:
    yield "Pairs that are no copies and would count as matches, by the same rates:"
    yield ""
    rows = []
    for kind, name in (("strangers", "of two sources"), ("look_alikes", "of one source")):
        for library, counts in record["false_matches"][kind].items():
            told = [
                f"{counts['pairs']:,}",
                f"{counts['predicted_at_most']:g}",
                str(counts["row"]),
                str(counts["fused"]),
            ]
            rows.append([name, f"{int(library):,}", *told])
    yield from table(["photographs", "images", "pairs", "predicted", f"by {record['model']}", "fused"], rows)


def _lost(record: Record) -> Iterator[str]:
    yield "Edits of which less than 0.95 is found in 100,000 images, by both together (by each alone):"
    yield ""
    by = record["by_edit"]
    lost = sorted((share, name) for name, share in by["fused"].items() if share < 0.95)
    rows = [[cell(name), f"{share:.2f}", f"{by['row'][name]:.2f}", f"{by['points'][name]:.2f}"] for share, name in lost]
    yield from table(["edit", "fused", record["model"], "keypoints"], rows)
