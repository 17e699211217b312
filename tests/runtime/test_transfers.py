"""Laws of transfers: what arrives is what was sent, however late a GPU copies it, and no memory is used too early."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.runtime import transfers
from simsearch.runtime.device import free_memory
from simsearch.runtime.transfers import Transfers, plain_type
from simsearch.search.scan.blocks import upload


class Event:
    """Told when everything before it on its stream is done."""

    def __init__(self, stream):
        self.stream, self.done = stream, False

    def synchronize(self):
        while not self.done:
            self.stream.step()


class Stream:
    """Does what it is given as late as it may: when somebody waits for it."""

    def __init__(self, device=None):
        self.queue, self.waited_for = deque(), []

    def step(self):
        self.queue.popleft()()

    def record_event(self):
        event = Event(self)
        self.queue.append(lambda: setattr(event, "done", True))
        return event

    def wait_event(self, event):
        self.waited_for.append(event)
        event.synchronize()


@pytest.fixture
def slow_gpu(monkeypatch):
    """Transfers to a GPU whose streams are slow, played on the CPU; the stream that the work is on."""
    work, own, made = Stream(), [], []

    @contextmanager
    def stream(chosen):
        own.append(chosen)
        yield
        own.pop()

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: work)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, used: made.append((tensor, used)))
    monkeypatch.setattr(transfers, "pinned", lambda size: torch.zeros(size, dtype=torch.uint8))
    monkeypatch.setattr(transfers, "copy", lambda there, host: own[-1].queue.append(lambda: there.copy_(host)))
    work.used = made
    return work


def on_gpu():
    found = Transfers(torch.device("cpu"))
    found._lane = transfers.TransferQueue(torch.device("cpu"))
    return found


ARRAYS = [
    *(np.arange(n * 3, dtype="f4").reshape(n, 3) + 100 * n for n in (1, 7, 2, 9, 9, 4)),
    np.arange(8, dtype="u1").reshape(2, 4),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.arange(40, dtype="f2").reshape(4, 10)[::2, ::3],
    np.empty((0, 3), "f4"),
    *(np.arange(6).astype(kind).reshape(2, 3) for kind in (">f4", "u2", ">u4", "u8", np.longdouble, "?")),
]


@pytest.mark.parametrize("way", ["at once", "by the lane"])
def test_pieces_arrive_in_order_and_whole(way, slow_gpu):
    there = on_gpu() if way == "by the lane" else Transfers(torch.device("cpu"))
    pieces = [(i, array.copy(order="K")) for i, array in enumerate(ARRAYS)]
    tensor = torch.ones((2, 3))
    for (mark, arrived), array in zip(
        there.ahead([*pieces, ("tensor", tensor)]), [*ARRAYS, tensor.numpy()], strict=True
    ):
        np.testing.assert_array_equal(arrived.numpy(), array)
        assert arrived.numpy().dtype == plain_type(array)
        if mark == "tensor":
            assert arrived.data_ptr() == tensor.data_ptr()


def test_a_buffer_is_not_filled_before_it_has_been_copied_out_of(slow_gpu):
    there = on_gpu()
    array = np.zeros(5, "i4")
    sent = []
    for i in range(7):  # one array, written to again at once
        array[:] = i
        sent.append(there.send(array))
    array[:] = -1
    for i, each in enumerate(sent):
        assert each.arrived().tolist() == [i] * 5
    assert [event.done for event in slow_gpu.waited_for] == [True] * 7
    assert [tensor is each.tensor for (tensor, _), each in zip(slow_gpu.used, sent, strict=True)] == [True] * 7
    assert all(stream is slow_gpu for _, stream in slow_gpu.used)


def test_the_next_piece_is_on_its_way_while_one_is_worked_on(slow_gpu):
    begun = []

    def pieces():
        for i in range(4):
            begun.append(i)
            yield i, np.full(3, i)

    for i, _ in on_gpu().ahead(pieces()):
        assert begun[-1] == min(i + 1, 3)


def test_what_the_allocator_keeps_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10, 100))
    told = {"reserved_bytes.all.current": 70, "allocated_bytes.all.current": 30}
    monkeypatch.setattr(torch.cuda, "memory_stats", lambda device: told)
    assert free_memory(torch.device("cuda")) == 50
    monkeypatch.setattr(torch.cuda, "memory_stats", lambda device: {})  # before anything was allocated
    assert free_memory(torch.device("cuda")) == 10


@pytest.mark.gpu
def test_memory_given_back_to_the_allocator_counts_as_free():
    device = torch.device("cuda", torch.cuda.device_count() - 1)
    torch.cuda.empty_cache()
    before = free_memory(device)
    block = torch.empty(1 << 30, dtype=torch.uint8, device=device)
    assert free_memory(device) <= before - (1 << 30)
    del block
    assert free_memory(device) > before - (64 << 20)
    assert torch.cuda.mem_get_info(device)[0] < before - (1 << 29)  # what asking the driver alone would say


def test_how_much_memory_is_free_is_asked_in_one_place_for_torch_and_one_for_faiss():
    from pathlib import Path

    import simsearch

    asked = [path for path in Path(simsearch.__file__).parent.rglob("*.py") if "mem_get_info" in path.read_text()]
    assert {path.name for path in asked} == {
        "device.py",
        "gpu_limits.py",
    }  # FAISS cannot have what torch's allocator keeps


@pytest.mark.gpu
def test_arrays_arrive_on_a_gpu(rng):
    device = torch.device("cuda", torch.cuda.device_count() - 1)
    pieces = [(i, rng.standard_normal((1 << 18, 8))) for i in range(9)]
    busy = torch.randn((4096, 4096), device=device)
    for i, arrived in Transfers(device).ahead(pieces):
        busy = (busy @ busy).clamp_(-1, 1)
        np.testing.assert_array_equal(arrived.cpu().numpy(), pieces[i][1])
    rows = rng.standard_normal((3000, 20), np.float32)
    assert torch.equal(upload(rows, device).cpu(), torch.from_numpy(rows))


@pytest.mark.gpu
def test_batches_begun_before_the_last_has_ended_give_their_own_rows(tiny, rng):
    extractor = NeuralExtractor(tiny, device=f"cuda:{torch.cuda.device_count() - 1}", dtype="float32")
    batches = [rng.integers(0, 256, (64, 32, 32, 3), np.uint8) for _ in range(8)]
    begun = [extractor.start(batch) for batch in batches]
    for rows, batch in zip(begun, batches, strict=True):
        np.testing.assert_allclose(rows(), extractor.embed_pixels(batch), atol=1e-5)
