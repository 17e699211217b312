"""The provenance of measured figures: machine, versions, commit, command."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("simsearch", "torch", "torchvision", "faiss-gpu", "faiss-cpu", "numpy", "pillow")

UNKNOWN = "unknown"


def write_record(path: Path, values: dict[str, Any], *, verdict: str, commit: str | None = None) -> None:
    """Write measured values as JSON, with their provenance.

    Args:
        path: File to write; its folder is created.
        values: The figures; JSON types only.
        verdict: One line on what they show, losses included.
        commit: Of the code, for a copy of a checkout without git.
    """
    measured = provenance()
    if measured["commit"] == UNKNOWN and commit:
        measured["commit"] = commit
    record = {"verdict": verdict, **values, "measured": measured}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def provenance() -> dict[str, Any]:
    """Return date, command, commit, machine and versions of this run."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": shlex.join([Path(sys.argv[0]).name, *map(portable, sys.argv[1:])]),
        "commit": _git("rev-parse", "HEAD") or UNKNOWN,
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "gpu": _gpu(), "system": platform.system()},
        "versions": {"python": platform.python_version(), **_versions()},
    }


def portable(argument: str) -> str:
    """Return an argument without this machine's folders: relative to the current one, else a path's last name."""
    option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
    path = Path(value)
    if not path.is_absolute():
        return argument
    here = Path.cwd()
    return f"{option}{equals}{path.relative_to(here) if path.is_relative_to(here) else path.name}"


def _git(*arguments: str) -> str:
    """Return the commit of this checkout by git; nothing where there is none."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():  # installed: a repository further up is another project's
        return ""
    try:
        said = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.stdout.decode().strip()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
