"""The command line: one Typer app; each command parses, calls one function, prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from simsearch.cli import terminal
from simsearch.cli.app import app
from simsearch.errors import LibraryExists, SimsearchError

USAGE, FAILED, DEFECT, INTERRUPTED = 2, 3, 70, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 done; 1 done but some inputs were rejected; 2 wrong usage; 3 a named error, told in one line; 130 interrupted;
    70 a defect of simsearch, with its traceback.
    """
    terminal.tolerate_any_name()
    try:
        app(args=arguments, prog_name="simsearch")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            terminal.note("interrupted; what was committed is kept, and the same command goes on from there")
        return end.code if isinstance(end.code, int) else 0
    except LibraryExists as error:
        terminal.note(f"error: {error}")
        return USAGE
    except (SimsearchError, OSError) as error:
        terminal.note(f"error: {error}")
        return FAILED
    except Exception:
        sys.excepthook(*sys.exc_info())
        return DEFECT
    return 0
