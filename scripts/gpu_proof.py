"""Run named stages on a GPU, tell which fit into some minutes, or rehearse all of them on the CPU at toy size."""

from __future__ import annotations

import argparse
import importlib
import shlex
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from proof.inputs import gather, make_toys, missing
from proof.limits import ceilings
from proof.plan import plan
from proof.stage import FILE_MIB, Run, Stage, read_parts, write_parts
from simsearch.errors import InputError
from simsearch.runtime.device import choose_device
from simsearch.runtime.provenance import write_record

MODULES = ("coexist", "serve", "js", "embed", "billion", "faiss", "train", "hamming", "tests", "limits")
_HOMES = {"tests": "suite", "faiss": "index"}  # pytest would take a module `tests` for its own, and `faiss` is one


def main() -> int:
    arguments = parser().parse_args()
    stages = [stage(name) for name in arguments.stages or MODULES]
    if arguments.plan is not None:
        print("\n".join(plan(stages, arguments.plan, arguments.data)))
        return 0
    if arguments.rehearse:
        with tempfile.TemporaryDirectory(prefix="gpu-proof-") as folder:
            return rehearse(stages, Path(folder))
    device = choose_device(arguments.device)
    if device.type != "cuda":
        print("error: no CUDA device here; --rehearse runs every stage on the CPU at toy size", file=sys.stderr)
        return 3
    ends = time.monotonic() + 60 * arguments.minutes
    bounds = ceilings(device, toy=False)
    done = True
    for each in stages:
        if gather(each, arguments.data, arguments.state):
            own = ends if len(stages) == 1 else min(ends, time.monotonic() + 60 * each.minutes)
            _recall(each, arguments.known, arguments.state)
            run = _run(each, device, arguments.state, arguments.output, deadline=own)
            done &= settle(each, run, {"limits": bounds}, commit=arguments.commit)
        else:
            print(f"{each.name}: waits for {', '.join(i.path for i in missing(each, arguments.state))}", flush=True)
    return 0 if done else 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="scripts/gpu_proof", description=__doc__)
    made.add_argument("stages", nargs="*", metavar="STAGE", help=f"of {', '.join(MODULES)}; by default all")
    made.add_argument("--plan", type=float, metavar="MINUTES", help="print the stages that fit, and what each needs")
    made.add_argument("--rehearse", action="store_true", help="run the stages on the CPU at toy size")
    made.add_argument("--data", type=Path, default=Path("../shared/data"), help="inputs, or a part of them")
    made.add_argument("--state", type=Path, default=Path("/tmp/simsearch-proof"), help="kept from call to call")
    made.add_argument("--known", type=Path, default=Path("results/gpu"), help="what came back from calls before")
    made.add_argument("--output", type=Path, default=Path("results/gpu"), help="for what comes back from this one")
    made.add_argument(
        "--minutes", type=float, default=9.0, help="of the call; of several stages each ends after its own minutes, too"
    )
    made.add_argument("--device", default="auto")
    made.add_argument("--commit", help="of this checkout, where git cannot say")
    return made


def stage(name: str) -> Stage:
    """The stage of that name.

    Raises:
        InputError: There is none.
    """
    if name not in MODULES:
        raise InputError(f"no stage {name!r}; there are {', '.join(MODULES)}")
    found: Stage = importlib.import_module(f"proof.{_HOMES.get(name, name)}").STAGE
    return found


def settle(each: Stage, run: Run, more: dict[str, Any], *, commit: str | None = None) -> bool:
    """Run a stage, write its record, print its verdict; False when it failed or is not finished."""
    began = time.monotonic()
    try:
        finding = each.work(run)
    except Exception as error:  # the stages after it must still run
        (run.output / f"{each.name}.failed.txt").write_text(traceback.format_exc(), encoding="utf-8")
        print(f"{each.name}: failed: {type(error).__name__}: {error}", flush=True)
        return False
    values = {
        "stage": each.name,
        "question": each.question,
        "size": "toy" if run.toy else each.size,
        "minutes": round((time.monotonic() - began) / 60, 2),
        "remaining": run.remaining,
        "goals": [measured.to_dict() for measured in finding.goals],
        **finding.values,
        **more,
    }
    write_record(run.output / f"{each.name}.json", values, verdict=finding.verdict, commit=commit)
    (run.output / f"{each.name}.failed.txt").unlink(missing_ok=True)
    left = f"; to be continued: {', '.join(run.remaining)}" if run.remaining else ""
    print(f"{each.name}: {finding.verdict}{left}", flush=True)
    heavy = [file for file in run.output.rglob("*") if file.is_file() and file.stat().st_size > FILE_MIB * 2**20]
    for file in heavy:
        print(
            f"{each.name}: {file.relative_to(run.output)} is above {FILE_MIB:g} MiB, too heavy to come back", flush=True
        )
    return not heavy and not run.remaining


def rehearse(stages: list[Stage], folder: Path) -> int:
    """Run stages on the CPU at toy size, on inputs made for it; 0 when all of them give a record within the limits."""
    data = make_toys(folder / "data")
    state, output = folder / "state", folder / "output"
    device = torch.device("cpu")
    done = True
    for each in stages:
        if not gather(each, data, state):
            print(f"{each.name}: the rehearsal made no {missing(each, state)[0].path}", flush=True)
            return 1
        run = _run(each, device, state, output, deadline=time.monotonic() + 600, toy=True)
        done &= settle(each, run, {})
    return 0 if done else 1


def _recall(each: Stage, known: Path, state: Path) -> None:
    """Take up the parts of a stage that came back from another machine."""
    own = state / each.name
    own.mkdir(parents=True, exist_ok=True)
    write_parts(own, read_parts(known).get(each.name, {}) | read_parts(own))


def _run(each: Stage, device: torch.device, state: Path, output: Path, *, deadline: float, toy: bool = False) -> Run:
    own = state / each.name
    for needed in (own, output):
        needed.mkdir(parents=True, exist_ok=True)
    return Run(device, toy, state / "inputs", own, output, deadline)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"interrupted; run it again: {shlex.join(sys.argv)}", file=sys.stderr)
        sys.exit(130)
