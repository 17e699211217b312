"""The page that sets every goal of performance beside what was measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from goals import GOALS, Goal
from simsearch.benchmark.report.markdown import table

HEAD = """# Performance

Every goal of this project's performance with what was measured, or "not yet measured". A goal is a ratio of two things
measured side by side in one run, or a share of what the machine can do at most, measured in the same run. The page is
made by `scripts/render_results.py` from the JSON files named in it, which hold machine, versions, commit and command of
each figure. What needs a GPU is measured by `scripts/gpu_proof`; `scripts/gpu_proof --plan 15` says what fits into a
quarter of an hour and what must be brought for it."""


class Reading(NamedTuple):
    """One measured figure as it stands in a record."""

    value: float
    met: bool
    note: str
    machine: str
    file: str


def goals_page(results: Path) -> str:
    """Return the page as Markdown, from all JSON files below a folder.

    Args:
        results: The folder; records that measured goals have a key `goals`.
    """
    readings = _readings(results)
    rows = [row for goal in GOALS for row in _rows(goal, readings)]
    lines = [HEAD, "", *table(["goal", "what", "to reach", "measured", "on", "record"], rows), "", *_limits(results)]
    return "\n".join(lines).rstrip() + "\n"


def _rows(goal: Goal, readings: Mapping[tuple[str, str], list[Reading]]) -> Iterator[list[str]]:
    for part, target in goal.targets.items():
        what = f"{goal.what}; {part}" if part else goal.what
        first = [goal.number, what, f"{'<=' if goal.at_most else '>='} {target:.3g}"]
        found = readings.get((goal.number, part), [])
        own = [reading for reading in found if goal.record and reading.file.endswith(f"/{goal.record}")]
        found = own or found
        if not found:
            yield [*first, "not yet measured", goal.where if part not in ("CPU", "GPU") else part, ""]
        for reading in found:
            told = f"**{reading.value:.3g}** ({'met' if reading.met else 'missed'})"
            yield [*first, f"{told}; {reading.note}" if reading.note else told, reading.machine, f"`{reading.file}`"]


def _readings(results: Path) -> dict[tuple[str, str], list[Reading]]:
    """Return all figures by goal and part, in the order of the files' names."""
    found: dict[tuple[str, str], list[Reading]] = {}
    for path, record in _records(results):
        for each in record.get("goals", []):
            where = f"{results.name}/{path.relative_to(results).as_posix()}"
            reading = Reading(each["value"], each["met"], each["note"], _machine(record), where)
            found.setdefault((each["goal"], each["part"]), []).append(reading)
    return found


def _records(results: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(results.rglob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(record, dict):
            yield path, record


def _machine(record: Mapping[str, Any]) -> str:
    machine = record["measured"]["machine"]
    return str(machine["gpu"] or f"{machine['cores']} cores, {machine['cpu']}")


def _limits(results: Path) -> list[str]:
    """Return what the GPU machine can do at most, where it was measured."""
    path = results / "gpu" / "limits.json"
    if not path.exists():
        return ["## Limits of the GPU machine", "", "Not yet measured (`scripts/gpu_proof limits`)."]
    record = json.loads(path.read_text(encoding="utf-8"))
    return ["## Limits of the GPU machine", "", f"{_machine(record)}: {record['verdict']} (`results/gpu/limits.json`)."]
