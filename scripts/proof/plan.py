"""Which stages fit into some minutes, most valuable first, and what has to be carried for each."""

from __future__ import annotations

from pathlib import Path

from proof.stage import PART_MIB, Input, Stage

START_MINUTES = 2.0  # a machine's start and the transfers of a call


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
        if stage.faiss:
            lines.append("    packages: .gpu with FAISS")
        for part, inputs in stage.parts.items():
            sizes = ", ".join(f"{wanted.path} ({_mib(wanted, data):.1f} MiB)" for wanted in inputs)
            lines.append(f"    part {part}: {sizes}")
        lines.append("")
    names = " ".join(stage.name for stage in chosen)
    if names:
        lines.append(f"Run: scripts/gpu_proof {names} --data CARRIED --commit $(git rev-parse HEAD)")
        lines.append("A stage whose inputs come in parts keeps each part, and works once the last has come.")
    out = [stage.name for stage in stages if stage not in chosen]
    lines.append(f"{left:.1f} minutes are left" + (f"; no room for {', '.join(out)}" if out else ""))
    return lines


def fitting(stages: list[Stage], minutes: float) -> tuple[list[Stage], float]:
    """The stages that fit, most valuable first, and the minutes left over."""
    chosen, left = [], minutes - START_MINUTES
    for stage in sorted(stages, key=lambda each: -each.value):
        if stage.minutes <= left:
            chosen.append(stage)
            left -= stage.minutes
    return chosen, max(0.0, left)


def _mib(wanted: Input, data: Path) -> float:
    """What an input weighs here, or what it is said to weigh."""
    path = data / wanted.path
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 2**20 if files else wanted.mib


def check(stage: Stage) -> None:
    """Make sure that each part of a stage's inputs can be carried.

    Raises:
        ValueError: One is too heavy.
    """
    for part, inputs in stage.parts.items():
        if (weight := sum(wanted.mib for wanted in inputs)) > PART_MIB:
            raise ValueError(f"{stage.name}, part {part}: {weight} MiB, more than {PART_MIB}")
