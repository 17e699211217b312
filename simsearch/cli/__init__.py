"""The command line: one Typer app; each command parses, calls one function, prints."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence

from simsearch.cli import terminal
from simsearch.cli.exit_codes import DEFECT, FAILED, SIGNALLED, USAGE
from simsearch.cli.signals import ending_as_interrupt
from simsearch.errors import LibraryExists, SimsearchError

_KEEPING = {"index", "embed", "finetune", "benchmark", "repair"}  # commands that can be resumed
_GOES_ON = "what was committed is kept, and the same command goes on from there"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 done, also where whoever read the results has gone; 1 done but some inputs were rejected; 2 wrong usage; 3 a named
    error, printed in one line; 70 a defect of simsearch, with its traceback; 129, 130, 143 ended by SIGHUP, Ctrl-C or
    SIGTERM.
    """
    terminal.open_streams()
    terminal.QUIET.set(False)
    came: Callable[[], signal.Signals | None] | None = None
    try:
        with ending_as_interrupt() as came:
            code = _run(arguments)
            if (number := came()) is not None:
                by = "interrupted" if number == signal.SIGINT else f"interrupted by {number.name}"
                terminal.note(f"{by}; {_GOES_ON}" if _goes_on(arguments) else by)
                code = SIGNALLED + number
        return terminal.finish(code)
    except KeyboardInterrupt:  # a second one, or the first again, while the first was still at work
        return SIGNALLED + ((came and came()) or signal.SIGINT)


def _goes_on(arguments: Sequence[str] | None) -> bool:
    given = sys.argv[1:] if arguments is None else arguments
    return next((word for word in given if not word.startswith("-")), None) in _KEEPING


def _run(arguments: Sequence[str] | None) -> int:
    out = sys.stdout
    try:
        from simsearch.cli.app import app

        app(args=arguments, prog_name="simsearch")
    except SystemExit as end:
        gone = sys.stdout is not out  # Typer puts another stream there when it meets a closed pipe, and exits with 1
        return 0 if gone else end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT
    except terminal.ReaderGone:
        return 0
    except LibraryExists as error:
        terminal.failure(error)
        return USAGE
    except (SimsearchError, OSError) as error:
        terminal.failure(error)
        return FAILED
    except MemoryError:
        terminal.note("error: there is not enough memory; try a smaller --batch-size or fewer --workers")
        return FAILED
    except Exception:
        sys.excepthook(*sys.exc_info())
        return DEFECT
    return 0
