"""`simsearch doctor`: is this installation sound?"""

from __future__ import annotations

from dataclasses import asdict

import typer

from simsearch.cli import terminal
from simsearch.cli.options import AsJson, Config, Quiet, examples

app = typer.Typer(rich_markup_mode=None)
BROKEN_EXIT = 3


@app.command(epilog=examples("doctor", "doctor --json"))
def doctor(as_json: AsJson = False, quiet: Quiet = False, config: Config = None) -> None:
    """Check this installation.

    Looks at versions, clashing wheels, GPUs, shared memory and decoding, and whether each model gives its golden rows.
    Exits with 3 when something is broken.
    """
    from simsearch.cli.commands.doctor_checks import Health, run_checks

    broken = 0
    for check in run_checks():
        broken += check.health is Health.BROKEN
        if as_json:
            terminal.show_json(asdict(check))
        else:
            terminal.show(f"{check.health:8} {check.name:16} {check.detail}")
    if broken:
        terminal.note(f"error: {broken} of the checks above found something broken")
        raise typer.Exit(BROKEN_EXIT)
