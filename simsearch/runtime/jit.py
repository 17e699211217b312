"""Passes compiled by numba, and cached on disk (`kernel_cache`) between processes.

Numba's own cache keys closures by their pickles, which may differ between processes, and does not see that a function
in another file has changed. Here a pass has a label of its own, and all sources count.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from simsearch.runtime.kernel_cache import kept, named

_rebuild: Any = CompileResult._rebuild
_dumps: Any = dumps

# Numba counts the functions of a process and calls their code by that number. Code that another process has kept must
# not bear the name of other code of this one: the linker takes the first of a name, whatever it computes.
_identity: Any = FunctionIdentity


def _count_from_anywhere() -> None:
    _identity._unique_ids = itertools.count(secrets.randbits(62))


_count_from_anywhere()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_from_anywhere)


def compiled(*label: object, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function that releases the GIL, as `njit(nogil=True)`, unless it is on disk.

    Only functions that Python calls need it: their code includes all that they call.

    Args:
        label: The pass and its specialisation, in parts; unique.
        options: Further ones of `njit`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher: Any = njit(nogil=True, **options)(function)
        if dispatcher is not function:  # as it is where numba's JIT is disabled
            dispatcher._cache = _OnDisk(named(*label))
        return dispatcher

    return decorate


class _OnDisk(NullCache):
    """Numba's cache interface, called before it compiles a function for arguments of some types, and after."""

    def __init__(self, label: str) -> None:
        self._label = label

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function; None where there is no usable one."""
        target_context.refresh()
        data = kept().read(self._name(sig, target_context.codegen()))
        if data is None:
            return None
        with suppress(Exception):  # written by another numba, whatever its version said
            return _rebuild(target_context, *pickle.loads(data))  # the user's own, see `kernel_cache`
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Cache it, unless it holds addresses of this process."""
        if not data.library.has_dynamic_globals and not any(not lifted.can_cache for lifted in data.lifted):
            kept().write(self._name(sig, data.codegen), _dumps(data._reduce()))

    def _name(self, sig: Any, codegen: Any) -> str:
        types = hashlib.sha256(f"{sig!r} {codegen.magic_tuple()!r}".encode()).hexdigest()
        return f"{self._label}.{types[:24]}"
