"""Compiled kernels: their laws in Triton's interpreter and on a GPU, how they start, and that Hopper takes them."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import simsearch

triton = pytest.importorskip("triton")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Triton's compiler is for Linux")

ROOT = Path(simsearch.__file__).parent
WRITTEN_WITH_TRITON = [path for path in sorted(ROOT.rglob("*.py")) if "import triton" in path.read_text()]


def modules():
    for path in WRITTEN_WITH_TRITON:
        yield importlib.import_module(".".join(("simsearch", *path.relative_to(ROOT).with_suffix("").parts)))


def kernels():
    """Every kernel that a module of simsearch starts: those made by `launch.kernel`."""
    for module in modules():
        text = ast.parse(Path(module.__file__).read_text())
        for function in ast.walk(text):
            if isinstance(function, ast.FunctionDef) and any(
                ast.unparse(d) == "kernel" for d in function.decorator_list
            ):
                yield getattr(module, function.name)


@pytest.fixture
def started(monkeypatch):
    """What the functions around the kernels start, in sizes of many kinds, as (kernel, arguments, constants)."""
    from simsearch.search.few_queries import gpu_kernels
    from simsearch.search.metrics import hamming_triton, js_triton

    found = []

    def record(kernel, programs, *arguments, **constants):
        found.append((kernel, arguments, constants))

    for module in modules():
        if hasattr(module, "launch") and module.__name__ != "simsearch.runtime.triton_launch":
            monkeypatch.setattr(module, "launch", record)
    for q, n in ((2, 3), (1, 1), (1, 16), (16, 1), (48, 64), (3, 2000)):
        words = torch.zeros((q + 1, 3), dtype=torch.int32)[1:], torch.zeros((n, 3), dtype=torch.int32)
        hamming_triton.bit_counts(*words)
        hamming_triton.lowest_keys(*words, min(n, 17))
        hamming_triton.lowest_keys(*words, 1, live=torch.ones(n, dtype=torch.uint8))
        for d in (5, 8, 16):
            queries, rows = torch.ones((q + 1, d))[1:], torch.ones((n, d))
            js_triton.fused_log_sums(queries, rows)
            sums = gpu_kernels.row_sums(rows.half(), squares=q > 2)
            gpu_kernels.row_scores(queries, rows.half(), sums, roots=q > 2, gaps=q == 2)
    return found


def variant(kernel, arguments, constants):
    """What Triton would compile the kernel for on a Hopper GPU: types, alignments and values that it relies on."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler.compiler import make_backend
    from triton.runtime.jit import create_function_from_signature

    bind = create_function_from_signature(kernel.signature, kernel.params, make_backend(GPUTarget("cuda", 90, 32)))
    bound, specialisation, options = bind(*arguments, **constants)
    return bound, specialisation, options


def test_every_kernel_is_started_by_the_one_function_that_guards_the_device():
    for path in WRITTEN_WITH_TRITON:
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        direct = [call.lineno for call in calls if isinstance(call.func, ast.Subscript)]
        assert len(direct) == (path.stem == "triton_launch"), f"{path.name}:{direct}"
        jitted = [ast.unparse(call.func) for call in calls if "jit" in ast.unparse(call.func)]
        assert jitted == (["triton.jit"] if path.stem == "triton_launch" else [])


def test_a_launch_happens_on_the_device_of_its_tensors(monkeypatch):
    from simsearch.runtime.triton_launch import launch

    current, seen = [None], []

    @contextmanager
    def device_of(tensor):
        current.append(tensor)
        yield
        current.pop()

    class Kernel:
        def __getitem__(self, grid):
            return lambda *arguments, **constants: seen.append((grid, current[-1], arguments, constants))

    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    tensor = torch.zeros((2, 3))
    launch(Kernel(), 7, tensor, 4, ROWS=8)
    launch(Kernel(), 0, tensor, 4, ROWS=8)  # nothing to do
    [(grid, guarded, arguments, constants)] = seen
    assert (grid, arguments[1], constants) == ((7,), 4, {"ROWS": 8})
    assert guarded is tensor
    assert current == [None]


def test_sizes_and_addresses_make_no_variants(started):
    """A variant is compiled when it is first met: in a request."""
    keys, of_constants = {}, {}
    for kernel, arguments, constants in started:
        _, specialisation, _ = variant(kernel, arguments, constants)
        named = str(sorted(constants.items()))
        keys.setdefault(kernel, set()).add((str(specialisation), named))
        of_constants.setdefault(kernel, set()).add(named)
    assert set(keys) == set(kernels()), "a kernel that this test never starts"
    assert {kernel: len(found) for kernel, found in keys.items()} == {
        kernel: len(found) for kernel, found in of_constants.items()
    }


def test_hopper_takes_every_kernel_within_its_registers(started):
    from triton import compiler
    from triton.backends.compiler import GPUTarget

    for kernel, arguments, constants in {kernel: (kernel, *rest) for kernel, *rest in started}.values():
        fast = {name: True for name in ("POPCOUNT", "APPROXIMATE") if name in constants}
        bound, specialisation, options = variant(kernel, arguments, constants | fast)
        signature = {name: each[0] for name, each in zip(bound, specialisation, strict=True)}
        fixed = {(i,): bound[name] for i, (name, kind) in enumerate(signature.items()) if kind == "constexpr"}
        source = compiler.ASTSource(kernel, signature, fixed)
        made = compiler.compile(source, GPUTarget("cuda", 90, 32), {"num_warps": options["num_warps"]})
        assert made.asm["cubin"]
        assert all({"POPCOUNT": "popc.b32", "APPROXIMATE": "lg2.approx"}[name] in made.asm["ptx"] for name in fast)
        assert made.metadata.shared < 48 << 10


def test_the_laws_hold_in_the_interpreter():
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.search.kernel_laws"]
    done = subprocess.run(command, cwd=ROOT.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.parametrize("number", range(8))
def test_the_laws_hold_on_a_gpu(number):
    from tests.search.kernel_laws import LAWS

    assert len(LAWS) == 8
    LAWS[number](f"cuda:{torch.cuda.device_count() - 1}")  # the last: not the current one where there are several
