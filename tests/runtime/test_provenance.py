"""A measured figure is never written without what is needed to judge it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from simsearch.runtime.provenance import write_record


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


def test_the_command_holds_no_folder_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = [str(tmp_path / "photos"), "--data=/home/me/bsds500", "-o", "/home/me/a b.json", "--k=3", "../up", "/"]
    monkeypatch.setattr(sys, "argv", ["/home/me/scripts/measure.py", *given])
    write_record(tmp_path / "r.json", {}, verdict="")
    command = json.loads((tmp_path / "r.json").read_text())["measured"]["command"]
    expected = ["measure.py", "photos", "--data=bsds500", "-o", "a b.json", "--k=3", "../up", ""]
    assert shlex.split(command) == expected
