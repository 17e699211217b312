"""Laws of embedding: one row an image, whatever form it comes in and however it is batched."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from simsearch import distance, load_extractor
from simsearch.errors import ImageRejected, InputError
from simsearch.extract.neural.extractor import NeuralExtractor, is_out_of_memory
from simsearch.extract.zoo.golden import check_golden
from simsearch.runtime.device import choose_dtype
from simsearch.runtime.oom import Halving


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def extractor(tiny: Path, request: pytest.FixtureRequest) -> NeuralExtractor:
    return NeuralExtractor(tiny, device="cpu", dtype=request.param)


def picture(rng: np.random.Generator, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


def test_every_form_of_an_image_gives_the_same_row(
    extractor: NeuralExtractor, rng: np.random.Generator, tmp_path: Path
) -> None:
    array = picture(rng)
    Image.fromarray(array).save(tmp_path / "a.png")
    path = tmp_path / "a.png"
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    with Image.open(path) as opened:
        forms = [path, str(path), bytes(path), opened, Image.fromarray(array), array, tensor, tensor.float() / 255]
        rows = extractor.embed(forms)
    assert rows.shape == (len(forms), 20)
    assert rows.dtype == np.float32
    together = [extractor.embed(np.stack([array, array])), extractor.embed(torch.stack([tensor, tensor]))]
    assert [rows.shape for rows in together] == [(2, 20)] * 2
    singles = np.concatenate([extractor.embed(array), extractor.embed(tensor), *together])
    tolerance = (
        1e-5 if extractor.dtype == torch.float32 else 0.02
    )  # a convolution may round by a row's place in the batch
    assert distance.js(rows[:1], np.concatenate([rows, singles])).max() <= tolerance


def test_rows_are_non_negative_and_depend_on_the_image(extractor: NeuralExtractor, rng: np.random.Generator) -> None:
    rows = extractor.embed([picture(rng) for _ in range(4)])
    assert rows.min() >= 0
    assert distance.js(rows, rows)[np.triu_indices(4, 1)].min() > 0


def test_no_images_give_no_rows(extractor: NeuralExtractor) -> None:
    assert extractor.embed([]).shape == (0, 20)
    assert extractor.embed_pixels(np.empty((0, 32, 32, 3), np.uint8)).shape == (0, 20)


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_rows_do_not_depend_on_the_batch(extractor: NeuralExtractor, rng: np.random.Generator, batch: int) -> None:
    pixels = rng.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    whole = extractor.embed_pixels(pixels)
    parts = np.concatenate([extractor.embed_pixels(pixels[i : i + batch]) for i in range(0, 7, batch)])
    tolerance = 1e-5 if extractor.dtype == torch.float32 else 0.02
    assert np.diagonal(distance.js(whole, parts)).max() <= tolerance


@pytest.mark.parametrize(
    "image",
    [3, np.zeros((4, 4, 5), np.uint8), np.full((4, 4), 1.5), torch.zeros(4, 4, 3), torch.full((3, 4, 4), 2.0), None],
    ids=["int", "five channels", "float array", "channels last", "beyond one", "none"],
)
def test_what_is_no_image_is_refused_by_name(extractor: NeuralExtractor, image: object) -> None:
    with pytest.raises(InputError, match=r"image|float tensor"):
        extractor.embed(image)


@pytest.mark.parametrize("image", [np.zeros((0, 4, 3), np.uint8), torch.zeros(3, 4, 0), Image.new("RGB", (5, 0))])
def test_an_image_without_pixels_has_no_row(extractor: NeuralExtractor, image: object) -> None:
    with pytest.raises(ImageRejected, match=r"empty: an image of \d x \d has no pixels"):
        extractor.embed(image)


def test_a_file_that_is_no_image_is_rejected_with_a_code(extractor: NeuralExtractor, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"not a picture")
    with pytest.raises(ImageRejected, match="unknown_format"):
        extractor.embed(tmp_path / "x.jpg")
    with pytest.raises(ImageRejected, match="io_error"):
        extractor.embed(tmp_path / "absent.jpg")


def test_a_tensor_of_half_precision_is_an_image(extractor: NeuralExtractor, rng: np.random.Generator) -> None:
    tensor = torch.from_numpy(picture(rng).copy()).permute(2, 0, 1) / 255
    rows = extractor.embed([tensor, tensor.to(torch.float16), tensor.to(torch.bfloat16)])
    assert distance.js(rows[:1], rows).max() <= 0.02


def test_a_damaged_pil_image_is_rejected_with_a_code(
    extractor: NeuralExtractor, rng: np.random.Generator, tmp_path: Path
) -> None:
    Image.fromarray(picture(rng)).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-300])
    with Image.open(tmp_path / "cut.jpg") as lazy, pytest.raises(ImageRejected, match="truncated: JPEG"):
        extractor.embed(lazy)


def test_wrong_pixels_and_devices_are_refused(tiny: Path, extractor: NeuralExtractor) -> None:
    with pytest.raises(InputError, match="takes uint8"):
        extractor.embed_pixels(np.zeros((1, 31, 32, 3), np.uint8))
    with pytest.raises(InputError, match="device"):
        load_extractor(tiny, device="abacus")
    with pytest.raises(InputError, match="dtype"):
        NeuralExtractor(tiny, device="cpu", dtype="int3")


def test_precisions_agree_with_the_golden_rows(tiny: Path, extractor: NeuralExtractor) -> None:
    assert check_golden(extractor, tiny) <= 0.02


class FakeAllocator:
    """Runs out of memory above a number of rows."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.sizes: list[int] = []

    def __call__(self, batch: NDArray[np.int64]) -> NDArray[np.int64]:
        self.sizes.append(len(batch))
        if len(batch) > self.capacity:
            raise torch.OutOfMemoryError("fake: out of memory")
        return batch * 10


@pytest.mark.parametrize("capacity", [1, 2, 5, 16, 64])
def test_out_of_memory_halves_the_batch_and_runs_the_same_rows_again(capacity: int) -> None:
    released: list[None] = []
    halving = Halving(is_out_of_memory, lambda: released.append(None))
    allocator = FakeAllocator(capacity)
    rows = np.arange(50)
    assert (np.concatenate(halving.run(allocator, rows)) == rows * 10).all()
    assert bool(released) == (capacity < 50)
    before = len(allocator.sizes)
    assert (np.concatenate(halving.run(allocator, rows)) == rows * 10).all()
    assert max(allocator.sizes[before:]) <= capacity, "the size that worked is kept"


def test_a_row_that_never_fits_is_an_error() -> None:
    halving = Halving(is_out_of_memory, lambda: None)
    with pytest.raises(torch.OutOfMemoryError):
        halving.run(FakeAllocator(0), np.arange(4))


def test_other_errors_are_not_taken_for_out_of_memory() -> None:
    def broken(batch: NDArray[np.int64]) -> NDArray[np.int64]:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape"):
        Halving(is_out_of_memory, lambda: None).run(broken, np.arange(4))


def test_what_a_failed_piece_held_is_free_before_the_next_one_runs() -> None:
    held: list[weakref.ref[Big]] = []

    class Big:
        """Stands for a tensor on the device."""

    def greedy(batch: NDArray[np.int64]) -> NDArray[np.int64]:
        tensor = Big()
        held.append(weakref.ref(tensor))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("fake: out of memory")
        return batch

    still_held: list[bool] = []
    halving = Halving(is_out_of_memory, lambda: still_held.append(held[-1]() is not None))
    halving.run(greedy, np.arange(8))
    assert still_held == [False, False]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected


def test_bfloat16_is_chosen_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    for native, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda native=native: native)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert choose_dtype("auto", cpu) == expected
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert choose_dtype("auto", cpu) == torch.float32
    assert choose_dtype("auto", torch.device("meta")) == torch.float32


@pytest.mark.gpu
def test_gpu_rows_agree_with_the_golden_rows(tiny: Path) -> None:
    assert check_golden(NeuralExtractor(tiny, device="cuda"), tiny) <= 0.02


def test_images_are_turned_upright_in_every_form(
    extractor: NeuralExtractor, rng: np.random.Generator, tmp_path: Path
) -> None:
    image = Image.fromarray(picture(rng))
    turned = image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as opened:
        rows = extractor.embed([image, tmp_path / "turned.png", opened])
    assert distance.js(rows[:1], rows).max() <= (1e-5 if extractor.dtype == torch.float32 else 0.02)
