"""On a real Ray cluster of three nodes: equal rows whoever is killed, a library as of one machine, told errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from measure_ray import Kills, cluster, compared, killed_run, rows_of
from simsearch.errors import FingerprintMismatch, ProcessFailed
from simsearch.library import Library
from simsearch.scale.cluster.placement import Seat
from simsearch.scale.cluster.ray_pool import RayPool, be_private, connected
from simsearch.scale.cluster.shard import Shard
from tests.cli.conftest import Run
from tests.scale.cluster.faulty import JOB, world
from tests.scale.cluster.test_runner import items

# Ray is not imported to see whether it is there: it reads at once whether a token is asked for.
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(find_spec("ray") is None, reason='needs Ray: pip install -e ".[scale]"'),
    pytest.mark.filterwarnings("ignore"),
]
ROOT = Path(__file__).parents[3]
SLOW = "tests.scale.slow:SlowExtractor"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])  # for workers
    be_private()
    with cluster(3) as found:
        yield found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world(tmp_path_factory.mktemp("ray"), 300)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "simsearch.cli", *map(str, arguments)]


def told(*arguments: object) -> dict[str, Any]:
    done = subprocess.run(command(*arguments, "--json"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()  # Ray writes nothing among results
    return json.loads(line)  # type: ignore[no-any-return]


def test_killed_workers_and_drivers_lose_and_double_nothing(address: str, pictures: Path, tmp_path: Path) -> None:
    told("embed", pictures, "--output", tmp_path / "one", "--model", SLOW, "--workers", 1)
    truth = rows_of(tmp_path / "one")
    many = ("embed", pictures, "--output", tmp_path / "many", "--model", SLOW, "--workers", 1, "--quiet")
    kills = Kills(4, 3.0, seed=0)
    run = killed_run(
        lambda: command(*many, "--ray", address, "--shard-inputs", 8, "--part-rows", 50), kills, "ray::Worker"
    )
    assert run["starts"] >= 2, run
    assert compared(truth, rows_of(tmp_path / "many")) == {"lost": 0, "doubled": 0, "different": 0}
    assert [one[0] for one in rows_of(tmp_path / "many")] == [one[0] for one in truth]
    assert not Path(f"{tmp_path / 'many'}.ledger").exists()


def test_a_library_by_ray_is_that_of_one_machine(run: Run, address: str, pictures: Path, tmp_path: Path) -> None:
    fake = ("--model", "tests.fake:FakeExtractor", "--workers", 1)
    one = told("index", pictures, "--library", tmp_path / "one", *fake)
    many = told("index", pictures, "--library", tmp_path / "many", *fake, "--ray", address, "--shard-inputs", 50)
    assert many["cluster"]["workers"] >= 1
    assert many["cluster"]["cpu_seconds"] > 0
    same = ("added", "exact_copies", "rejected", "rejected_by_code", "library_size")
    assert {key: many[key] for key in same} == {key: one[key] for key in same}
    with Library.open(tmp_path / "one") as first, Library.open(tmp_path / "many") as second:
        assert items(first) == items(second)
    again = told("index", pictures, "--library", tmp_path / "many", *fake, "--ray", address)
    assert (again["added"], again["unchanged"]) == (0, one["added"] + one["exact_copies"])


def test_what_a_worker_raises_is_raised_here(address: str, tmp_path: Path) -> None:
    with connected(address) as machines:
        assert len(machines) == 3
        job = replace(JOB, fingerprints=("another",))
        with RayPool(job, str(tmp_path), [Seat(1)]) as pool:
            pool.submit(Shard(0, ()))
            with pytest.raises(FingerprintMismatch, match="on a worker"):
                pool.wait()


def test_a_cluster_that_is_not_there_is_told() -> None:
    with pytest.raises(ProcessFailed, match=r"127\.0\.0\.1:9 cannot be joined"), connected("127.0.0.1:9"):
        pass
