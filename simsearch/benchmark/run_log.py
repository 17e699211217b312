"""The log of runs on one set of photographs: every use of test data leaves a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simsearch.benchmark.results import Results
from simsearch.errors import InputError
from simsearch.runtime.files import published


def append_log(results: Results, path: Path) -> None:
    """Append a run to a JSON list: date, commit, photographs, methods, splits and headline figures.

    Raises:
        InputError: The file is there and holds no list.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a log: {error}") from error
    if not isinstance(entries, list):
        raise InputError(f"{path} holds a {type(entries).__name__}; a log is a list")
    text = json.dumps([*entries, log_entry(results)], indent=1, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with published(path) as part:
        part.write_text(text, encoding="utf-8")


def log_entry(results: Results) -> dict[str, Any]:
    """Return the summary of one run."""
    provenance = results.provenance
    return {
        "date": provenance.get("date"),
        "commit": provenance.get("commit"),
        "uncommitted_changes": provenance.get("uncommitted_changes"),
        "command": provenance.get("command"),
        "photographs": results.photographs.name,
        "count": results.photographs.count,
        "digest": results.photographs.digest,
        "methods": [method.name for method in results.methods if method.missing is None],
        "splits": list(results.settings.get("seeds", [])),
        "headline": {
            f"{mean.method} by {mean.metric}": {
                "auc_on_grid": round(mean.auc_on_grid.mean, 4),
                "auc": round(mean.auc.mean, 4),
                "auc_right_image": round(mean.auc_right_image.mean, 4),
                "fpr": mean.fpr,
                "recall": round(mean.recall.mean, 4),
                "supported": mean.supported,
            }
            for mean in results.means
        },
    }
