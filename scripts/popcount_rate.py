"""How many words' ones a core counts in a second, by its widest instruction: the ceiling of goal G9."""

from __future__ import annotations

import time
from typing import Any

from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

from simsearch.search.llvm import named

WORDS = 16  # of 32 bits in a register of 512
_CHAINS = 8  # counts under way at once, more than the instruction takes clocks
_ROUNDS = 50_000_000


def popcount_rate() -> float:
    """Words of 32 bits a second, from registers, on one core; the best of three tries."""
    _run(1)
    best = 0.0
    for _ in range(3):
        began = time.perf_counter()
        _run(_ROUNDS)
        best = max(best, WORDS * _CHAINS * _ROUNDS / (time.perf_counter() - began))
    return best


def _counted(_typing: Any, _rounds: Any) -> Any:
    """Counts of counts, over and over, in registers that do not wait for one another."""

    def code(_context: Any, build: Any, _signature: Any, arguments: Any) -> Any:
        word = ir.IntType(32)
        register = ir.VectorType(word, WORDS)
        count = named(build, "llvm.ctpop.v16i32", register, 1)
        chains = [cgutils.alloca_once(build, register) for _ in range(_CHAINS)]
        for i, chain in enumerate(chains):
            build.store(ir.Constant(register, [i + j for j in range(WORDS)]), chain)
        with cgutils.for_range(build, arguments[0]):
            for chain in chains:
                build.store(build.call(count, [build.load(chain)]), chain)
        total = build.load(chains[0])
        for chain in chains[1:]:
            total = build.add(total, build.load(chain))
        return build.extract_element(total, word(0))

    return types.uint32(types.intp), code


_counts = intrinsic(_counted)


@njit
def _run(rounds: int) -> Any:
    return _counts(rounds)


if __name__ == "__main__":
    print(f"{popcount_rate() / 1e9:.1f} billion words of 32 bits a second")
