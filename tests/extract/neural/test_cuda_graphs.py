"""Laws of recorded calls: the rows of the function itself, whatever sizes come; a failure costs speed alone."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch

from simsearch.extract.neural.cuda_graphs import Recorded, Recording, record_cuda
from simsearch.extract.neural.extractor import NeuralExtractor


class Recorder:
    """Records as a GPU does: the same memory is read and written by every replay."""

    def __init__(self, error=None):
        self.shapes, self.replays, self._error = [], 0, error

    def __call__(self, forward, example):
        if self._error is not None:
            raise self._error
        self.shapes.append(tuple(example.shape))
        pixels = torch.zeros_like(example)
        rows = torch.zeros_like(forward(pixels))

        def replay():
            self.replays += 1
            rows.copy_(forward(pixels))

        return Recording(pixels, rows, replay)


def double(x):
    return 2 * x.float()


def batch(rng, n):
    return torch.from_numpy(rng.integers(0, 256, (n, 4, 4, 3), np.uint8))


def test_rows_are_those_of_the_function_for_any_sizes_in_any_order(rng):
    recorder = Recorder()
    recorded = Recorded(double, recorder)
    for n in (8, 8, 3, 8, 3, 8, 1, 5, 5, 6, 6, 7, 7, 8, 7, 7):
        pixels = batch(rng, n)
        rows = recorded(pixels)
        assert torch.equal(rows, double(pixels))
    assert [shape[0] for shape in recorder.shapes] == [8, 3, 5, 6]  # the second time, and only so many
    assert recorder.replays > 4


def test_rows_given_stay_as_they_were(rng):
    recorded = Recorded(double, Recorder())
    first = batch(rng, 2)
    recorded(first)
    rows = recorded(first)
    recorded(batch(rng, 2))
    assert torch.equal(rows, double(first))


def test_what_cannot_be_recorded_runs_without_and_is_told_once(rng):
    recorded = Recorded(double, Recorder(RuntimeError("operation not permitted\nmore")))
    recorded(batch(rng, 4))
    with pytest.warns(RuntimeWarning, match=r"runs without: operation not permitted$"):
        recorded(batch(rng, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in (4, 4, 5, 5):
            pixels = batch(rng, n)
            assert torch.equal(recorded(pixels), double(pixels))


def test_without_memory_for_a_recording_calls_go_on(rng):
    recorded = Recorded(double, Recorder(torch.OutOfMemoryError("no memory")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            pixels = batch(rng, 4)
            assert torch.equal(recorded(pixels), double(pixels))


def test_threads_do_not_mix_their_rows(rng):
    recorded, wrong = Recorded(double, Recorder()), []

    def work(seed):
        own = np.random.default_rng(seed)
        for _ in range(200):
            pixels = batch(own, 2)
            if not torch.equal(recorded(pixels), double(pixels)):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.gpu
def test_on_a_gpu_replayed_rows_are_those_of_the_network(tiny, rng):
    extractor = NeuralExtractor(tiny, device="cuda")
    for n in (16, 16, 16, 5, 16):
        pixels = torch.from_numpy(rng.integers(0, 256, (n, 32, 32, 3), np.uint8)).cuda()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rows = extractor.forward(pixels)
        torch.testing.assert_close(rows, extractor.unrecorded(pixels), rtol=0.02, atol=0.02)


@pytest.mark.gpu
def test_on_a_gpu_batches_begun_ahead_give_their_own_rows(tiny, rng):
    extractor = NeuralExtractor(tiny, device="cuda")
    batches = [rng.integers(0, 256, (n, 32, 32, 3), np.uint8) for n in (16, 16, 16, 16, 3)]
    waiting = [extractor.start(pixels) for pixels in batches]
    for pixels, finish in zip(batches, waiting, strict=True):
        np.testing.assert_allclose(finish(), extractor.embed_pixels(pixels), rtol=0.02, atol=0.02)


def test_a_graph_is_captured_on_a_stream_of_the_device_of_its_pixels(monkeypatch):
    """Torch's own stream for it is made once, on the device that records first: a second one would record nothing."""
    current, streams = [0], []

    class Stream:
        def __init__(self):
            self.device = current[-1]
            streams.append(self)

        def wait_stream(self, other):
            pass

    @contextmanager
    def device(chosen):
        current.append(1)
        yield
        current.pop()

    @contextmanager
    def graph(made, *, stream, capture_error_mode):
        assert stream.device == 1
        yield

    for name, fake in {"Stream": Stream, "device": device, "graph": graph, "CUDAGraph": Graph}.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    found = record_cuda(double, torch.ones(2))
    assert found.rows.tolist() == [2, 2]
    assert {stream.device for stream in streams} == {1}


class Graph:
    """Replays nothing."""

    def replay(self):
        raise AssertionError
