"""All tests that are marked `gpu`."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from proof.stage import Finding, Run, Stage

ROOT = Path(__file__).parents[2]


def work(run: Run) -> Finding:
    """Run them and count; each failure is named with its first line."""
    report = run.state / "tests.xml"
    where = ["tests/search", "tests/extract"] if run.toy else ["tests"]
    options = ["-q", "-m", "gpu", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    command = [sys.executable, "-m", "pytest", *where, *options]
    report.unlink(missing_ok=True)
    patience = max(60.0, run.seconds_left)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=patience, check=False)
    (run.output / "tests.log").write_text(done.stdout[-200_000:] + done.stderr[-20_000:], encoding="utf-8")
    if not report.exists():
        raise RuntimeError(f"pytest made no report (exit status {done.returncode}): see {run.output / 'tests.log'}")
    values = counted(report)
    failed = "; ".join(f"{name}: {why}" for name, why in values["failed"].items()) or "none failed"
    return Finding(f"{values['passed']} passed, {len(values['skipped'])} skipped; {failed}", values)


def counted(report: Path) -> dict[str, Any]:
    """What a JUnit report says: the number passed, and those that failed or were skipped, each with its reason."""
    values: dict[str, Any] = {"passed": 0, "failed": {}, "skipped": {}, "seconds": {}}
    for case in ET.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        bad = [child for child in case if child.tag in ("failure", "error")]
        skipped = [child for child in case if child.tag == "skipped"]
        if bad:
            values["failed"][name] = str(bad[0].get("message")).split("\n")[0][:200]
        elif skipped:
            values["skipped"][name] = str(skipped[0].get("message"))[:200]
        else:
            values["passed"] += 1
            values["seconds"][name] = round(float(case.get("time", 0)), 2)
    return values


STAGE = Stage(
    "tests",
    "Do all tests that need a CUDA device pass on one?",
    "every test marked gpu",
    minutes=3,
    value=55,
    work=work,
)
