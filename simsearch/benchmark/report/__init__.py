"""The reports of a run, made from its results alone."""

from __future__ import annotations

from pathlib import Path

from simsearch.benchmark.results import Results


def write_output(results: Results, folder: Path) -> Path:
    """Write tables, plots and the report of a run; return the report's path.

    Raises:
        DependencyMissing: Matplotlib is not installed.
    """
    from simsearch.benchmark.report.html import write_report
    from simsearch.benchmark.report.plots import write_plots
    from simsearch.benchmark.report.tables import write_tables

    write_tables(results, folder)
    write_plots(results, folder)
    return write_report(results, folder)
