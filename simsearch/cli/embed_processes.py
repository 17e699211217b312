"""One process a device, each with its share of the inputs: how a machine with several GPUs embeds."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
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
    children = []
    for number, device in enumerate(devices):
        mine = first + number * of
        command = [sys.executable, "-m", "simsearch.cli", "embed", *arguments, "--device", device, "--json"]
        command += ["--shard", f"{mine}/{total}", "--output", str(output / f"shard-{mine}-of-{total}")]
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    done = [0] * len(children)
    last = [""] * len(children)

    def listen(number: int) -> None:
        stream = children[number].stderr
        assert stream is not None  # it is a pipe
        for line in stream:
            try:
                done[number] = int(json.loads(line)["done"])
                progress(sum(done))
            except (ValueError, KeyError, TypeError):
                last[number] = line.strip() or last[number]

    threads = [threading.Thread(target=listen, args=(i,), daemon=True) for i in range(len(children))]
    for thread in threads:
        thread.start()
    try:
        told = [_told(child, threads[i], last, i) for i, child in enumerate(children)]
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()
                child.wait()
    sums: dict[str, Any] = {key: sum(one[key] for one in told) for key in ("rows", "parts", "rejected")}
    codes = sum((Counter(one["rejected_by_code"]) for one in told), Counter[str]())
    return {**sums, "rejected_by_code": dict(codes), "model": told[0]["model"]}


def _told(child: subprocess.Popen[str], listener: threading.Thread, last: list[str], number: int) -> dict[str, Any]:
    """What a process printed."""
    assert child.stdout is not None  # it is a pipe
    text = child.stdout.read()
    status = child.wait()
    listener.join()
    if status:
        raise ProcessFailed(f"process {number + 1} ended with {status}: {last[number] or 'it said nothing'}")
    told: dict[str, Any] = json.loads(text)
    return told
