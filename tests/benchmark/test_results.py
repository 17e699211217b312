"""What a run writes is what tables and plots read."""

from __future__ import annotations

import dataclasses
import json

import pytest

from simsearch.benchmark.results import FILE, Results, read_results, write_results
from simsearch.errors import InputError
from tests.benchmark.example_results import example


def test_results_come_back_as_they_were_written(tmp_path):
    path = write_results(example(), tmp_path / "new")
    assert path.name == FILE
    assert read_results(tmp_path / "new") == example()
    assert [file.name for file in path.parent.iterdir()] == [FILE], "no part is left"
    written = json.loads(path.read_text())
    assert written["schema"] == 1
    assert written["examples"][2]["distance"] is None


def test_a_later_writer_may_add_keys():
    fields = json.loads(example().to_json())
    fields["new"] = fields["means"][0]["new"] = 1
    assert Results.from_json(json.dumps(fields)) == example()


def test_what_is_no_results_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_results(tmp_path)
    with pytest.raises(InputError, match="no results of a benchmark: methods: Field required"):
        Results.from_json('{"settings": {}, "photographs": {"name": "a", "count": 1, "digest": ""}}')
    with pytest.raises(InputError, match="schema 2; this version reads 1"):
        Results.from_json(dataclasses.replace(example(), schema=2).to_json())
    with pytest.raises(InputError, match="Invalid JSON"):
        Results.from_json("{")
