"""Several channels in one library: each is what a library of its model alone would be, and all keep in step."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simsearch.errors import FingerprintMismatch, InputError, LibraryExists
from simsearch.extract import load_extractor
from simsearch.extract.extractor import Extractor
from simsearch.images import decode
from simsearch.images.preprocess import Preprocessing
from simsearch.library import AddSettings, Library
from simsearch.library.format.atomic_files import Step
from simsearch.library.format.layout import MANIFEST, SEGMENTS
from tests.fake import BlindExtractor, FakeExtractor, OtherExtractor
from tests.library.helpers import HERE, album, live_paths, paint

ZEROS, ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


class Seen(Extractor):
    """Rows that tell every pixel that a preprocessing gives, so that no setting of it can be mistaken."""

    non_negative, metric = False, "cosine"

    def __init__(self, name: str, preprocessing: Preprocessing) -> None:
        self.name, self.preprocessing = name, preprocessing
        self.fingerprint = hashlib.sha256(f"{name} {preprocessing.digest}".encode()).hexdigest()
        self.dimension = 3 * preprocessing.size**2

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels.reshape(len(pixels), -1).astype(np.float32) - 127.5


def models() -> list[Extractor]:
    """Models of different sizes, shapes, ways of decoding and kinds of rows; two are given equal pixels."""
    return [
        Seen("small", Preprocessing(8, "squash", 8, "bilinear", ZEROS, ONES)),
        Seen("wide", Preprocessing(24, "crop", 40, "bicubic", ZEROS, ONES, alpha="contrast", icc="srgb")),
        Seen("lying", Preprocessing(24, "squash", 24, "box", ZEROS, ONES, exif=False)),
        Seen("same", Preprocessing(8, "squash", 8, "bilinear", ZEROS, ONES)),
        load_extractor("dhash"),
        load_extractor("pdq"),
    ]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that look otherwise by each setting: turned, see-through, large; a copy, and files that are none."""
    folder = tmp_path_factory.mktemp("world") / "photos"
    album(folder, range(4))
    rng = np.random.default_rng(0)
    turned = Image.Exif()
    turned[0x0112] = 6
    for i, side in enumerate((90, 700)):
        blocks = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8)).resize((side, 2 * side // 3))
        blocks.save(folder / f"large{i}.jpg", exif=turned, quality=90)
    Image.fromarray(rng.integers(0, 256, (30, 20, 4), np.uint8)).save(folder / "see-through.png")
    shutil.copyfile(folder / "0000.png", folder / "copy.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def rows_by_path(library: Library, channel: str) -> dict[bytes | None, bytes]:
    places = list(library.snapshot.paths())
    rows = [library.snapshot.row(place, channel) for place, _ in places]
    return {path: np.asarray(row).tobytes() for (_, path), row in zip(places, rows, strict=True)}


def require_in_step(library: Library) -> None:
    """Every live item has its own row in every channel."""
    assert library.verify(deep=True) == []
    for place, _ in library.snapshot.paths():
        assert library.snapshot.rows(place) is not None


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_are_bit_for_bit_those_of_libraries_of_one_model(tmp_path: Path, photos: Path, workers: int) -> None:
    settings = AddSettings(workers=workers, batch_size=3)
    with Library.create(tmp_path / "all", model=models(), device="cpu") as library:
        report = library.add(photos, settings=settings)
        assert (report.added, report.exact_copies, report.rejected) == (7, 1, 1)
        require_in_step(library)
        for model in models():
            with Library.create(tmp_path / model.name, model=model, device="cpu") as alone:
                assert alone.add(photos, settings=settings) == report
                assert rows_by_path(library, model.name) == rows_by_path(alone, model.name)
                assert alone.channel in library.channels


def test_a_file_is_read_once_and_decoded_once_for_each_way_of_decoding(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, reads = list[dict[str, Any]](), Counter[bytes]()
    monkeypatch.setattr("simsearch.images.workers.pool.decode_apart", lambda data, **how: _noted(decoded, data, how))
    monkeypatch.setattr("simsearch.images.workers.prepared.load_bytes", lambda source, limit: _read(reads, source.file))
    with Library.create(tmp_path / "all", model=models(), device="cpu") as library:
        library.add(photos / "large1.jpg", settings=HERE)
    assert list(reads.values()) == [1]
    assert decoded == list(
        {str(each.preprocessing.decoding): each.preprocessing.decoding for each in models()}.values()
    )
    assert len(decoded) < len(models())


def _noted(decoded: list[dict[str, Any]], data: bytes, how: dict[str, Any]) -> Any:
    decoded.append({key: value for key, value in how.items() if key != "limits"})
    return decode(data, **how)


def _read(reads: Counter[bytes], file: bytes) -> bytes:
    reads[file] += 1
    return Path(file.decode()).read_bytes()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_pictures_from_memory_are_seen_by_each_model_in_its_own_way(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (30, 20, 4), np.uint8)).convert(mode)
    with Library.create(tmp_path / "all", model=models(), device="cpu") as library:
        assert library.add([picture, picture], settings=HERE).unchanged == 1
        require_in_step(library)
        for model in models():
            with Library.create(tmp_path / model.name, model=model, device="cpu") as alone:
                alone.add(picture, settings=HERE)
                assert rows_by_path(library, model.name) == rows_by_path(alone, model.name)


def test_a_see_through_picture_is_not_taken_for_what_one_model_sees_of_it(tmp_path: Path) -> None:
    bright = np.full((30, 20, 4), 250, np.uint8)  # which some models see on white, others on black
    bright[:, :, 3] = np.random.default_rng(1).integers(0, 256, (30, 20))
    clear = Image.fromarray(bright)
    onto_white = Image.new("RGB", clear.size, "white")
    onto_white.paste(clear, mask=clear)
    small, wide = models()[:2]
    with Library.create(tmp_path / "all", model=[small, wide], device="cpu") as library:
        library.add(clear, settings=HERE)
        assert library.add(onto_white, settings=HERE).added == 1
        wanted = wide.embed(onto_white)[0].astype(np.float16)
        np.testing.assert_array_equal(library.snapshot.rows(list(library.snapshot.paths())[1][0])[1], wanted)  # type: ignore[index]


def test_queries_by_a_channel_find_what_a_library_of_it_finds(tmp_path: Path, photos: Path) -> None:
    Library.create(tmp_path / "all", model=models(), device="cpu").add(photos, settings=HERE)
    query = paint(tmp_path / "query.png", 9)
    for model in models():
        with Library.create(tmp_path / model.name, model=model, device="cpu") as alone:
            alone.add(photos, settings=HERE)
            with Library.open(tmp_path / "all", channel=model.name, extractor=models(), device="cpu") as library:
                assert library.channel.name == model.name
                for queries in (photos, query):
                    found, wanted = (each.search(queries, k=5, settings=HERE) for each in (library, alone))
                    assert found.to_list() == wanted.to_list()


def test_the_channel_is_the_extractors_or_the_first(tmp_path: Path) -> None:
    given = [FakeExtractor(), OtherExtractor(), BlindExtractor()]
    assert Library.create(tmp_path / "l", model=given, device="cpu").channel.name == "fake"
    assert Library.create(tmp_path / "l", model=given[::-1], device="cpu").channel.name == "blind"
    assert Library.open(tmp_path / "l").channel.name == "fake"
    assert Library.open(tmp_path / "l", extractor=given[1]).channel.name == "other"
    with Library.open(tmp_path / "l", extractor=given[::-1], channel="other", device="cpu") as library:
        assert (library.channel.name, library.extractor) == ("other", given[1])
        assert library.extractors == tuple(given)
    with pytest.raises(InputError, match="fake, other, blind"):
        Library.open(tmp_path / "l", channel="nosuch")
    with pytest.raises(FingerprintMismatch, match="small"):
        Library.open(tmp_path / "l", extractor=[given[0], models()[0]])


class Fussy(FakeExtractor):
    """Gives pictures of one seed a row that cannot be kept."""

    name = "fussy"
    fingerprint = hashlib.sha256(b"fussy").hexdigest()

    def __init__(self, bad: NDArray[np.uint8], value: float) -> None:
        self._bad, self._value = bad, value

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        rows = super().embed_pixels(pixels)
        rows[(pixels == self._bad).all(axis=(1, 2, 3))] = self._value
        return rows


@pytest.mark.parametrize(
    ("value", "code"), [(np.nan, "non_finite"), (0, "zero_row"), (1e30, "non_finite"), (1e-30, "zero_row")]
)
@pytest.mark.parametrize("last", [False, True])
def test_a_row_that_cannot_be_kept_costs_the_whole_item(tmp_path: Path, value: float, code: str, last: bool) -> None:
    photos = album(tmp_path / "photos", range(5))
    bad = FakeExtractor.preprocessing.apply(Image.open(photos / "0002.png").convert("RGB"))
    given: list[Extractor] = [FakeExtractor(), Fussy(bad, value)]
    with Library.create(tmp_path / "l", model=given[:: 1 if last else -1], device="cpu") as library:
        report = library.add(photos, settings=HERE)
        assert (report.added, report.codes) == (4, {code: 1})
        assert report.first_rejected[0].source.path.endswith(b"0002.png")
        assert "fussy" in report.first_rejected[0].message
        assert [path[-8:] for path in live_paths(library)] == [b"0000.png", b"0001.png", b"0003.png", b"0004.png"]
        require_in_step(library)


def test_removing_replacing_merging_and_purging_keep_the_channels_in_step(tmp_path: Path) -> None:
    given = [FakeExtractor(), BlindExtractor()]
    photos = album(tmp_path / "photos", range(10))
    small = AddSettings(workers=0, batch_size=2, commit_every=2)
    with Library.create(tmp_path / "l", model=given, device="cpu") as library:
        library.add(photos, settings=small)
        paint(photos / "0003.png", 33)
        shutil.copyfile(photos / "0004.png", photos / "copy.png")
        library.add(photos, settings=small)
        library.remove(photos / "0001.png")
        require_in_step(library)
        library.optimize()
        assert len(library.snapshot.segments) == 1
        require_in_step(library)
        library.remove(photos / "0005.png", purge=True)
        require_in_step(library)
        for model in given:
            stored = rows_by_path(library, model.name)
            for path in (photos / "0003.png", photos / "copy.png", photos / "0009.png"):
                wanted = library.snapshot.channel(model.name).round(model.embed(path))
                assert stored[str(path).encode()] == wanted.tobytes()


def test_repair_brings_all_channels_back_in_their_order(tmp_path: Path, photos: Path) -> None:
    with Library.create(tmp_path / "l", model=models()[::-1], device="cpu") as library:
        library.add(photos, settings=AddSettings(workers=0, batch_size=2, commit_every=2))
        channels, rows = library.channels, [rows_by_path(library, each.name) for each in library.channels]
    (tmp_path / "l" / MANIFEST).unlink()
    assert Library.repair(tmp_path / "l").items == 8
    with Library.open(tmp_path / "l", extractor=models(), channel="wide", device="cpu") as library:
        assert library.channels == channels
        assert [rows_by_path(library, each.name) for each in channels] == rows
        require_in_step(library)
        assert library.add(photos, settings=HERE).unchanged == 8


@pytest.mark.parametrize("channel", ["fake", "blind"])
def test_damage_in_any_channel_is_named_and_not_copied(tmp_path: Path, channel: str) -> None:
    photos = album(tmp_path / "photos", range(3))
    given = [FakeExtractor(), BlindExtractor()]
    with Library.create(tmp_path / "l", model=given, device="cpu") as library:
        library.add(photos, settings=HERE)
        wanted = rows_by_path(library, channel)[str(photos / "0001.png").encode()]
    (segment,) = (tmp_path / "l" / SEGMENTS).iterdir()
    file = segment / f"{channel}.arrow"
    data = bytearray(file.read_bytes())
    at = data.find(wanted)
    data[at : at + 2] = b"\x01\x01"
    file.write_bytes(data)
    shutil.copyfile(photos / "0001.png", photos / "copy.png")
    with Library.open(tmp_path / "l", extractor=given, device="cpu") as library:
        assert any(f"{channel}.arrow" in problem for problem in library.verify(deep=True))
        with pytest.warns(RuntimeWarning, match=f"{channel}.arrow"):
            assert library.add(photos, settings=HERE).added == 1
        assert rows_by_path(library, channel)[str(photos / "copy.png").encode()] == wanted


@pytest.mark.parametrize("step", [Step.SEGMENT_WRITTEN, Step.SEGMENT_RENAMED, Step.MANIFEST_COMMITTED])
def test_an_interrupted_run_leaves_whole_items_and_goes_on(tmp_path: Path, step: Step) -> None:
    photos = album(tmp_path / "photos", range(8))
    given = [FakeExtractor(), BlindExtractor()]
    left = [2]

    def on_step(now: Step) -> None:
        left[0] -= now == step
        if now == step and not left[0]:
            raise KeyboardInterrupt

    settings = AddSettings(workers=0, batch_size=2, commit_every=2)
    library = Library.create(tmp_path / "l", model=given, device="cpu", on_step=on_step)
    with library, pytest.raises(KeyboardInterrupt):
        library.add(photos, settings=settings)
    with Library.open(tmp_path / "l", extractor=given, device="cpu") as library:
        assert 2 <= len(library) < 8
        require_in_step(library)
        library.add(photos, settings=settings)
        assert len(library) == 8
        require_in_step(library)


WRONG: dict[str, Callable[[], Sequence[Extractor]]] = {
    "fewer": lambda: [FakeExtractor()],
    "more": lambda: [FakeExtractor(), OtherExtractor(), BlindExtractor()],
    "another": lambda: [FakeExtractor(), BlindExtractor()],
}


@pytest.mark.parametrize("wrong", WRONG)
def test_models_that_a_library_does_not_have_are_refused(tmp_path: Path, wrong: str) -> None:
    Library.create(tmp_path / "l", model=[FakeExtractor(), OtherExtractor()], device="cpu").close()
    before = (tmp_path / "l" / MANIFEST).read_bytes()
    with pytest.raises(LibraryExists, match=r"holds rows of fake \(.*\), other \(.*\), not of fake"):
        Library.create(tmp_path / "l", model=WRONG[wrong](), device="cpu")
    assert (tmp_path / "l" / MANIFEST).read_bytes() == before


def test_models_that_make_no_channels_are_refused_before_there_is_a_library(tmp_path: Path) -> None:
    for given, match in (([], "no model"), ([FakeExtractor(), FakeExtractor()], "'fake'"), ([FakeExtractor(), 3], "3")):
        with pytest.raises(InputError, match=match):
            Library.create(tmp_path / "l", model=given, device="cpu")  # type: ignore[arg-type]
        assert not (tmp_path / "l").exists()
