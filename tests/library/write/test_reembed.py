"""`reembed`: a further channel is there for every item, the one of a library made with it, or not at all."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simsearch.cli import main
from simsearch.errors import InputError, LibraryDamaged
from simsearch.library import AddSettings, Library
from simsearch.library.format.atomic_files import Step
from simsearch.library.format.layout import MANIFEST, REEMBED
from tests.cli.conftest import OTHER
from tests.fake import BlindExtractor, FakeExtractor, OtherExtractor
from tests.library.helpers import HERE, CountingExtractor, album, make, paint
from tests.library.test_channels import models, require_in_step, rows_by_path

ROOT = Path(__file__).parents[3]
SMALL = AddSettings(workers=0, batch_size=2, commit_every=2)


class CountingOther(OtherExtractor, CountingExtractor):
    """Counts what it embeds."""

    name, fingerprint = OtherExtractor.name, OtherExtractor.fingerprint


class ElevenBits(FakeExtractor):
    """Codes that do not fill their last byte."""

    name, fingerprint, metric, non_negative, dimension = "eleven", "e" * 64, "hamming", False, 2
    bits = 11  # type: ignore[assignment]

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.packbits(pixels[:, 0, :11, 0] > 127, axis=1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eight pictures, a copy of one, and two in a tar."""
    folder = album(tmp_path / "photos", range(8))
    shutil.copyfile(folder / "0000.png", folder / "copy.png")
    album(tmp_path / "packed", range(20, 22))
    with tarfile.open(folder / "more.tar", "w") as tar:
        for path in sorted((tmp_path / "packed").iterdir()):
            tar.add(path, path.name)
    return folder


def opened(folder: Path, channel: str | None = None) -> Library:
    given = [FakeExtractor(), OtherExtractor(), BlindExtractor()]
    with Library.open(folder, device="cpu") as library:
        held = {each.fingerprint for each in library.channels}
    return Library.open(folder, extractor=[g for g in given if g.fingerprint in held], channel=channel, device="cpu")


@pytest.mark.parametrize("workers", [0, 1])
def test_the_channel_is_that_of_a_library_that_was_made_with_it(tmp_path: Path, photos: Path, workers: int) -> None:
    for model in (*models(), BlindExtractor()):
        place = tmp_path / model.name
        with make(place / "grown") as grown:
            grown.add(photos, settings=SMALL)
            grown.remove(photos / "0003.png")
            ids = grown.snapshot.ids().tolist()
            report = grown.reembed(model, settings=AddSettings(workers=workers, batch_size=3, commit_every=4))
            assert (report.channel, report.items, report.embedded, report.missing) == (model.name, 10, 9, {})
            assert grown.snapshot.ids().tolist() == ids
            assert not (place / "grown" / REEMBED).exists()
            require_in_step(grown)
            with Library.create(place / "made", model=[FakeExtractor(), model], device="cpu") as made:
                made.add(photos, settings=HERE)
                made.remove(photos / "0003.png")
                assert made.channels == grown.channels
                for channel in ("fake", model.name):
                    assert rows_by_path(grown, channel) == rows_by_path(made, channel)
            paint(photos / "new.png", 50)
            assert (grown.add(photos, settings=HERE).added, len(grown)) == (2, 12)
            require_in_step(grown)
            (photos / "new.png").unlink()


def test_searches_go_on_by_what_was_open(tmp_path: Path, photos: Path) -> None:
    with make(tmp_path / "l") as library, opened(tmp_path / "l") as reader:
        library.add(photos, settings=SMALL)
        reader.refresh()
        before = reader.search(photos, settings=HERE).to_list()
        library.reembed(BlindExtractor(), settings=HERE)
        assert reader.search(photos, settings=HERE).to_list() == before
        reader.refresh()
        assert reader.search(photos, settings=HERE).to_list() == before
        assert [each.name for each in reader.channels] == ["fake", "blind"]


def test_what_was_embedded_is_not_embedded_again(tmp_path: Path, photos: Path) -> None:
    make(tmp_path / "l").add(photos, settings=HERE)
    first, second = CountingOther(), CountingOther()

    def stop(done: int, of: int) -> None:
        assert of == 10
        if done == 6:
            raise KeyboardInterrupt

    with opened(tmp_path / "l") as library:
        with pytest.raises(KeyboardInterrupt):
            library.reembed(first, settings=SMALL, progress=stop)
        assert [each.name for each in library.channels] == ["fake"]
        assert library.verify(deep=True) == []
    with opened(tmp_path / "l") as library:
        report = library.reembed(second, settings=SMALL)
        assert (report.channel, report.embedded, second.embedded) == ("other", 4, 4)
        assert library.reembed(second, settings=SMALL).embedded == 0
        require_in_step(library)


def test_a_piece_that_is_torn_is_made_again(tmp_path: Path, photos: Path) -> None:
    make(tmp_path / "l").add(photos, settings=HERE)
    (photos / "0007.png").rename(tmp_path / "away.png")
    with opened(tmp_path / "l") as library:
        library.reembed(OtherExtractor(), settings=SMALL)
        pieces = sorted((tmp_path / "l" / REEMBED).glob("*/*.npy"))
        data = bytearray(pieces[0].read_bytes())
        data[-1] ^= 1
        pieces[0].write_bytes(data)
        lost = len(np.load(pieces[0]))
        (tmp_path / "away.png").rename(photos / "0007.png")
        extractor = CountingOther()
        assert library.reembed(extractor, settings=SMALL).channel == "other"
        assert extractor.embedded == lost + 1
        require_in_step(library)
        assert rows_by_path(library, "other") == rows_by_path(library, "fake")


def test_while_an_item_has_no_file_nothing_is_switched_in_and_it_is_named(tmp_path: Path, photos: Path) -> None:
    with make(tmp_path / "l") as library:
        library.add(photos, settings=HERE)
        library.add(np.zeros((9, 9), np.uint8), settings=HERE)
        before = (tmp_path / "l" / MANIFEST).read_bytes(), rows_by_path(library, "fake")
        (photos / "0001.png").unlink()
        (photos / "0000.png").unlink()  # its copy is there
        paint(photos / "0002.png", 40)
        (photos / "0004.png").write_bytes(b"no picture")
        report = library.reembed(OtherExtractor(), settings=HERE)
        said = {path.rpartition(b"/")[2]: (str(why.code), why.message) for path, why in report.missing.items()}
        assert (report.channel, report.embedded, said.keys()) == (
            None, 7, {b"0001.png", b"0002.png", b"0004.png", b"id:11"}
        )  # fmt: skip
        assert "no longer what was indexed" in said[b"0002.png"][1]
        assert said[b"0004.png"][0] == "unknown_format"
        assert ((tmp_path / "l" / MANIFEST).read_bytes(), rows_by_path(library, "fake")) == before
        library.remove(next(iter(report.missing)))
        library.add(photos, settings=HERE)
        library.remove(["id:11", str(photos / "0004.png")])
        report = library.reembed(OtherExtractor(), settings=HERE)
        assert (report.channel, report.embedded) == ("other", 1)
        require_in_step(library)


def test_items_that_come_while_it_is_filled_have_rows_too(tmp_path: Path, photos: Path) -> None:
    make(tmp_path / "l").add(photos, settings=HERE)
    late = album(tmp_path / "late", range(30, 33))

    def add(done: int, _of: int) -> None:
        if done == 9:
            with opened(tmp_path / "l") as other:
                other.add(late, settings=HERE)
                other.remove(photos / "0005.png")

    with opened(tmp_path / "l") as library:
        report = library.reembed(OtherExtractor(), settings=HERE, progress=add)
        assert (report.channel, report.items, report.embedded) == ("other", 13, 13)
        require_in_step(library)


def test_a_purge_leaves_no_rows_of_a_channel_that_is_filled(tmp_path: Path, photos: Path) -> None:
    with make(tmp_path / "l") as library:
        library.add(photos, settings=HERE)
        (photos / "0001.png").unlink()
        library.reembed(OtherExtractor(), settings=HERE)
        assert (tmp_path / "l" / REEMBED).is_dir()
        library.remove(photos / "0001.png", purge=True)
        assert not (tmp_path / "l" / REEMBED).exists()


def test_a_damaged_segment_is_not_copied(tmp_path: Path, photos: Path) -> None:
    with make(tmp_path / "l") as library:
        library.add(photos, settings=HERE)
        file = next((tmp_path / "l" / "segments").glob("*/fake.arrow"))
        data = bytearray(file.read_bytes())
        data[data.find(rows_by_path(library, "fake")[str(photos / "0001.png").encode()])] ^= 1
        file.write_bytes(data)
        with pytest.raises(LibraryDamaged, match=r"fake\.arrow"):
            library.reembed(OtherExtractor(), settings=HERE)
        assert [each.name for each in library.channels] == ["fake"]


def test_agreement_is_one_of_equal_rows_and_less_of_others(tmp_path: Path) -> None:
    album(tmp_path / "photos", range(30))
    with make(tmp_path / "l") as library:
        library.add(tmp_path / "photos", settings=HERE)
        equal = library.reembed(OtherExtractor(), settings=HERE)
        assert (equal.agreement, equal.sampled) == (1.0, 30)
        blind = library.reembed(BlindExtractor(), settings=HERE)
        assert blind.agreement is not None
        assert 10 / 29 - 0.15 < blind.agreement < 10 / 29 + 0.15, "as by chance"
        assert library.reembed(FakeExtractor(), settings=HERE).agreement is None


def test_indexes_are_told_to_be_built_again(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("simsearch.library.indexes.held_out.ASKED", 200)
    pixels = np.random.default_rng(0).integers(0, 256, (400, 4, 4, 3), np.uint8)
    for i, one in enumerate(pixels):
        Image.fromarray(one).save(photos / f"many{i}.png")
    with make(tmp_path / "l") as library:
        library.add(photos, settings=HERE)
        library.optimize(recall=0.3, kind="ivf_flat")
    command = ["reembed", "--library", str(tmp_path / "l"), "--model", OTHER, "--workers", "0"]
    assert main(command) == 0
    assert "simsearch optimize" in capsys.readouterr().err
    assert main(["optimize", "--library", str(tmp_path / "l")]) == 0
    assert main(command) == 0
    assert "simsearch optimize" not in capsys.readouterr().err


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path, photos: Path) -> None:
    class Newer(OtherExtractor):
        name = "fake"

    with make(tmp_path / "l") as library:
        library.add(photos, settings=HERE)
        assert library.reembed(Newer(), settings=HERE).channel == "fake-2"
        require_in_step(library)


def test_an_empty_library_gets_a_channel(tmp_path: Path, photos: Path) -> None:
    with make(tmp_path / "l") as library:
        report = library.reembed(OtherExtractor(), settings=HERE)
        assert (report.channel, report.items, report.agreement) == ("other", 0, None)
        library.add(photos, settings=HERE)
        require_in_step(library)


def test_a_manifest_of_the_first_libraries_takes_a_channel_of_bits(tmp_path: Path, photos: Path) -> None:
    with make(tmp_path / "l") as library:
        library.add(photos, settings=HERE)
    with closing(sqlite3.connect(tmp_path / "l" / MANIFEST)) as db, db:
        db.execute("ALTER TABLE channels DROP COLUMN bits")
        db.execute("DELETE FROM meta WHERE key = 'seal'")
    with opened(tmp_path / "l") as library:
        assert library.reembed(ElevenBits(), settings=HERE).missing == {}
        assert [each.bits for each in library.channels] == [None, 11]
        require_in_step(library)


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path, photos: Path) -> None:
    with make(tmp_path / "l") as library:
        library.add(photos, settings=HERE)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "l" / REEMBED).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(LibraryDamaged, match="link"):
            library.reembed(OtherExtractor(), settings=HERE)
        assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("value", [3, None, b"x"])
def test_what_is_no_model_is_refused(tmp_path: Path, value: object) -> None:
    with make(tmp_path / "l") as library, pytest.raises(InputError, match="model"):
        library.reembed(value)  # type: ignore[arg-type]


_CHILD = """
import os, signal, sys
from pathlib import Path
from simsearch.library import Library
from tests.fake import FakeExtractor, OtherExtractor
from tests.library.crash_child import killer
from tests.library.write.test_reembed import SMALL
folder, step, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def kill(done, of):
    if step == "embedding" and done == count:
        os.kill(os.getpid(), signal.SIGKILL)

Library.open(folder, extractor=FakeExtractor(), device="cpu", on_step=killer(step, count)).reembed(
    OtherExtractor(), settings=SMALL, progress=kill)
"""


@pytest.mark.parametrize(
    ("step", "count", "there"),
    [
        ("embedding", 1, False),
        ("embedding", 7, False),
        (Step.SEGMENT_WRITTEN, 1, False),
        (Step.MERGE_RENAMED, 1, False),
        (Step.MERGE_RENAMED, 3, False),
        (Step.MERGE_COMMITTED, 1, True),
    ],
)
def test_killed_it_is_there_for_every_item_or_not_at_all_and_goes_on(
    tmp_path: Path, photos: Path, step: str, count: int, there: bool
) -> None:
    with make(tmp_path / "l") as library:
        library.add(photos, settings=SMALL)
        rows = rows_by_path(library, "fake")
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "l"), str(step), str(count)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    with opened(tmp_path / "l") as library:
        assert [each.name for each in library.channels] == (["fake", "other"] if there else ["fake"])
        assert library.verify(deep=True) == []
        assert rows_by_path(library, "fake") == rows
        report = library.reembed(OtherExtractor(), settings=HERE)
        assert (report.channel, report.missing) == ("other", {})
        require_in_step(library)
        assert rows_by_path(library, "other") == rows
    assert not (tmp_path / "l" / REEMBED).exists()
