"""One process a device, each with its share of the inputs: how a machine with several GPUs embeds."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from simsearch.errors import SimsearchError


class ProcessFailed(SimsearchError):
    """One of several processes ended with an error; its last line says which."""


def embed_in_processes(
    arguments: Sequence[str],
    devices: Sequence[str],
    output: Path,
    *,
    shard: tuple[int, int],
    progress: Callable[[int], None],
) -> dict[str, Any]:
    """Run `simsearch embed` once a device, and return the sums of what they tell.

    Args:
        arguments: Inputs and flags, without --output, --shard, --device and --json.
        devices: Where each runs.
        output: Gets a folder for each, `shard-i-of-n`.
        shard: The share (i, n) of all inputs that is embedded here, i from 1.
        progress: Told the number of inputs done by all.

    Raises:
        ProcessFailed: one ended with an error; the others were stopped, and the same command goes on.
    """
    first, of = shard
    total = of * len(devices)
    commands = []
    for number, device in enumerate(devices):
        mine = first + number * of
        command = [sys.executable, "-m", "simsearch.cli", "embed", *arguments, "--device", device, "--json"]
        command += ["--shard", f"{mine}/{total}", "--output", str(output / f"shard-{mine}-of-{total}")]
        commands.append(command)
    with ExitStack() as stack:
        children = [
            stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            for command in commands
        ]
        stack.callback(_stop, children)
        told = _told(children, progress)
    sums: dict[str, Any] = {key: sum(one[key] for one in told) for key in ("rows", "parts", "rejected", "skipped")}
    for key in ("rejected_by_code", "skipped_by_kind"):
        sums[key] = dict(sum((Counter(one[key]) for one in told), Counter[str]()))
    return {**sums, "model": told[0]["model"]}


def _told(children: Sequence[subprocess.Popen[str]], progress: Callable[[int], None]) -> list[dict[str, Any]]:
    """What every process printed, while their progress is told as one."""
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
    told = []
    for number, child in enumerate(children):
        assert child.stdout is not None  # it is a pipe
        text = child.stdout.read()
        status = child.wait()
        threads[number].join()
        if status:
            raise ProcessFailed(f"process {number + 1} ended with {status}: {last[number] or 'it said nothing'}")
        told.append(json.loads(text))
    return told


def _stop(children: Sequence[subprocess.Popen[str]]) -> None:
    """End those that still run."""
    for child in children:
        if child.poll() is None:
            child.terminate()
