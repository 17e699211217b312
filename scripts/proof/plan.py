"""Which stages fit into some minutes, most valuable first, in which calls, and what has to be carried for each."""

from __future__ import annotations

from pathlib import Path

from proof.stage import CARRY_MIB, Input, Stage

START_MINUTES = 2.0  # a machine's start and the transfers of the calls
CALL_MINUTES = 9.0  # most that one call may take
WHEELS_MIB, FAISS_MIB = 4.0, 27.0  # what such a machine lacks, packed


def plan(stages: list[Stage], minutes: float, data: Path) -> list[str]:
    """The lines of a plan.

    Args:
        stages: What could be run.
        minutes: Of device time, starts included.
        data: Where the inputs lie here; their true sizes are told where they do.
    """
    chosen, left = fitting(stages, minutes)
    lines = [f"In {minutes:g} minutes, {START_MINUTES:g} of them for the start, most valuable first:", ""]
    for stage in chosen:
        lines += [f"{stage.name}: {stage.minutes:g} min. {stage.question}", f"    works on {stage.size}"]
    for number, call in enumerate(calls(chosen), 1):
        lines += ["", *_told(number, call, data)]
    out = [stage.name for stage in stages if stage not in chosen]
    lines += ["", f"{left:.1f} minutes are left" + (f"; no room for {', '.join(out)}" if out else "")]
    lines += [
        "A machine that was given back has lost packages and inputs: let calls follow at once, or carry them again.",
        "Parts that came back are taken up from results/gpu, where OUT's files belong.",
    ]
    return lines


def fitting(stages: list[Stage], minutes: float) -> tuple[list[Stage], float]:
    """The stages that fit, most valuable first, and the minutes left over."""
    chosen, left = [], minutes - START_MINUTES
    for stage in sorted(stages, key=lambda each: -each.value):
        if stage.minutes <= left:
            chosen.append(stage)
            left -= stage.minutes
    return chosen, max(0.0, left)


def calls(stages: list[Stage]) -> list[list[Stage]]:
    """The stages in their order, as many in a call as its minutes and what can be carried allow."""
    found: list[list[Stage]] = []
    for stage in stages:
        longer = [*found[-1], stage] if found else []
        if longer and sum(each.minutes for each in longer) <= CALL_MINUTES and weight(longer) <= CARRY_MIB:
            found[-1] = longer
        else:
            found.append([stage])
    return found


def weight(stages: list[Stage]) -> float:
    """MiB that a call of these stages carries, at most, on a machine that has nothing."""
    packages = WHEELS_MIB + (FAISS_MIB if any(stage.faiss for stage in stages) else 0)
    return packages + sum(wanted.mib for stage in stages for wanted in stage.inputs)


def _told(number: int, call: list[Stage], data: Path) -> list[str]:
    faiss = [f".gpu/faiss.tar.xz ({FAISS_MIB:g} MiB)"] if any(stage.faiss for stage in call) else []
    inputs = [f".gpu/data/{i.path} ({_mib(i, data):.1f} MiB)" for stage in call for i in stage.inputs]
    names = " ".join(stage.name for stage in call)
    return [
        f"Call {number}, {sum(stage.minutes for stage in call):g} minutes; carry "
        + ", ".join([".gpu/activate", f".gpu/wheels.tar.xz ({WHEELS_MIB:g} MiB)", *faiss, *inputs]),
        f"    source .gpu/activate && python3 scripts/gpu_proof.py {names} --data .gpu/data --output OUT "
        f"--minutes {sum(stage.minutes for stage in call):g} --commit $(git rev-parse HEAD)",
    ]


def _mib(wanted: Input, data: Path) -> float:
    """What an input weighs here, or what it is said to weigh."""
    path = data / wanted.path
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 2**20 if files else wanted.mib


def check(stage: Stage) -> None:
    """Make sure that what a stage needs can be carried in one call.

    Raises:
        ValueError: It is too heavy.
    """
    if (heavy := weight([stage])) > CARRY_MIB:
        raise ValueError(f"{stage.name} needs {heavy:g} MiB carried, more than {CARRY_MIB:g}")
