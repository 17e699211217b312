"""Laws of decoding where the network runs: Pillow's pixels within little, order, nothing lost, every file answered."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from simsearch.distance import js
from simsearch.errors import InputError, RejectCode
from simsearch.extract.neural import gpu_decode
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.neural.gpu_decode import DeviceDecoder, turned
from simsearch.extract.neural.resize import resize
from simsearch.extract.pipeline import embed_sources
from simsearch.images import find
from simsearch.images.decode import TURNS
from simsearch.images.formats.jpeg_header import ORIENTATION, plain_jpeg
from simsearch.images.preprocess import KERNELS, OUTSIDE, Preprocessing
from simsearch.images.source import Limits, Rejected
from simsearch.images.workers.pool import prepare
from simsearch.images.workers.prepared import Prepared

CPU = torch.device("cpu")
CROP = Preprocessing(24, "crop", 30, "bicubic", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def scene(width: int, height: int, seed: int = 0) -> Image.Image:
    """Shading and edges, as a photograph has."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    pixels = np.stack([127 + 90 * np.sin(rng.uniform(2, 9) * x + rng.uniform(2, 9) * y + i) for i in range(3)], axis=2)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(picture: Image.Image, kind: str = "JPEG", **how: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return buffer.getvalue()


def tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 24),
    st.sampled_from(["squash", "crop", "squash_crop", "inside"]),
    st.sampled_from(sorted(KERNELS)),
)
def test_a_resize_is_pillows_across_then_down_but_for_rounding(
    width: int, height: int, size: int, fit: Any, kernel: Any
) -> None:
    how = Preprocessing(size, fit, size if fit in {"squash", "inside"} else size + 7, kernel, (0.0,) * 3, (1.0,) * 3)
    picture = Image.fromarray(np.random.default_rng(width * 91 + height).integers(0, 256, (height, width, 3), np.uint8))
    left, top, right, bottom = how.box((width, height))
    wide, high = how.inside(picture.size) if fit == "inside" else (size, size)
    narrow = picture.resize((wide, height), KERNELS[kernel], box=(left, 0, right, height))
    theirs = np.tile(np.array(OUTSIDE, np.uint8), (size, size, 1))
    theirs[:high, :wide] = np.array(narrow.resize((wide, high), KERNELS[kernel], box=(0, top, wide, bottom)))
    ours = resize(tensor(picture), how).numpy()
    assert ours.shape == theirs.shape == how.apply(picture).shape
    # A level that the first pass rounds the other way is weighed by at most 1, or more where a kernel has lobes.
    assert np.abs(ours.astype(int) - theirs).max() <= (2 if kernel in ("bicubic", "lanczos") else 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_pillow_turns_it(orientation: int) -> None:
    picture = scene(7, 5)
    upright = picture.transpose(TURNS[orientation]) if orientation in TURNS else picture
    assert torch.equal(turned(tensor(picture), orientation), tensor(upright))


def test_pixels_are_those_of_decode_workers_or_left_to_them() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    whole = encoded(scene(80, 50))
    files = [
        *(whole, encoded(scene(50, 90, 1), exif=exif), encoded(scene(33, 41, 2), progressive=True, quality=95)),
        *(whole[:-40], encoded(scene(40, 40).convert("L")), encoded(scene(40, 40).convert("CMYK"))),
        *(encoded(scene(40, 40), "PNG"), b"\xff\xd8\xff broken \xff\xd9", b""),
    ]
    found = DeviceDecoder(CROP, CPU).pixels(files)
    assert [pixels is not None for pixels in found] == [True] * 3 + [False] * 6
    for data, pixels in zip(files[:3], found, strict=False):
        assert pixels is not None
        wanted = CROP.apply(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        assert np.abs(pixels.astype(int) - wanted).max() <= 2


def test_a_header_tells_how_a_jpeg_is_stored() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    data = encoded(scene(30, 20), exif=exif)
    header = plain_jpeg(data, Limits(), exif=True)
    assert header is not None
    assert (header.width, header.height, header.orientation) == (30, 20, 8)
    assert plain_jpeg(data, Limits(), exif=False).orientation == 1  # type: ignore[union-attr]
    assert plain_jpeg(data, Limits(max_pixels=599), exif=True) is None
    assert plain_jpeg(data[:-2], Limits(), exif=True) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of all sorts: plain JPEGs, a few for Pillow, a broken one and an empty one."""
    for i in range(20):
        (tmp_path / f"{i:02}.jpg").write_bytes(encoded(scene(40 + i, 60 - i, i)))
    (tmp_path / "03.png").write_bytes(encoded(scene(30, 30, 50), "PNG"))
    (tmp_path / "05.jpg").write_bytes(encoded(scene(50, 50, 51)).replace(b"\xff\xda", b"\xff\xd9", 1))
    (tmp_path / "07.jpg").write_bytes(b"")
    (tmp_path / "09.jpg").write_bytes(encoded(scene(30, 44, 52).convert("L")))
    return tmp_path


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at_once", [3, 64])
def test_every_input_is_answered_in_order_as_by_workers(
    folder: Path, workers: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_decode, "_AT_ONCE", at_once)
    monkeypatch.setattr(gpu_decode, "_PIXELS_AT_ONCE", 5000)
    inputs = list(find([folder]))
    sources = [*inputs, Rejected(inputs[0], RejectCode.IO_ERROR, "given up")]  # type: ignore[arg-type]
    wanted = list(prepare(sources, CROP, workers=0))
    found = list(DeviceDecoder(CROP, CPU).prepare(sources, workers=workers, limits=Limits()))
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert type(ours) is type(theirs)
        if isinstance(ours, Prepared) and isinstance(theirs, Prepared):
            facts = [(p.source, p.sha256, p.n_bytes, p.width, p.height) for p in (ours, theirs)]
            assert facts[0] == facts[1]
            assert np.abs(ours.pixels.astype(int) - theirs.pixels).max() <= 2
            assert abs(ours.quality - theirs.quality) <= 1
        else:
            assert ours == theirs


def test_one_that_the_decoder_does_not_take_costs_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package, decode), calls = gpu_decode._decoder(), [0]

    def moody(files: Any, **how: Any) -> Any:
        calls.append(len(files))
        if len(files) > 1 or len(calls) % 5 == 0:
            raise RuntimeError("the decoder met something")
        return decode(files, **how)

    monkeypatch.setattr(gpu_decode, "_decoder", lambda: (package, moody))
    found = list(DeviceDecoder(CROP, CPU).prepare(find([folder]), workers=0, limits=Limits()))
    wanted = list(prepare(find([folder]), CROP, workers=0))
    assert [type(result) for result in found] == [type(result) for result in wanted]


def test_a_device_that_decodes_nothing_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_nvjpeg(files: Any, **how: Any) -> Any:
        raise RuntimeError("compiled without nvJPEG support")

    monkeypatch.setattr(gpu_decode, "_decoder", lambda: ("torchvision", without_nvjpeg))
    with pytest.raises(InputError, match=r"torchvision .* on cpu cannot decode JPEGs: compiled without nvJPEG"):
        DeviceDecoder(CROP, CPU)


def test_nothing_more_is_yielded_once_it_is_stopped(folder: Path) -> None:
    assert list(DeviceDecoder(CROP, CPU).prepare(find([folder]), workers=1, limits=Limits(), stop=lambda: True)) == []


def test_a_model_stays_itself_and_says_how_it_decodes(tiny: Path, folder: Path) -> None:
    plain, other = (NeuralExtractor(tiny, device="cpu", dtype="float32") for _ in range(2))
    other.decode_on_device()
    other.admit()
    assert " on cpu" in other.runtime()["decoder"]
    assert "decoder" not in plain.runtime()
    rows = [
        [result.row for result in embed_sources(e, find([folder]), workers=0) if not isinstance(result, Rejected)]
        for e in (plain, other)
    ]
    assert np.diagonal(js(np.stack(rows[0]), np.stack(rows[1]))).max() < 0.01  # type: ignore[arg-type]


@pytest.mark.gpu
def test_a_gpu_gives_pillows_pixels_within_little(folder: Path) -> None:
    how = Preprocessing(24, "squash", 24, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    found = list(DeviceDecoder(how, torch.device("cuda")).prepare(find([folder]), workers=1, limits=Limits()))
    wanted = list(prepare(find([folder]), how, workers=0))
    for ours, theirs in zip(found, wanted, strict=True):
        assert type(ours) is type(theirs)
        if isinstance(ours, Prepared) and isinstance(theirs, Prepared):
            assert np.abs(ours.pixels.astype(int) - theirs.pixels).mean() < 2
