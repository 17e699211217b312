"""What is added is found; every input is counted once; what is unchanged is not read."""

from __future__ import annotations

import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.errors import InputError, LibraryExists, LibraryNotFound
from simsearch.library import AddReport, AddSettings, Library, Progress
from simsearch.library.format.atomic_files import Step
from simsearch.library.write import add_images as add_module
from tests.fake import FakeExtractor, OtherExtractor
from tests.library.helpers import HERE, CountingExtractor, album, live_paths, make, paint


def test_what_is_added_is_found(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(12))
    library = make(tmp_path / "library")
    assert library.add(photos, settings=HERE) == AddReport(added=12)
    matches = library.search(sorted(photos.iterdir()), k=2, settings=HERE)
    assert matches.ids[:, 0].tolist() == list(range(12))
    assert (matches.distances[:, 0] == 0).all()
    assert [paths[0] for paths in matches.paths] == [str(path) for path in sorted(photos.iterdir())]
    assert [query.query for query in matches] == [str(path) for path in sorted(photos.iterdir())]
    assert (matches.library_size, matches.channel, len(library)) == (12, "fake", 12)
    assert library.verify(deep=True) == []


def test_unchanged_files_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = album(tmp_path / "photos", range(5))
    extractor = CountingExtractor()
    library = make(tmp_path / "library", extractor)
    library.add(photos, settings=HERE)
    reads: list[object] = []

    def prepare(sources, *args, **kwargs):  # type: ignore[no-untyped-def]
        reads.extend(sources)
        return iter(())

    monkeypatch.setattr("simsearch.images.workers.pool.prepare", prepare)
    assert library.add(photos, settings=HERE) == AddReport(unchanged=5)
    assert (reads, extractor.embedded) == ([], 5)


def test_rescan_reads_and_embeds_nothing_twice(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(5))
    extractor = CountingExtractor()
    library = make(tmp_path / "library", extractor)
    library.add(photos, settings=HERE)
    target = photos / "0002.png"
    stamp, size = target.stat().st_mtime_ns, target.stat().st_size
    data = bytearray(target.read_bytes())
    data[-5:-4] = b"\xff" if data[-5] != 255 else b"\0"  # the check sum of the last chunk: another content, same size
    target.write_bytes(data)
    os.utime(target, ns=(stamp, stamp))
    assert target.stat().st_size == size
    assert library.add(photos, settings=HERE) == AddReport(unchanged=5)
    assert library.add(photos, settings=HERE, rescan=True) == AddReport(unchanged=4, replaced=1)
    assert extractor.embedded == 6


def test_changed_content_replaces_in_one_commit(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(4))
    library = make(tmp_path / "library")
    library.add(photos, settings=HERE)
    old_id = library.search(photos / "0001.png", k=1).ids[0, 0]
    before = library.info().generation
    paint(photos / "0001.png", 50)
    os.utime(photos / "0001.png", ns=(1, 1))
    assert library.add(photos, settings=HERE) == AddReport(unchanged=3, replaced=1)
    assert library.info().generation == before + 1
    matches = library.search(photos / "0001.png", k=10)[0].matches
    assert matches[0].distance == 0
    assert matches[0].id == 4
    assert old_id not in [match.id for match in matches]
    assert [match.path for match in matches].count(str(photos / "0001.png")) == 1


def test_exact_copies_are_not_embedded_again(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(3))
    extractor = CountingExtractor()
    library = make(tmp_path / "library", extractor)
    library.add(photos, settings=HERE)
    (photos / "copy.png").write_bytes((photos / "0000.png").read_bytes())
    assert library.add(photos, settings=HERE) == AddReport(unchanged=3, exact_copies=1)
    (photos / "new-a.png").write_bytes(paint(tmp_path / "x.png", 9).read_bytes())
    (photos / "new-b.png").write_bytes((tmp_path / "x.png").read_bytes())
    assert library.add(photos, settings=HERE) == AddReport(unchanged=4, added=1, exact_copies=1)
    assert extractor.embedded == 4
    first, second = library.search(photos / "copy.png", k=2)[0].matches
    assert first.distance == 0 < second.distance
    assert [Path(copy.path).name for copy in first.copies] == ["copy.png"]
    matches = library.search(photos / "copy.png", k=2, group_copies=False)[0].matches
    assert [match.distance for match in matches] == [0, 0]


def test_a_copy_whose_original_is_replaced_on_the_way_is_embedded(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(2))
    extractor = CountingExtractor()
    library = make(tmp_path / "library", extractor)
    library.add(photos, settings=HERE)
    (photos / "0000.png").rename(photos / "zzzz.png")
    paint(photos / "0000.png", 40)
    settings = replace(HERE, commit_every=1)
    assert library.add(photos, settings=settings).inputs == 3
    assert library.search(photos / "zzzz.png", k=1)[0].matches[0].path == str(photos / "zzzz.png")
    assert library.verify(deep=True) == []


def test_the_same_file_twice_in_one_call_is_unchanged(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(3))
    library = make(tmp_path / "library")
    report = library.add([photos, photos / "0001.png", photos], settings=HERE)
    assert report == AddReport(added=3, unchanged=4)
    assert len(live_paths(library)) == 3


def test_a_file_below_two_roots_is_one_item(tmp_path: Path) -> None:
    album(tmp_path / "photos" / "deep", range(3))
    library = make(tmp_path / "library")
    library.add(tmp_path / "photos", settings=HERE)
    assert library.add(tmp_path / "photos" / "deep", settings=HERE) == AddReport(unchanged=3)


def test_a_touched_file_keeps_its_id_and_is_read_once(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(3))
    library = make(tmp_path / "library")
    library.add(photos, settings=HERE)
    os.utime(photos / "0001.png", ns=(5, 5))
    for _ in range(2):
        assert library.add(photos, settings=HERE) == AddReport(unchanged=3)
    generation = library.info().generation
    assert generation == 2
    assert library.search(photos / "0001.png", k=1).ids.tolist() == [[1]]
    assert library.verify(deep=True) == []


def test_every_input_is_counted_and_rejects_are_recorded_once(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(3))
    (photos / "empty.jpg").touch()
    (photos / "text.jpg").write_text("no image")
    library = make(tmp_path / "library")
    for _ in range(3):
        report = library.add(photos, settings=HERE)
        assert report.inputs == 5
        assert report.rejected == 2
    assert library.info().rejected == 2
    assert library.info().segments == 1
    paint(photos / "text.jpg", 60)
    assert library.add(photos, settings=HERE) == AddReport(added=1, unchanged=3, rejected=1)
    assert library.info().rejected == 1


def test_small_commits_give_the_same_library(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(9))
    once, often = make(tmp_path / "once"), make(tmp_path / "often")
    once.add(photos, settings=HERE)
    often.add(photos, settings=replace(HERE, commit_every=2, batch_size=3))
    assert often.info().segments > once.info().segments == 1
    assert live_paths(once) == live_paths(often)
    queries = FakeExtractor().embed(sorted(photos.iterdir()))
    np.testing.assert_array_equal(once.search_rows(queries).ids, often.search_rows(queries).ids)


def test_progress_counts_every_input_and_what_is_committed(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(7))
    told: list[Progress] = []
    library = make(tmp_path / "library")
    library.add(photos, settings=replace(HERE, commit_every=3), progress=told.append)
    assert [progress.done for progress in told] == list(range(1, 8))
    assert all(progress.committed <= progress.done == progress.report.inputs for progress in told)
    assert told[2].committed == 3


def test_further_frames_are_no_inputs_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "photos" / "moving.gif", save_all=True, append_images=frames[1:])
    told: list[Progress] = []
    report = make(tmp_path / "library").add(
        tmp_path / "photos", settings=replace(HERE, commit_every=1), progress=told.append
    )
    assert (report.inputs, report.first_only) == (1, 1)
    assert [(progress.done, progress.committed) for progress in told] == [(1, 1)]


def test_what_was_done_before_an_error_is_kept(tmp_path: Path) -> None:
    class Breaking(CountingExtractor):
        def embed_pixels(self, pixels):  # type: ignore[no-untyped-def]
            if self.embedded >= 4:
                raise KeyboardInterrupt
            return super().embed_pixels(pixels)

    photos = album(tmp_path / "photos", range(9))
    library = make(tmp_path / "library", Breaking())
    with pytest.raises(KeyboardInterrupt):
        library.add(photos, settings=HERE)
    with Library.open(tmp_path / "library", extractor=FakeExtractor(), device="cpu") as again:
        assert len(again) == 4
        assert again.add(photos, settings=HERE) == AddReport(added=5, unchanged=4)


@pytest.mark.parametrize("step", [Step.SEGMENT_WRITTEN, Step.SEGMENT_RENAMED, Step.MANIFEST_COMMITTED])
@pytest.mark.parametrize("nth", [1, 2])
def test_an_interrupt_during_a_commit_takes_no_item_in_twice(tmp_path: Path, step: Step, nth: int) -> None:
    left = [nth]

    def on_step(now: Step) -> None:
        left[0] -= now == step
        if now == step and not left[0]:
            raise KeyboardInterrupt

    photos = album(tmp_path / "photos", range(9))
    settings = replace(HERE, batch_size=2, commit_every=2)
    with (
        Library.create(tmp_path / "library", model=FakeExtractor(), device="cpu", on_step=on_step) as library,
        pytest.raises(KeyboardInterrupt),
    ):
        library.add(photos, settings=settings)
    with Library.open(tmp_path / "library", extractor=FakeExtractor(), device="cpu") as again:
        assert len(live_paths(again)) == len(set(live_paths(again))) == len(again)
        assert again.verify(deep=True) == []
        assert again.add(photos, settings=settings).inputs == 9
        assert len(again) == 9
        assert again.verify(deep=True) == []


def test_prune_removes_only_below_the_folders_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        album(tmp_path / name, range(ord(name), ord(name) + 3))
    library = make(tmp_path / "library")
    library.add([tmp_path / "a", tmp_path / "b"], settings=HERE)
    for path in (next(iter(sorted((tmp_path / name).iterdir()))) for name in ("a", "b")):
        path.unlink()
    last = sorted((tmp_path / "a").iterdir())[-1]
    assert library.add(last, settings=HERE, prune=True) == AddReport(unchanged=1)
    assert library.add(tmp_path / "a", settings=HERE) == AddReport(unchanged=2)
    assert library.add(tmp_path / "a", settings=HERE, prune=True) == AddReport(unchanged=2, pruned=1)
    assert len(library) == 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_prune_keeps_what_cannot_be_read_unprivileged(tmp_path: Path) -> None:
    _prune_with_unreadable(tmp_path, lambda folder: folder.chmod(0))


def test_prune_keeps_what_cannot_be_read(tmp_path: Path) -> None:
    def loop(folder: Path) -> None:
        folder.rename(folder.with_name(".away"))
        folder.symlink_to(folder)

    _prune_with_unreadable(tmp_path, loop)


def _prune_with_unreadable(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    album(tmp_path / "photos" / "disk", range(3))
    library = make(tmp_path / "library")
    library.add(tmp_path / "photos", settings=HERE)
    spoil(tmp_path / "photos" / "disk")
    report = library.add(tmp_path / "photos", settings=HERE, prune=True)
    assert (report.rejected, report.pruned, len(library)) == (1, 0, 3)


def test_tar_members_are_items_and_prune_with_their_tar(tmp_path: Path) -> None:
    tar = tmp_path / "shard.tar"
    sources = [paint(tmp_path / "src" / f"{i}.png", i) for i in range(3)]

    def write(paths: list[Path]) -> None:
        with tarfile.open(tar, "w") as file:
            for path in paths:
                file.add(path, path.name)
            data = json.dumps({"label": 1}).encode()
            side_car = tarfile.TarInfo("0.json")
            side_car.size = len(data)
            file.addfile(side_car, io.BytesIO(data))

    write(sources)
    library = make(tmp_path / "library")
    assert library.add(tar, settings=HERE) == AddReport(added=3, skipped=1)
    assert library.add(tar, settings=HERE) == AddReport(unchanged=3, skipped=1)
    assert library.search(sources[1], k=1).paths == [[f"{tar}::1.png"]]
    write(sources[:2])
    assert library.add(tar, settings=HERE, prune=True).pruned == 1
    assert library.remove(f"{tar}::0.png") == 1
    assert library.remove(tar) == 1


def test_labels_of_a_list_are_kept_and_updated(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(2))
    library = make(tmp_path / "library")
    library.add(photos, settings=HERE)
    table = tmp_path / "list.csv"
    table.write_text("path,owner,title\nphotos/0001.png,ann,dunes\n")
    assert library.add(from_list=table, settings=HERE) == AddReport(unchanged=1)
    place = library.snapshot.by_path(os.fsencode(photos / "0001.png"))
    assert place is not None
    owner, attributes = library.snapshot.labels(place)
    assert (owner, json.loads(attributes or "")) == ("ann", {"title": "dunes"})
    assert library.add(photos, settings=HERE) == AddReport(unchanged=2)
    assert library.snapshot.labels(place) == (owner, attributes)


@pytest.mark.parametrize("name", ["library", "a/library", "a/b.c/library"])
def test_a_search_leaves_out_the_library_in_the_folder(tmp_path: Path, name: str) -> None:
    album(tmp_path / "photos", range(3))
    library = make(tmp_path / "photos" / name)
    library.add(tmp_path / "photos", settings=HERE)
    for own in ("x.png", "y", "sub/z.png"):
        paint(library.path / own, 1)
    (tmp_path / "list").write_text("photos\n")
    for matches in (
        library.search(tmp_path / "photos", settings=HERE),
        library.search([os.fsencode(tmp_path)], settings=HERE),
        library.search([], from_list=tmp_path / "list", settings=HERE),
    ):
        assert len(matches) == 3


NAMES = [b"\xff\xfe.png", b"two\nlines.png", b"<img src=x onerror=alert(1)>.png", "caf\u00e9.png".encode()]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_survive(tmp_path: Path, name: bytes) -> None:
    folder = os.fsencode(tmp_path) + b"/photos"
    paint(tmp_path / "photos" / "plain.png", 1).rename(os.fsdecode(folder + b"/" + name))
    library = make(tmp_path / "library")
    assert library.add(folder, settings=HERE) == AddReport(added=1)
    match = library.search(folder + b"/" + name, k=1)[0].matches[0]
    if name.startswith(b"\xff"):
        import base64

        assert base64.b64decode(match.path_b64 or "") == folder + b"/" + name
        assert match.path.endswith("\\xff\\xfe.png")
    else:
        assert (match.path, match.path_b64) == ((folder + b"/" + name).decode(), None)
    assert library.remove(folder + b"/" + name) == 1


def test_a_missing_path_does_nothing(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    with pytest.raises(InputError, match="missing"):
        library.add([album(tmp_path / "photos", [1]), tmp_path / "missing"], settings=HERE)
    assert len(library) == 0


def test_rows_that_the_dtype_cannot_hold_are_rejected(tmp_path: Path) -> None:
    class Wide(FakeExtractor):
        def embed_pixels(self, pixels):  # type: ignore[no-untyped-def]
            return super().embed_pixels(pixels) * np.float32(1e6)

    library = make(tmp_path / "library", Wide())
    assert library.add(album(tmp_path / "photos", range(2)), settings=HERE) == AddReport(rejected=2)
    wide = Library.create(tmp_path / "wide", model=Wide(), dtype="float32", device="cpu")
    assert wide.add(tmp_path / "photos", settings=HERE) == AddReport(added=2)


def test_create_opens_what_is_there(tmp_path: Path) -> None:
    make(tmp_path / "library").add(album(tmp_path / "photos", range(2)), settings=HERE)
    assert len(make(tmp_path / "library")) == 2
    with pytest.raises(LibraryExists, match="fake"):
        make(tmp_path / "library", OtherExtractor())
    with pytest.raises(LibraryExists, match="float32"):
        Library.create(tmp_path / "library", model=FakeExtractor(), dtype="float32")
    with pytest.raises(LibraryExists, match="no library"):
        make(tmp_path / "photos")
    with pytest.raises(LibraryNotFound, match="simsearch index"):
        Library.open(tmp_path / "photos")
    with pytest.raises(LibraryNotFound):
        Library.open(tmp_path / "nowhere")


def test_decoders_in_their_own_processes_give_the_same(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(6))
    here, there = make(tmp_path / "here"), make(tmp_path / "there")
    here.add(photos, settings=HERE)
    there.add(photos, settings=AddSettings(workers=2))
    rows = [np.concatenate([s.channels["fake"].row for s in library.snapshot.segments]) for library in (here, there)]
    np.testing.assert_array_equal(*rows)


def test_looking_up_in_chunks_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add_module, "_LOOKED_UP_AT_ONCE", 2)
    photos = album(tmp_path / "photos", range(7))
    library = make(tmp_path / "library")
    assert library.add([photos, photos], settings=HERE) == AddReport(added=7, unchanged=7)
