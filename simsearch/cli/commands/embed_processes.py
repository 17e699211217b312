"""One process a device, each with its share of the inputs: how a machine with several GPUs embeds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from simsearch.errors import InputError, ProcessFailed
from simsearch.images.source import printable

_PATIENCE_S = 60.0  # for a process to end: a batch, and writing a part


def embed_in_processes(
    arguments: Sequence[str],
    devices: Sequence[str],
    output: Path,
    *,
    shard: tuple[int, int],
    progress: Callable[[int], None],
) -> dict[str, Any]:
    """Run `simsearch embed` once a device, and return the sums of their reports.

    Inputs go to a process by their paths, so that each keeps its own when others are added later.

    Args:
        arguments: Inputs and flags, without --output, --shard, --device and --json.
        devices: One a process.
        output: Gets a folder for each, `shard-i-of-n`.
        shard: The share (i, n) of all inputs that is embedded here, i from 1.
        progress: Called with the number of inputs done by all.

    Raises:
        InputError: The output folder holds anything but such shares.
        ProcessFailed: One ended with an error; the others were stopped, and the same command resumes.
    """
    first, of = shard
    total = of * len(devices)
    _require_shares(output, total)
    commands = []
    for number, device in enumerate(devices):
        mine = first + number * of
        command = [sys.executable, "-m", "simsearch.cli", "embed", *arguments, "--device", device, "--json"]
        command += ["--shard", f"{first}/{of}", "--share", f"{number + 1}/{len(devices)}", "--parent", str(os.getpid())]
        command += ["--output", str(output / f"shard-{mine}-of-{total}")]
        commands.append(command)
    with ExitStack() as stack:
        children: list[subprocess.Popen[str]] = []
        stack.callback(_stop, children)
        for command in commands:
            none, pipe = subprocess.DEVNULL, subprocess.PIPE
            children.append(subprocess.Popen(command, stdin=none, stdout=pipe, stderr=pipe, text=True))
        reports = _reports(children, progress)
    sums: dict[str, Any] = {key: sum(one[key] for one in reports) for key in ("rows", "parts", "rejected", "skipped")}
    for key in ("rejected_by_code", "skipped_by_kind"):
        sums[key] = dict(sum((Counter(one[key]) for one in reports), Counter[str]()))
    return {**sums, "model": reports[0]["model"]}


def share_of(path: bytes, of: int) -> int:
    """Return which of `of` processes embeds a path, from 1.

    Example:
        >>> share_of(b"/photos/cat.jpg", 1)
        1
    """
    return zlib.crc32(path) % of + 1


def _require_shares(output: Path, total: int) -> None:
    """Refuse a folder in which rows of another kind of run lie, since an input would have its row twice."""
    if not output.is_dir():
        return
    for path in sorted(output.iterdir()):
        if not re.fullmatch(rf"shard-[0-9]+-of-{total}", path.name):
            raise InputError(
                f"{output} holds {printable(os.fsencode(path.name))}, which a run on so many devices does not write; "
                "give the same --device and --shard as then, or a new folder"
            )


def _reports(children: Sequence[subprocess.Popen[str]], progress: Callable[[int], None]) -> list[dict[str, Any]]:
    """Return the reports of all processes, and sum up their progress meanwhile."""
    done, last = [0] * len(children), [""] * len(children)

    def listen(number: int) -> None:
        stream = children[number].stderr
        assert stream is not None  # it is a pipe
        for line in stream:
            try:
                done[number] = int(json.loads(line)["done"])
                progress(sum(done))
            except (ValueError, KeyError, TypeError):
                last[number] = line.strip() or last[number]

    threads = [threading.Thread(target=listen, args=(number,), daemon=True) for number in range(len(children))]
    for thread in threads:
        thread.start()
    reports = []
    for number, child in enumerate(children):
        assert child.stdout is not None  # it is a pipe
        text = child.stdout.read()
        status = child.wait()
        threads[number].join()
        if status:
            raise ProcessFailed(f"process {number + 1} ended with {status}: {last[number] or 'it said nothing'}")
        reports.append(json.loads(text))
    return reports


def _stop(children: Sequence[subprocess.Popen[str]]) -> None:
    """End those that still run, and wait while they write their rows to disk."""
    for child in children:
        if child.poll() is None:
            child.terminate()
    try:
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_PATIENCE_S)
    finally:  # also where Ctrl-C is pressed again
        for child in children:
            if child.poll() is None:
                child.kill()
                child.wait()
            for stream in (child.stdout, child.stderr):
                if stream is not None:
                    stream.close()
