"""Requests made from the service's own description, right ones and wrong ones, never make it fail.

Needs schemathesis (`pip install schemathesis`), which is no part of the extras; `SCHEMA_EXAMPLES` is how many a route.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve.conftest import WRITE, Served


@pytest.mark.slow
def test_no_request_that_the_description_suggests_is_a_fault_of_the_service(writable: Served, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{writable.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {WRITE}", "--checks", "not_a_server_error", "--no-color"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", os.environ.get("SCHEMA_EXAMPLES", "50")),
        *("--suppress-health-check", "all", "--seed", "1"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1200, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told[-6000:]
    print(told[-1500:])
    assert writable.ask("GET", "/readyz").status == 200
