"""Exit codes of the commands; 0 is done, also where the reader of the results has gone."""

from __future__ import annotations

SOME_REJECTED = 1  # done, but some inputs could not be used
USAGE = 2
FAILED = 3  # a named error, or damage found, printed in one line
LISTED = 10  # `check` found something listed
DEFECT = 70  # of simsearch, with its traceback
SIGNALLED = 128  # to which the number of the signal is added
