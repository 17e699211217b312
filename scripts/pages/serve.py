"""The measured part of the page on the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]


def serve_page(lookups: Record, soak: Record, rows: Record) -> list[str]:
    """Return the lines between the page's markers.

    Args:
        lookups: `results/serve/serve.json`.
        soak: `results/serve/soak.json`.
        rows: `results/serve/rows.json`.
    """
    single, own = lookups["lookups"]["single"], soak["mib_own"]
    resident, private = lookups["lookups"]["mib_resident"], lookups["lookups"]["mib_own"]
    return [
        f"**Look-ups** (`scripts/measure_serve.py`; the service has one core, the load another): {lookups['verdict']}. "
        f"One at a time over {lookups['lines']} connections, half of the look-ups are answered within "
        f"{single['p50_ms']:.0f} ms and 99 % within {single['p99_ms']:.0f} ms. Of the {resident:,.0f} MiB, "
        f"{private:,.0f} are the service's own; the others are pages of the library's files, which the system takes "
        "back at need.",
        "",
        f"**Rows** (`scripts/measure_serve_rows.py`, on the same cores): {rows['verdict']}. Half of the queries are "
        f"near a row, the others strangers; of the ten nearest the index ({rows['index']['kind']}) finds "
        f"{rows['index']['share_of_exact']:.1%}.",
        "",
        f"**Memory** (`scripts/soak_serve.py`): {soak['verdict']}; {own[len(own) // 2]:,.0f} MiB at half time.",
    ]
