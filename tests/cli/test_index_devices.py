"""`index` on several devices gives what it gives on one, also when it was broken off."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simsearch.errors import FingerprintMismatch, InputError
from simsearch.extract.multi_device import OnDevices
from simsearch.extract.pipeline import embed_sources
from simsearch.images import find
from simsearch.library import Library
from tests.cli.conftest import FAKE, Run
from tests.fake import FakeExtractor, OtherExtractor
from tests.library.helpers import album


def rows_of(folder: Path) -> list[tuple[int, bytes, bytes]]:
    with Library.open(folder) as library:
        parts = library.snapshot.segments
        rows = np.concatenate([part.channels[library.channel.name].row for part in parts])
        return [
            (number, path or b"", row.tobytes())
            for (number, path), row in zip(library.snapshot.paths(), rows, strict=True)
        ]


@pytest.mark.parametrize("devices", ["cpu,cpu", "cpu, cpu,cpu"])
@pytest.mark.parametrize("model", [FAKE, None])
def test_rows_counts_and_ids_are_those_of_one_device(  # noqa: PLR0917 - fixtures
    run: Run, pictures: Path, tiny: Path, tmp_path: Path, devices: str, model: str | None
) -> None:
    common = ("--model", model or tiny, "--workers", 0, "--batch-size", 2, "--json")
    told = []
    for name, device in (("one", "cpu"), ("several", devices)):
        code, out, err = run("index", pictures, "--library", tmp_path / name, "--device", device, *common)
        assert code == 0, err
        told.append({key: value for key, value in json.loads(out).items() if key not in ("seconds", "rate")})
    assert told[0] == told[1]
    assert rows_of(tmp_path / "one") == rows_of(tmp_path / "several")
    again = run("index", pictures, "--library", tmp_path / "several", "--device", devices, *common)[1]
    assert json.loads(again)["unchanged"] == 7
    if model is None:  # by the name in the library
        paths = album(tmp_path / "more", range(3))
        assert run("index", paths, "--library", tmp_path / "several", "--device", devices, "--workers", 0)[0] == 0


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_run_that_was_broken_off_goes_on(tmp_path: Path, at: int) -> None:
    photos = album(tmp_path / "photos", range(12))
    with OnDevices([FakeExtractor() for _ in range(3)]) as each, Library.create(tmp_path / "l", model=each) as library:

        def stop(_progress: object) -> None:
            stop.calls += 1  # type: ignore[attr-defined]
            if stop.calls == at:  # type: ignore[attr-defined]
                raise KeyboardInterrupt

        stop.calls = 0  # type: ignore[attr-defined]
        with pytest.raises(KeyboardInterrupt):
            library.add(photos, progress=stop)
        report = library.add(photos)
        assert report.added + report.unchanged == report.inputs == len(library) == 12


def test_batches_are_dealt_out_and_come_in_order(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(20))
    seen: list[set[int]] = [set(), set(), set()]

    class Noted(FakeExtractor):
        def __init__(self, number: int) -> None:
            self.number = number

        def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            seen[self.number].add(len(pixels))
            return super().embed_pixels(pixels)

    with OnDevices([Noted(number) for number in range(3)]) as each:
        found = list(embed_sources(each, find([photos]), batch_size=2, workers=0))
    assert all(seen)
    expected = list(embed_sources(FakeExtractor(), find([photos]), batch_size=2, workers=0))
    assert [one.source.path for one in found] == [one.source.path for one in expected]
    assert all(np.array_equal(a.row, b.row) for a, b in zip(found, expected, strict=True))  # type: ignore[union-attr]


def test_a_fault_on_one_device_is_told(tmp_path: Path, run: Run, pictures: Path) -> None:
    with pytest.raises(FingerprintMismatch):
        OnDevices([FakeExtractor(), OtherExtractor()])

    class Broken(FakeExtractor):
        def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            raise InputError("broken here")

    with (
        OnDevices([Broken(), Broken()]) as each,
        Library.create(tmp_path / "l", model=each) as library,
        pytest.raises(InputError, match="broken here"),
    ):
        library.add(pictures)
    code, _, err = run("index", pictures, "--library", tmp_path / "m", "--device", "cpu,nowhere")
    assert (code, "nowhere" in err, (tmp_path / "m").exists()) == (3, True, False), err
