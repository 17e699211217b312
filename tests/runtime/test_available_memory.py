"""The memory that is left is what the system says, and no more than the control group's limit leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from simsearch.runtime import cpu

INFO = "MemTotal:       16000 kB\nMemFree:        1000 kB\nMemAvailable:   8000 kB\n"


@pytest.mark.parametrize(
    ("info", "group", "left"),
    [
        (INFO, {}, 8000 * 1024),
        (INFO, {"memory.max": "max\n", "memory.current": "5\n"}, 8000 * 1024),
        (INFO, {"memory.max": "4096000\n", "memory.current": "1000000\n"}, 3096000),
        (
            INFO,
            {"memory.max": "4096000", "memory.current": "1000000", "memory.stat": "anon 7\ninactive_file 9\n"},
            3096009,
        ),
        ("", {"memory.max": "10", "memory.current": "4"}, 6),
        ("nothing", {}, None),
        (None, {"memory.max": "many", "memory.current": "4"}, None),
    ],
)
def test_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: str | None, group: dict[str, str], left: int | None
) -> None:
    if info is not None:
        (tmp_path / "meminfo").write_text(info)
    for name, text in group.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(cpu, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(cpu, "_GROUP", tmp_path)
    assert cpu.available_memory() == left


def test_this_machine_has_some() -> None:
    left = cpu.available_memory()
    assert left is None or left > 1 << 20
