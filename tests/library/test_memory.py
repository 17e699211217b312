"""Pictures from memory are searched and added as files are: same rows, same identity, a bad one costs itself."""

from __future__ import annotations

import io
import struct
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simsearch.errors import InputError, RejectCode
from simsearch.images.source import Limits
from simsearch.library import AddReport
from simsearch.library.settings import AddSettings
from tests.library.helpers import HERE, CountingExtractor, album, make, paint

IN_WORKERS = AddSettings(workers=2, batch_size=4)
FORMS: dict[str, Callable[[Path], Any]] = {
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "BytesIO": lambda path: io.BytesIO(path.read_bytes()),
    "PIL image": lambda path: Image.open(io.BytesIO(path.read_bytes())),
    "array": lambda path: np.asarray(Image.open(io.BytesIO(path.read_bytes()))),
}
ENCODED = ("bytes", "bytearray", "BytesIO")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return album(tmp_path / "photos", range(5))


WAYS = [(form, HERE) for form in FORMS] + [("bytes", IN_WORKERS), ("PIL image", IN_WORKERS)]


@pytest.mark.parametrize(("form", "settings"), [("bytes", None), *WAYS])
def test_a_picture_from_memory_is_found_as_its_file_is(
    tmp_path: Path, photos: Path, form: str, settings: AddSettings | None
) -> None:
    library = make(tmp_path / "l")
    library.add(photos, settings=HERE)
    files = sorted(photos.iterdir())
    wanted = library.search(files, k=3)
    for queries in (
        [FORMS[form](path) for path in files],
        (FORMS[form](path) for path in files),
    ):
        found = library.search(queries, k=3, settings=settings)
        assert [one.query for one in found] == [None] * 5
        np.testing.assert_array_equal(found.ids, wanted.ids)
        np.testing.assert_array_equal(found.distances, wanted.distances)
    mixed = library.search([files[0], FORMS[form](files[1]), b"no picture\0", files[2]], k=1, settings=settings)
    assert mixed.ids[:, 0].tolist() == [0, 1, -1, 2]
    assert mixed[2].rejected is not None
    assert mixed[2].rejected.code is RejectCode.UNKNOWN_FORMAT
    assert "b''" not in repr(mixed[2].rejected)


@pytest.mark.parametrize(("form", "settings"), WAYS)
def test_a_picture_from_memory_is_added_once(tmp_path: Path, photos: Path, form: str, settings: AddSettings) -> None:
    files = sorted(photos.iterdir())
    library = make(tmp_path / "l")
    assert library.add([FORMS[form](path) for path in files], settings=settings) == AddReport(added=5)
    again = [FORMS[form](path) for path in files for _ in range(2)]
    assert library.add(again, settings=settings) == AddReport(unchanged=10)
    assert library.add(iter([FORMS[form](files[0]), FORMS[form](paint(tmp_path / "x.png", 9))]), settings=settings) == (
        AddReport(added=1, unchanged=1)
    )
    known = AddReport(exact_copies=5) if form in ENCODED else AddReport(added=5)
    assert library.add(photos, settings=settings) == known
    found = library.search([FORMS[form](path) for path in files], k=1)
    assert found.paths == [[f"id:{i}"] for i in range(5)]
    assert (found.distances == 0).all()
    if form in ENCODED:
        assert [[copy.path for copy in one.matches[0].copies] for one in found] == [[str(path)] for path in files]
    assert library.verify(deep=True) == []
    assert library.remove("id:0") == 1


def test_an_array_and_its_image_are_one_content_and_not_that_of_the_file(tmp_path: Path, photos: Path) -> None:
    path = photos / "0001.png"
    library = make(tmp_path / "l")
    forms = [FORMS["array"](path), FORMS["PIL image"](path), (FORMS["array"](path) / 255).astype(np.float32)]
    assert library.add([*forms, path.read_bytes()], settings=HERE) == AddReport(added=2, unchanged=2)


def test_files_and_pictures_are_added_together(tmp_path: Path, photos: Path) -> None:
    extra = paint(tmp_path / "extra.png", 50)
    library = make(tmp_path / "l")
    given = [photos, extra.read_bytes(), b"\0", np.zeros((0, 4), np.uint8), photos / "0001.png", extra]
    report = library.add(given, settings=HERE)
    assert report == AddReport(added=6, exact_copies=1, unchanged=1, rejected=2)
    assert {rejected.source.printable for rejected in report.first_rejected} == {"a picture from memory"}
    assert library.info().rejected == 0, "there is nothing to try again"
    (photos / "0002.png").unlink()
    again = library.add([photos, extra.read_bytes()], settings=HERE, prune=True)
    assert (again.pruned, again.unchanged) == (1, 5)


@pytest.mark.parametrize("settings", [HERE, IN_WORKERS], ids=["here", "workers"])
def test_an_iterator_is_taken_bit_by_bit(tmp_path: Path, settings: AddSettings) -> None:
    """Few pictures are held at once, whatever stands between the iterator and the network."""
    held = set[int]()
    most = 0

    class Held(np.ndarray):  # a buffer that tells when it is gone
        pass

    def pictures() -> Iterator[Any]:
        nonlocal most
        for seed in range(300):
            made = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8).view(Held)
            held.add(seed)
            weakref.finalize(made, held.discard, seed)
            most = max(most, len(held))
            yield made

    library = make(tmp_path / "l")
    assert library.add(pictures(), settings=replace(settings, commit_every=50)).added == 300
    assert most <= 4
    assert len(library) == 300


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_wrong_value_in_a_list_stops_before_anything_is_done(tmp_path: Path, photos: Path) -> None:
    library = make(tmp_path / "l")
    picture = (photos / "0001.png").read_bytes()
    for wrong in (3, None, {}, tmp_path / "missing.png"):
        for given in ([picture, wrong], [photos, picture, wrong]):
            with pytest.raises(InputError):
                library.add(given, settings=HERE)
            assert len(library) == 0
    many = [png(np.full((9, 9, 3), i, np.uint8)) for i in range(40)]
    with pytest.raises(InputError):
        library.add(iter([*many, 3]), settings=HERE)
    assert len(library) >= 30, "what came well before it out of an iterator is kept"


def test_a_content_that_goes_on_the_way_is_embedded_again(tmp_path: Path, photos: Path) -> None:
    """The picture was known when it was taken; then its file was found to hold another one."""
    library = make(tmp_path / "l", CountingExtractor())
    library.add(photos, settings=HERE)
    known = (photos / "0000.png").read_bytes()
    paint(photos / "0000.png", 40)
    assert library.add([photos, known], settings=replace(HERE, commit_every=1)).inputs == 6
    found = library.search(known, k=1)
    assert found.distances[0, 0] == 0
    assert found.paths[0][0].startswith("id:")


def test_large_pictures_reach_the_workers_whole(tmp_path: Path) -> None:
    """Larger than a pipe, many at once, and one that is cut short."""
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(40):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (300, 300, 3), np.uint8)).save(buffer, "PNG")
        pictures.append(buffer.getvalue())
    assert min(map(len, pictures)) > 1 << 17
    pictures[7] = pictures[7][:70_000]
    library = make(tmp_path / "l")
    report = library.add(pictures, settings=IN_WORKERS)
    assert (report.added, report.rejected) == (39, 1)
    found = library.search(pictures, k=1, settings=IN_WORKERS)
    assert [one.rejected is None for one in found] == [i != 7 for i in range(40)]
    assert (np.delete(found.distances[:, 0], 7) == 0).all()


def test_tensors_may_be_rows_or_images(tmp_path: Path, photos: Path) -> None:
    import torch

    library = make(tmp_path / "l")
    library.add(photos, settings=HERE)
    rows = torch.from_numpy(library.extractor.embed(sorted(photos.iterdir())))
    assert library.search(rows, k=1).ids[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert library.search(rows[2], k=1).ids.tolist() == [[2]]
    assert library.search(rows.half().requires_grad_(), k=1).ids[:, 0].tolist() == [0, 1, 2, 3, 4]
    image = torch.from_numpy(FORMS["array"](photos / "0003.png").transpose(2, 0, 1).copy())
    assert library.search(image, k=1).ids.tolist() == [[3]]
    assert library.search((image / 255).numpy().transpose(1, 2, 0), k=1).ids.tolist() == [[3]]
    with pytest.raises(InputError, match="exclude_self"):
        library.search(rows, exclude_self=True)


def of_many_scans(side: int = 6000, scans: int = 4000) -> bytes:
    """A progressive JPEG that says the same over and over."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 99, 200)).save(file, "JPEG", progressive=True)
    data = bytearray(file.getvalue())
    struct.pack_into(">HH", data, data.find(b"\xff\xc2") + 5, side, side)
    last = data.rfind(b"\xff\xda", 0, -2)
    return bytes(data[:-2]) + bytes(data[last:-2]) * scans + b"\xff\xd9"


@pytest.mark.parametrize("call", ["add", "search"])
def test_a_pil_image_still_on_disk_is_decoded_within_the_time_limit(tmp_path: Path, call: str) -> None:
    (tmp_path / "scans.jpg").write_bytes(of_many_scans())
    library = make(tmp_path / "l")
    settings = AddSettings(workers=0, limits=Limits(timeout_s=1))
    for given in (tmp_path / "scans.jpg", io.BytesIO(of_many_scans())):
        begun = time.monotonic()
        with warnings.catch_warnings(), Image.open(given) as image:
            warnings.simplefilter("error")
            if call == "add":
                assert library.add([image], settings=settings).rejected == 1
            else:
                (answer,) = library.search([image], settings=settings)
                assert answer.rejected is not None
                assert answer.rejected.code is RejectCode.TIMEOUT
        assert time.monotonic() - begun < 8


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "ICO"])
def test_a_pil_image_is_the_same_before_and_after_it_is_decoded(tmp_path: Path, form: str) -> None:
    file = io.BytesIO()
    Image.open(paint(tmp_path / "x.png", 3)).convert("RGB").resize((48, 48)).save(file, form)
    library = make(tmp_path / "l")
    loaded = Image.open(io.BytesIO(file.getvalue()))
    loaded.load()
    edited = Image.open(io.BytesIO(file.getvalue()))
    edited.paste(7, (0, 0, 24, 48))
    lazy = Image.open(file)
    assert library.add([lazy, loaded], settings=HERE) == AddReport(added=1, unchanged=1)
    assert library.add([edited], settings=HERE) == AddReport(added=1)
    lazy.load()  # it can be used on
