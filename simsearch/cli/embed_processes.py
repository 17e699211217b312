"""One process a device, each with its share of the inputs: how a machine with several GPUs embeds."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from simsearch.errors import InputError, SimsearchError
from simsearch.images.source import printable

_PATIENCE_S = 60.0  # for a process that was asked to end: a batch, and writing a part


class ProcessFailed(SimsearchError):
    """One of several processes ended with an error; its last line says which."""


def embed_in_processes(
    arguments: Sequence[str],
    devices: Sequence[str],
    output: Path,
    *,
    shard: tuple[int, int],
    listed: Path | None = None,
    progress: Callable[[int], None],
) -> dict[str, Any]:
    """Run `simsearch embed` once a device, and return the sums of what they tell.

    Inputs go to a process by their paths, so that each keeps its own when others are added later.

    Args:
        arguments: Inputs and flags, without --output, --shard, --device, --from-list and --json.
        devices: Where each runs.
        output: Gets a folder for each, `shard-i-of-n`.
        shard: The share (i, n) of all inputs that is embedded here, i from 1.
        listed: A list of inputs; a pipe is read once, and its content given to each.
        progress: Told the number of inputs done by all.

    Raises:
        InputError: the output folder holds anything but such shares.
        ProcessFailed: one ended with an error; the others were stopped, and the same command goes on.
    """
    first, of = shard
    total = of * len(devices)
    _require_shares(output, total)
    more, stdin = _list_flags(listed)
    commands = []
    for number, device in enumerate(devices):
        mine = first + number * of
        command = [sys.executable, "-m", "simsearch.cli", "embed", *arguments, *more, "--device", device, "--json"]
        command += ["--shard", f"{first}/{of}", "--share", f"{number + 1}/{len(devices)}", "--parent", str(os.getpid())]
        command += ["--output", str(output / f"shard-{mine}-of-{total}")]
        commands.append(command)
    with ExitStack() as stack:
        children: list[subprocess.Popen[str]] = []
        stack.callback(_stop, children)
        for command in commands:
            given = subprocess.DEVNULL if stdin is None else stack.enter_context(_content(stdin))
            children.append(
                subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
        told = _told(children, progress)
    sums: dict[str, Any] = {key: sum(one[key] for one in told) for key in ("rows", "parts", "rejected")}
    codes = sum((Counter(one["rejected_by_code"]) for one in told), Counter[str]())
    return {**sums, "rejected_by_code": dict(codes), "model": told[0]["model"]}


def share_of(path: bytes, of: int) -> int:
    """Return which of `of` processes a path goes to, from 1.

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


def _list_flags(listed: Path | None) -> tuple[list[str], bytes | None]:
    """The flags that hand a list on, and what stands on standard input with them."""
    if listed is None:
        return [], None
    if str(listed) == "-":
        return ["--from-list", "-"], sys.stdin.buffer.read()
    try:
        pipe = stat.S_ISFIFO(listed.stat().st_mode)
        return (["--from-list", "-"], listed.read_bytes()) if pipe else (["--from-list", str(listed)], None)
    except OSError as error:
        raise InputError(f"cannot read the list {listed}: {error}") from error


def _content(data: bytes) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's stack closes it
    file.write(data)
    file.seek(0)
    return file


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
    """End those that still run, and wait until they have: they bring to disk what they did."""
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
