"""How a command ended, as its exit code says it; 0 is done, also where whoever read the results has gone."""

from __future__ import annotations

SOME_REJECTED = 1  # done, but some inputs could not be used
USAGE = 2
FAILED = 3  # a named error, or something found damaged, told in one line
DEFECT = 70  # of simsearch, with its traceback
SIGNALLED = 128  # to which the number of the signal is added
