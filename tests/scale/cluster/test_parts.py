"""Workers on machines, and the pipeline that stays warm from shard to shard."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsearch.errors import InputError, RejectCode
from simsearch.extract.runner import Outcome
from simsearch.images.source import Found, Rejected, Source, source_of
from simsearch.scale.cluster.placement import Machine, device_of, seats
from simsearch.scale.cluster.ray_pool import Cost, machines_of
from simsearch.scale.cluster.shard import Shard
from simsearch.scale.cluster.stream import ShardStream

MACHINES = st.lists(st.builds(Machine, st.integers(0, 300), st.integers(0, 8)), min_size=1, max_size=5)


@given(machines=MACHINES, device=st.sampled_from(["cpu", "cuda"]))
def test_workers_fit_on_their_machines(machines: list[Machine], device: str) -> None:
    for machine in machines:
        try:
            found = seats([machine], device)
        except InputError:
            assert machine.cpus < 1 or (device == "cuda" and not machine.gpus)
            continue
        assert sum(seat.cpus for seat in found) <= machine.cpus
        assert sum(seat.gpus for seat in found) <= machine.gpus
        assert min(seat.cpus for seat in found) >= 1
        assert device == "cpu" or len(found) == min(machine.gpus, machine.cpus)
        assert device == "cuda" or sum(seat.cpus for seat in found) > machine.cpus / 2


def test_all_workers_use_one_kind_of_device() -> None:
    mixed = [Machine(8), Machine(8, 2)]
    assert (device_of(mixed, "auto"), device_of(mixed[:1], "auto"), device_of(mixed, "cpu")) == ("cuda", "cpu", "cpu")
    with pytest.raises(InputError, match="no GPU"):
        device_of(mixed[:1], "cuda")
    with pytest.raises(InputError, match="auto, cpu or cuda"):
        device_of(mixed, "cuda:1")


def test_dead_nodes_are_no_machines() -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}}, {"Alive": False, "Resources": {"CPU": 9.0}}]
    assert machines_of(nodes) == [Machine(4, 1)]


def test_cost_of_a_million() -> None:
    assert Cost(10.0, 5.0, 2, 0).per_million(1000) == {"cpu_seconds": 10_000.0, "gpu_seconds": 5_000.0}
    assert Cost(10.0, 5.0, 2, 0).per_million(0) == {"cpu_seconds": 0.0, "gpu_seconds": 0.0}


def shard(number: int, count: int) -> Shard:
    return Shard(number, tuple(Source(b"/", f"{number}-{i}".encode(), b"/x", 0, 1, i) for i in range(count)))


class Pipeline:
    """Rejects each input, three behind the one that was read last; counts its starts."""

    def __init__(self) -> None:
        self.starts, self.go, self.fails = 0, threading.Event(), False

    def __call__(self, sources: Iterable[Found]) -> Iterator[Outcome]:
        self.starts += 1
        self.go.wait(10)
        behind: list[Found] = []
        for one in sources:
            behind.append(one)
            if self.fails:
                raise MemoryError("no room")
            if len(behind) > 3:
                yield Rejected(source_of(behind.pop(0)), RejectCode.EMPTY, "")
        yield from (Rejected(source_of(one), RejectCode.EMPTY, "") for one in behind)


def names(done: Future[list[Outcome]]) -> list[bytes]:
    return [one.source.name for one in done.result(10)]


def test_shards_that_wait_go_through_one_pipeline_each_with_its_own_outcomes() -> None:
    pipeline = Pipeline()
    stream = ShardStream(pipeline)
    shards = [shard(i, count) for i, count in enumerate((1, 5, 2, 7))]
    done = [stream.submit(each) for each in shards]
    pipeline.go.set()
    assert [names(one) for one in done] == [[source.name for source in each.sources] for each in shards]
    assert pipeline.starts == 1
    assert names(stream.submit(shards[1])) == [source.name for source in shards[1].sources]


def test_a_pipeline_that_fails_is_told_to_its_shards_and_begun_again() -> None:
    pipeline = Pipeline()
    stream, pipeline.fails = ShardStream(pipeline), True
    pipeline.go.set()
    with pytest.raises(MemoryError):
        stream.submit(shard(0, 3)).result(10)
    pipeline.fails = False
    assert len(names(stream.submit(shard(1, 3)))) == 3
