"""Instructions of LLVM for code compiled by numba."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

LINE = 64  # bytes of a line of the cache
WORD = ir.IntType(64)
INT = ir.IntType(32)


def named(builder: Any, name: str, kind: Any, count: int, *more: Any) -> Any:
    """Return the LLVM intrinsic of that name: from `count` values of a type, and others, to one of that type."""
    function = ir.FunctionType(kind, [*([kind] * count), *more])
    return cgutils.get_or_insert_function(builder.module, function, name)  # type: ignore[no-untyped-call]


def prefetch(build: Any, first: Any, length: Any) -> None:
    """Prefetch so many bytes of memory from an address on; what does not exist is ignored."""
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, INT, INT, INT])
    intrinsic = cgutils.get_or_insert_function(build.module, kind, "llvm.prefetch.p0i8")  # type: ignore[no-untyped-call]
    with cgutils.for_range_slice(build, WORD(0), length, WORD(LINE), inc=True) as (line, _):
        build.call(intrinsic, [build.inttoptr(build.add(first, line), byte), INT(0), INT(3), INT(1)])
