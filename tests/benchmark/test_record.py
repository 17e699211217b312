"""A measured figure is never written without what is needed to judge it."""

from __future__ import annotations

import json
from pathlib import Path

from simsearch.benchmark.record import write_record


def test_a_record_names_machine_versions_commit_and_command(tmp_path: Path) -> None:
    write_record(tmp_path / "a" / "rate.json", {"rate": 3.5}, verdict="3.5 images/s")
    record = json.loads((tmp_path / "a" / "rate.json").read_text())
    assert record["verdict"] == "3.5 images/s"
    assert record["rate"] == 3.5
    measured = record["measured"]
    assert measured["machine"]["cores"] >= 1
    assert set(measured["versions"]) >= {"python", "torch", "numpy"}
    assert measured["commit"]
    assert measured["command"]
    assert str(Path.home()) not in json.dumps(record), "no path of this machine"
