"""Compiled passes on disk: no process compiles what another has, and nobody else's file is ever run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simsearch.runtime import kernel_cache as module
from simsearch.runtime.kernel_cache import KernelCache, pays, state_of

CHILD = """
import json, sys
import numpy as np
from simsearch.search.hamming.multi_index_kernels import values_of
from simsearch.search.refine.compiled_pairs import kernels

measure, out = kernels("js", "float16").measure, np.zeros(2)
rows, pairs = np.array([[0, 15360], [15360, 15360]], np.int16), (np.zeros(2, np.int64), np.arange(2))
measure(np.array([[0.5, 0.5]]), rows, 0, pairs, out)
values = values_of(np.arange(6, dtype=np.uint32).reshape(3, 2), 1, 9)
stats = measure.stats, values_of.stats
hits, misses = (sum(sum(getattr(each, f"cache_{what}").values()) for each in stats) for what in ("hits", "misses"))
print(json.dumps([hits, misses, values.tolist(), out.tolist()]))
"""


def child(home: Path, **more: str) -> tuple[int, int, object]:
    """How many passes a process found on disk, how many it compiled, and what they gave."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(home), **more}
    done = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, check=True)
    hits, misses, *answer = json.loads(done.stdout)
    return hits, misses, answer


def files(home: Path) -> list[Path]:
    return sorted(home.glob("simsearch/kernels/*/*"))


def test_a_second_process_compiles_only_what_is_damaged(tmp_path):
    first = child(tmp_path)
    assert first[:2] == (0, 2)
    damaged, sound = files(tmp_path)
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-7])
    assert child(tmp_path) == (1, 1, first[2])
    assert files(tmp_path) == [damaged, sound]
    assert damaged.read_bytes() != whole[:-7]  # written again


def test_a_cache_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "simsearch").write_text("a file where the folder should be")
    assert child(tmp_path)[:2] == (0, 2)


@pytest.fixture
def folder(tmp_path):
    kept = KernelCache(tmp_path / "kernels", "state")
    kept.write("a.1", b"passes")
    assert kept.read("a.1") == b"passes"
    return kept


class Canary:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707, 0o702])
def test_a_folder_that_others_may_use_is_not_read_or_written(folder, mode):
    folder.folder.chmod(mode)
    assert folder.read("a.1") is None
    folder.write("b.1", b"more")
    folder.folder.chmod(0o700)
    assert folder.read("b.1") is None
    assert folder.read("a.1") == b"passes"


def test_a_file_or_folder_of_another_user_is_not_read(folder, monkeypatch):
    another = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: another)
    assert folder.read("a.1") is None
    folder.write("b.1", b"more")
    assert not (folder.folder / "b.1").exists()


def test_a_link_is_not_followed(folder, tmp_path):
    shutil.copy(folder.folder / "a.1", tmp_path / "elsewhere")
    (folder.folder / "a.1").unlink()
    (folder.folder / "a.1").symlink_to(tmp_path / "elsewhere")
    assert folder.read("a.1") is None
    folder.folder.rename(tmp_path / "kernels" / "other")
    folder.folder.symlink_to(tmp_path / "kernels" / "other")
    assert folder.read("a.1") is None


@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_neither_read_nor_waited_for(folder, plant):
    (folder.folder / "a.1").unlink()
    plant(folder.folder / "a.1")
    assert folder.read("a.1") is None


def test_a_planted_file_without_its_digest_is_not_read(folder, tmp_path):
    (folder.folder / "a.1").write_bytes(pickle.dumps(Canary(tmp_path / "sung")))
    assert folder.read("a.1") is None
    assert not (tmp_path / "sung").exists()


def test_a_disk_that_takes_nothing_leaves_nothing(folder, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    folder.write("b.1", b"more")
    assert [path.name for path in folder.folder.iterdir()] == ["a.1"]


def test_a_folder_that_takes_nothing_is_still_read(tmp_path, folder):
    for path in (folder.folder, tmp_path / "kernels"):
        path.chmod(0o500)
    try:
        again = KernelCache(tmp_path / "kernels", "state")
        assert again.holds("a")
        assert again.read("a.1") == b"passes"
        again.write("b.1", b"more")  # the superuser may
    finally:
        for path in (tmp_path / "kernels", folder.folder):
            path.chmod(0o700)


def test_states_that_were_not_used_for_longest_go(tmp_path):
    for i in range(9):
        KernelCache(tmp_path, f"{i}")
        os.utime(tmp_path / f"{i}", (i, i))
    KernelCache(tmp_path, "0")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "5", "6", "7", "8"]


def test_any_change_of_a_source_or_of_the_compiler_is_another_state(tmp_path, monkeypatch):
    (tmp_path / "kernels.py").write_text("x = 1")
    (tmp_path / "helpers.py").write_text("y = 1")
    states = [state_of(tmp_path)]
    assert state_of(tmp_path) == states[0]
    (tmp_path / "helpers.py").write_text("y = 2")
    states.append(state_of(tmp_path))
    monkeypatch.setattr(module, "version", lambda name: f"another {name}")
    states.append(state_of(tmp_path))
    monkeypatch.setattr(module, "_processor", lambda: ["another"])
    states.append(state_of(tmp_path))
    assert len(set(states)) == len(states)


@pytest.mark.parametrize("error", [OSError, RuntimeError, ModuleNotFoundError])
def test_without_a_home_or_sources_nothing_is_kept(tmp_path, monkeypatch, error):
    def fail(*_: Path) -> str:
        raise error("no such thing")

    monkeypatch.setattr(module, "state_of", fail)
    nothing = module.kept.__wrapped__()
    nothing.write("a.1", b"passes")
    assert nothing.read("a.1") is None
    assert not nothing.holds("a")
    with pytest.raises(FileNotFoundError):
        state_of(tmp_path)


def test_work_pays_sooner_for_a_pass_that_is_on_disk(folder, monkeypatch):
    monkeypatch.setattr(module, "kept", lambda: folder)
    assert [pays(met, 64, "a") for met in (0, 63, 64)] == [False, True, True]
    assert [pays(met, 64, "b") for met in (0, 63, 64)] == [False, False, True]


ORDER = """
import sys
import numpy as np
from simsearch.search.scan.score_kernels import scanner

for metric in sys.argv[1:]:
    out = np.zeros((1, 1), np.float32)
    scanner(metric, "float32")(np.array([[1, 0]], np.float32), np.array([[4, 3]], np.float32), out)
    print(metric, *map(str, out[0]))
"""


@pytest.mark.parametrize("order", [("l1", "l2", "cosine"), ("cosine", "l1", "l2")])
def test_what_one_process_kept_is_not_taken_for_what_another_compiles(tmp_path, order):
    # The linker takes the first of a name, and numba counts its names from 1 in every process.
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    for metrics in (order[:1], order[1:2], (*order[2:], *order[:2])):
        command = [sys.executable, "-c", ORDER, *metrics]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        right = {"l1": "6.0", "l2": "18.0", "cosine": "-0.8"}
        assert dict(map(str.split, done.stdout.splitlines())) == {metric: right[metric] for metric in metrics}


def test_every_room_with_a_compiled_pass_counts_for_the_state():
    package = Path(module.__file__).parents[1]
    using = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        if "@compiled(" in path.read_text() or "import compiled\n" in path.read_text()
    }
    assert using <= set(module._ROOMS)
