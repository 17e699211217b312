from __future__ import annotations

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest

from simsearch.errors import InputError, RejectCode, SimsearchError
from simsearch.images import Limits, Prepared, Rejected, Source, decode, find, prepare, quality
from simsearch.images.workers import process as child_module
from simsearch.images.workers.pool import LOOK_AHEAD, Pool, in_order
from tests.images.pictures import SQUASH, encoded, scene

ROOT = Path(__file__).resolve().parents[3]
Result = Prepared | Rejected


@pytest.fixture
def many(tmp_path: Path) -> list[Source | Rejected]:
    """Pictures of several formats, with an empty file, a text file, a cut one and a dangling link among them."""
    for i in range(40):
        kind = ("PNG", "JPEG", "WEBP", "GIF")[i % 4]
        (tmp_path / f"{i:03}.bin").write_bytes(encoded(scene(30 + i, 40, seed=i), kind))
    (tmp_path / "005.bin").write_bytes(b"")
    (tmp_path / "011.bin").write_bytes(b"\0no picture")
    (tmp_path / "017.bin").write_bytes(encoded(scene(), "PNG")[:200])
    (tmp_path / "023.bin").unlink()
    (tmp_path / "023.bin").symlink_to("nowhere")
    return list(find([tmp_path]))


def with_faults(
    sources: Iterable[Source | Rejected], *, workers: int, limits: Limits | None = None, decoder: str = "faulty"
) -> Iterator[Result]:
    extra = ("--decoder", f"tests.images.faults:{decoder}")
    return in_order(sources, Pool((SQUASH,), limits or Limits(), workers, extra=extra))


def files(folder: Path, *contents: bytes) -> list[Source | Rejected]:
    for i, content in enumerate(contents):
        (folder / f"{i:04}").write_bytes(content)
    return list(find([folder]))


def codes(results: Iterable[Result]) -> list[str]:
    return [result.code.value if isinstance(result, Rejected) else "ok" for result in results]


def children() -> set[int]:
    """Processes whose parent is this one, zombies included."""
    text = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
    return {int(pid) for pid in text.split()}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def same(one: Result, other: Result) -> bool:
    if isinstance(one, Rejected) or isinstance(other, Rejected):
        return one == other
    rest = [dataclasses.replace(each, squares=()) for each in (one, other)]
    fields = [[getattr(each, field.name) for field in dataclasses.fields(each)] for each in rest]
    return fields[0] == fields[1] and all(map(np.array_equal, one.squares, other.squares))


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gives_the_same_results_in_input_order(many: list[Source], workers: int) -> None:
    here = list(prepare(many, SQUASH, workers=0))
    there = list(prepare(many, SQUASH, workers=workers))
    assert [result.source for result in there] == [one.source if isinstance(one, Rejected) else one for one in many]
    assert all(same(one, other) for one, other in zip(here, there, strict=True))
    assert {code: codes(there).count(code) for code in set(codes(there))} == {
        "ok": 36, "empty": 1, "unknown_format": 1, "truncated": 1, "io_error": 1,
    }  # fmt: skip


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_said_of_a_picture_is_true(tmp_path: Path, workers: int) -> None:
    data = encoded(scene(123, 45), "JPEG")
    (result,) = prepare(files(tmp_path, data), SQUASH, workers=workers)
    assert isinstance(result, Prepared)
    assert (result.pixels.shape, result.pixels.dtype) == ((24, 24, 3), np.uint8)
    assert np.array_equal(result.pixels, SQUASH.apply(decode(data, at_least=24).image))
    assert (result.width, result.height, result.n_bytes) == (123, 45, len(data))
    assert result.sha256 == hashlib.sha256(data).digest()
    assert result.quality == quality(result.pixels)
    assert result.pixels.flags.writeable


def test_results_stay_what_they_were_when_later_ones_come(tmp_path: Path) -> None:
    sources = files(tmp_path, *(encoded(scene(seed=i)) for i in range(100)))
    kept = list(prepare(sources, SQUASH, workers=1))
    assert all(same(one, other) for one, other in zip(kept, prepare(sources, SQUASH, workers=0), strict=True))


def test_nothing_and_only_rejects_start_no_worker(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("nowhere")
    before = children()
    assert list(prepare([], SQUASH, workers=2)) == []
    results = prepare(find([tmp_path]), SQUASH, workers=2)
    assert codes([next(results)]) == ["io_error"]
    assert children() == before
    assert list(results) == []


def test_a_crash_costs_one_reject(tmp_path: Path) -> None:
    good = encoded(scene())
    contents = [good] * 30
    contents[0] = contents[7] = contents[8] = contents[29] = b"crash"
    contents[15] = b"exit"
    for workers in (1, 2):
        results = list(with_faults(files(tmp_path, *contents), workers=workers))
        assert codes(results) == ["worker_died" if c in (b"crash", b"exit") else "ok" for c in contents]
        assert "SIGSEGV" in results[0].message  # type: ignore[union-attr]
        assert "exit status 3" in results[15].message  # type: ignore[union-attr]


def test_a_hang_costs_one_reject_and_its_time(tmp_path: Path) -> None:
    good = encoded(scene())
    contents = [good, b"hang", good, good, b"hang", good]
    start = time.monotonic()
    results = list(with_faults(files(tmp_path, *contents), workers=1, limits=Limits(timeout_s=0.5)))
    assert codes(results) == ["ok", "timeout", "ok", "ok", "timeout", "ok"]
    assert "0.5 seconds" in results[1].message  # type: ignore[union-attr]
    assert time.monotonic() - start < 20


def test_a_hang_that_not_even_the_alarm_ends_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "GRACE_S", 0.3)
    results = with_faults(files(tmp_path, b"deaf", encoded(scene())), workers=1, limits=Limits(timeout_s=0.3))
    assert codes(results) == ["timeout", "ok"]


def test_many_slow_pictures_are_not_taken_for_one_hang(tmp_path: Path) -> None:
    contents = [b"slow " + encoded(scene())] * 5
    results = with_faults(files(tmp_path, *contents), workers=1, limits=Limits(timeout_s=1.2))
    assert codes(results) == ["ok"] * 5


def test_a_caller_who_takes_his_time_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "GRACE_S", 0.0)
    contents = [encoded(scene())] * 40
    results = with_faults(files(tmp_path, *contents), workers=1, limits=Limits(timeout_s=1.0))
    first = codes([next(results)])
    time.sleep(1.5)
    assert first + codes(results) == ["ok"] * 40


def test_noise_and_exceptions_of_a_decoder_stay_inside(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    contents = [b"print", b"raise", encoded(scene())]
    assert codes(with_faults(files(tmp_path, *contents), workers=1)) == ["unknown_format", "decode_error", "ok"]
    assert capfd.readouterr() == ("", "")


def test_workers_import_nothing_heavy(tmp_path: Path) -> None:
    contents = [encoded(scene(), kind) for kind in ("JPEG", "PNG", "TIFF", "WEBP")]
    results = list(with_faults(files(tmp_path, *contents), workers=1, decoder="modules"))
    assert [result.message for result in results if isinstance(result, Rejected)] == ["ValueError: heavy: []"] * 4


def test_importing_the_room_loads_nothing_heavy() -> None:
    heavy = "('torch', 'faiss', 'pyarrow', 'scipy', 'subprocess')"
    code = f"import sys, simsearch.images; sys.exit(str([m for m in {heavy} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


def test_reading_ahead_is_bounded(many: list[Source]) -> None:
    taken = 0

    def counted() -> Iterator[Source]:
        nonlocal taken
        while True:
            taken += 1
            yield many[taken % len(many)]

    results = prepare(counted(), SQUASH, workers=2)
    for done, _ in enumerate(islice(results, 200), 1):
        assert taken <= done + 2 * LOOK_AHEAD
    results.close()  # type: ignore[attr-defined]


def test_closing_ends_the_workers_even_in_the_middle_of_a_hang(tmp_path: Path) -> None:
    before, open_files = children(), set(Path("/proc/self/fd").iterdir())
    results = with_faults(files(tmp_path, encoded(scene()), *[b"hang"] * 9), workers=2)
    next(results)
    assert len(children() - before) == 2
    start = time.monotonic()
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 2
    assert children() == before
    assert set(Path("/proc/self/fd").iterdir()) == open_files


def test_dropping_the_generator_ends_the_workers(many: list[Source]) -> None:
    before = children()
    results = prepare(many, SQUASH, workers=1)
    next(results)
    del results
    assert children() == before


def test_a_killed_parent_leaves_neither_processes_nor_files(tmp_path: Path) -> None:
    files(tmp_path, *[encoded(scene())] * 5, *[b"hang"] * 20)
    code = (
        "import sys\n"
        "from tests.images.workers.test_pool import *\n"
        "results = with_faults(find([sys.argv[1]]), workers=2, limits=Limits(timeout_s=3))\n"
        "next(results)\n"
        "print(*children(), flush=True)\n"
        "list(results)\n"
    )
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", code, tmp_path]
    parent = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    shared = shared_memory(parent.pid, *pids)
    assert any(name.startswith("/memfd:simsearch-pixels") for pid in pids for name in opened(pid)), "else look there"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert len(pids) == 2
    end = time.monotonic() + 15
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    assert [pid for pid in pids if alive(pid)] == []
    assert [file for file in shared if file.exists()] == []
    assert list(temporary.iterdir()) == []


def test_shared_memory_of_a_process_is_found_mapped_or_open() -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as opened:
        block = SharedMemory(create=True, size=4096)
        try:
            assert {Path(opened.name), Path("/dev/shm", block.name)} <= shared_memory(os.getpid())
        finally:
            block.close()
            block.unlink()


def shared_memory(*pids: int) -> set[Path]:
    """Files of /dev/shm that these processes have open or mapped; other tests may have theirs there."""
    return {Path(name) for pid in pids for name in opened(pid) if name.startswith("/dev/shm/")}


def opened(pid: int) -> set[str]:
    """Names of what a process has open or mapped."""
    process = Path(f"/proc/{pid}")
    files = {os.path.realpath(link) for link in (process / "fd").iterdir()}
    return files | {line.split(maxsplit=5)[-1] for line in (process / "maps").read_text().splitlines()}


def test_a_script_without_a_main_guard_may_use_workers(tmp_path: Path, many: list[Source]) -> None:
    script = tmp_path / "script.py"
    folder = os.fsdecode(many[0].root)
    script.write_text(
        "from simsearch.images import *\n"
        "settings = Preprocessing(24, 'squash', 24, 'box', (0, 0, 0), (1, 1, 1))\n"
        f"print(len(list(prepare(find([{folder!r}]), settings, workers=1))))\n"
    )
    # A stray module beside the script must not be imported by the workers instead of the real one.
    (tmp_path / "struct.py").write_text("raise SystemExit('the wrong module')")
    run = [sys.executable, "-P", script]
    done = subprocess.run(
        run, cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert (done.stderr, done.stdout.strip()) == ("", "40")


def test_a_worker_that_cannot_start_is_an_error_that_says_why(tmp_path: Path) -> None:
    before = children()
    with pytest.raises(SimsearchError, match="nothing_of_the_kind"):
        list(with_faults(files(tmp_path, b"x"), workers=1, decoder="nothing_of_the_kind"))
    assert children() == before


def test_a_negative_number_of_workers_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="-1"):
        prepare([], SQUASH, workers=-1)


def test_limits_reach_the_workers(tmp_path: Path) -> None:
    sources = files(tmp_path, encoded(scene(60, 40)), encoded(scene(20, 20)))
    small = Limits(max_pixels=400)
    assert codes(prepare(sources, SQUASH, workers=1, limits=small)) == [RejectCode.TOO_MANY_PIXELS, "ok"]
    few = Limits(max_bytes=10)
    assert codes(prepare(sources, SQUASH, workers=1, limits=few)) == [RejectCode.TOO_MANY_BYTES] * 2


def test_long_names_do_not_fill_the_pipes(tmp_path: Path) -> None:
    deep = tmp_path
    while len(os.fspath(deep)) < 3700:
        deep = deep / ("d" * 200)
    deep.mkdir(parents=True)
    (deep / "a").write_bytes(encoded(scene()))
    sources = list(find([tmp_path])) * 300
    assert codes(prepare(sources, SQUASH, workers=2)) == ["ok"] * 300
