"""Object storage: rows of objects are those of files, and what fails is told, against a server that speaks S3."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from simsearch.errors import InputError, RejectCode, ServiceError
from simsearch.extract.embeddings.folder import write_folder
from simsearch.images import Limits, find
from simsearch.images.source import Rejected, Source, source_of
from simsearch.library import Library
from simsearch.scale.objects.fetch import FetchingRunner, fetched
from simsearch.scale.objects.find import find_objects
from simsearch.scale.objects.store import Address, address_of, bucket_at
from tests.cli.conftest import FAKE, Run
from tests.fake import FakeExtractor
from tests.scale.cluster.faulty import runner_of, until_done, world

pytestmark = pytest.mark.cluster


def at(address: str) -> Address:
    found = address_of(address)
    assert found is not None
    return found


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = world(tmp_path, 7)
    (folder / "notes.json").write_text("{}")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "odd ü%20 name#?.png").write_bytes((folder / "0001.png").read_bytes())
    with tarfile.open(folder / "some.tar", "w") as tar:
        tar.add(folder / "0002.png", "a/0002.png")
        tar.add(folder / "0004.png", "a/0004.png")
    (folder / "empty.png").write_bytes(b"")
    return folder


def upload(bucket: str, folder: Path, prefix: str) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            bucket_at(bucket).put(f"{prefix}/{path.relative_to(folder)}", path.read_bytes())


def rows(folder: Path) -> list[tuple[str, str]]:
    parts = [pq.read_table(path).to_pylist() for path in sorted(folder.glob("part-*.parquet"))]
    told = [(row["path"].rpartition("pictures/")[2], str(row["embedding"])) for part in parts for row in part]
    return sorted(told)


def rejected(folder: Path) -> list[tuple[str, str]]:
    table = pq.read_table(folder / "rejected.parquet").to_pylist()
    return sorted((row["path"].rpartition("pictures/")[2], row["code"]) for row in table)


def test_rows_of_objects_are_those_of_files(run: Run, bucket: str, pictures: Path, tmp_path: Path) -> None:
    upload(bucket, pictures, "pictures")
    told = {}
    for name, path in (("files", pictures), ("objects", f"{bucket}/pictures")):
        code, out, err = run("embed", path, "--output", tmp_path / name, "--model", FAKE, "--workers", 1, "--json")
        assert code == 0, err
        told[name] = json.loads(out)
    assert rows(tmp_path / "objects") == rows(tmp_path / "files")
    assert rejected(tmp_path / "objects") == rejected(tmp_path / "files")
    same = ("rows", "rejected", "rejected_by_code", "skipped", "skipped_by_kind")
    assert {key: told["objects"][key] for key in same} == {key: told["files"][key] for key in same}


def test_a_library_of_objects_skips_what_it_has(run: Run, bucket: str, pictures: Path, tmp_path: Path) -> None:
    upload(bucket, pictures, "pictures")
    command = ("index", f"{bucket}/pictures", "--library", tmp_path / "lib", "--model", FAKE, "--workers", 0, "--json")
    first = json.loads(run(*command)[1])
    again = json.loads(run(*command)[1])
    assert (first["added"] + first["exact_copies"], first["copies_of_gone"]) == (11, 0)
    assert (again["added"], again["unchanged"], again["library_size"]) == (0, 11, 11)
    with Library.open(tmp_path / "lib") as library:
        assert all(path is not None and path.startswith(bucket.encode()) for _, path in library.snapshot.paths())
    removed = run("remove", f"{bucket}/pictures/0001.png", "--library", tmp_path / "lib", "--json")
    assert json.loads(removed[1])["removed"] == 1


def test_a_list_names_objects_with_owners(run: Run, bucket: str, pictures: Path, tmp_path: Path) -> None:
    upload(bucket, pictures, "pictures")
    (tmp_path / "list.csv").write_text(
        f"path,owner\n{bucket}/pictures/0001.png,Anna\npictures/0002.png,Bert\n{bucket}/pictures/missing.png,Cleo\n"
    )
    code, _, err = run("index", "--from-list", tmp_path / "list.csv", "--library", tmp_path / "l", "--model", FAKE)
    assert (code != 0, "missing.png" in err) == (True, True)
    (tmp_path / "list.csv").write_text(f"path,owner\n{bucket}/pictures/0001.png,Anna\npictures/0002.png,Bert\n")
    code, _, err = run("index", "--from-list", tmp_path / "list.csv", "--library", tmp_path / "l", "--model", FAKE)
    assert code == 0, err
    with Library.open(tmp_path / "l") as library:
        place = library.snapshot.by_path(f"{bucket}/pictures/0001.png".encode())
        assert place is not None
        assert library.snapshot.labels(place)[0] == "Anna"


def test_bounds_and_what_goes_between_are_rejects(bucket: str, pictures: Path) -> None:
    upload(bucket, pictures, "pictures")
    found = [one for one in find_objects([at(f"{bucket}/pictures")]) if isinstance(one, Source)]
    sizes = sorted(one.size for one in found)
    bucket_at(bucket).delete("pictures/0000.png")
    told = list(fetched(found, Limits(max_bytes=sizes[-1] - 1)))
    assert [source_of(one).path for one in told] == [one.path for one in found]
    codes = {source_of(one).name: one.code for one in told if isinstance(one, Rejected)}
    assert codes[b"0000.png"] == RejectCode.IO_ERROR
    assert codes[b"empty.png"] == RejectCode.EMPTY
    assert RejectCode.TOO_MANY_BYTES in codes.values()


def test_what_is_not_there_is_refused_with_its_address(bucket: str) -> None:
    with pytest.raises(InputError, match=r"nothing is at s3://photos-.*/none"):
        list(find_objects([at(f"{bucket}/none")]))
    with pytest.raises(InputError, match=r"s3://no-such-bucket-here.*is not there"):
        list(find_objects([at("s3://no-such-bucket-here/x")]))


def test_a_storage_that_does_not_answer_ends_the_job_and_rejects_nothing(
    bucket: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(bucket, pictures, "pictures")
    found = list(find_objects([at(f"{bucket}/pictures")]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("simsearch.scale.objects.store._RETRIES", {"max_retries": 0})
    bucket_at.cache_clear()
    with pytest.raises(ServiceError, match="does not answer"):
        write_folder(FakeExtractor(), found, tmp_path / "rows", workers=0, runner=FetchingRunner())
    assert not list((tmp_path / "rows").glob("part-*"))


def test_a_ledger_in_a_bucket_keeps_the_law(bucket: str, pictures: Path, tmp_path: Path) -> None:
    def run(left: list[int]) -> None:
        runner, _ = runner_of(f"{bucket}/ledger", left)  # type: ignore[arg-type]
        write_folder(FakeExtractor(), find([pictures]), tmp_path / "many", runner=runner)
        runner.close()

    assert until_done(run, [0, 1, 2, 3, 4, 0, 2, 4]) == 2
    write_folder(FakeExtractor(), find([pictures]), tmp_path / "one", workers=0)
    assert rows(tmp_path / "many") == rows(tmp_path / "one")
    assert not list(bucket_at(bucket).listing("ledger/"))
