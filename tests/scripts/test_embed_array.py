"""`scripts/embed_array`: the tasks of an array embed each input once, by whatever scheduler they are counted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.library.helpers import album

ROOT = Path(__file__).parents[2]


@pytest.fixture
def simsearch(tmp_path: Path) -> Path:
    """A command `simsearch` of this checkout."""
    command = tmp_path / "simsearch"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m simsearch.cli "$@"\n')
    command.chmod(0o755)
    return command


def start(simsearch: Path, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    told = {
        name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SGE_", "LSB_", "TASK"))
    }
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [ROOT / "scripts" / "embed_array", tmp_path / "rows", tmp_path / "pictures"]
    flags = ["--model", "tests.fake:FakeExtractor", "--workers", "0"]
    variables = {**told, "SIMSEARCH": str(simsearch), "PYTHONPATH": paths, **environment}
    return subprocess.run([*map(str, command), *flags], env=variables, capture_output=True, text=True, check=False)


def test_three_tasks_embed_each_input_once_and_go_on(simsearch: Path, tmp_path: Path) -> None:
    album(tmp_path / "pictures", range(7))
    counted = (
        {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MAX": "3"},
        {"SGE_TASK_ID": "2", "SGE_TASK_LAST": "3"},
        {"TASK": "3", "TASKS": "3"},
        {"TASK": "3", "TASKS": "3"},
    )
    for environment in counted:
        done = start(simsearch, tmp_path, **environment)
        assert done.returncode == 0, done.stderr
    parts = [pq.read_table(path, columns=["path"]) for path in (tmp_path / "rows").glob("shard-*-of-3/part-*.parquet")]
    found = Counter(Path(path).name for part in parts for path in part.column("path").to_pylist())
    assert found == {f"{i:04d}.png": 1 for i in range(7)}


def test_outside_an_array_it_says_what_is_missing(simsearch: Path, tmp_path: Path) -> None:
    done = start(simsearch, tmp_path)
    assert (done.returncode, "set TASK=i and TASKS=n" in done.stderr) == (2, True)
