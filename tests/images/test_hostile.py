"""Promise P4 on real damage: 4,988 files from decoders' test suites; each ends as a picture or a named reject."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import PIL
import pytest
from PIL import Image

from simsearch.errors import RejectCode
from simsearch.images import Prepared, Rejected, find, prepare
from simsearch.images.formats.jpeg_end import closed
from simsearch.images.formats.side_data import stripped
from simsearch.images.formats.sniff import sniff
from simsearch.images.sidecars import Skipped
from tests.images.pictures import SQUASH

ABSENT_FORMATS = {RejectCode.FORMAT_NOT_ALLOWED, RejectCode.UNKNOWN_FORMAT}


pillow_13 = pytest.mark.skipif(
    PIL.__version__.split(".")[0] != "13", reason=f"the verdicts are Pillow 13's, this is {PIL.__version__}"
)


@pytest.fixture(scope="module")
def skipped() -> list[Skipped]:
    """Files that are known to be no images; filled when `ended` looks for them."""
    return []


@pytest.fixture(scope="module")
def ended(data: Path, skipped: list[Skipped]) -> dict[str, Prepared | Rejected]:
    root = data / "hostile"
    if not root.is_dir():
        pytest.skip(f"no {root}")
    sources = [
        one for one in find([root], skipped=skipped.append) if not os.fsdecode(_name(one)).startswith("manifest")
    ]
    results = list(prepare(sources, SQUASH, workers=2))
    assert [result.source for result in results] == [
        one.source if isinstance(one, Rejected) else one for one in sources
    ]
    return {os.fsdecode(result.source.name): result for result in results}


def _name(one: object) -> bytes:
    return one.source.name if isinstance(one, Rejected) else one.name  # type: ignore[attr-defined]


def _is_read_in_the_end(path: Path) -> bool:
    """Whether plain Pillow reads a file without what stands beside its picture, or a JPEG with an end mark."""
    data = path.read_bytes()
    bare = stripped(data, sniff(data))
    data = data if bare is None else bare.data
    data = (sniff(data) == "JPEG" and closed(data)) or data
    with Image.open(io.BytesIO(data)) as image:
        # Of this mode Pillow reads files without being able to convert them to RGB, which was the manifest's test.
        return image.mode == "La" or image.convert("RGB").size == image.size


@pytest.fixture(scope="module")
def verdicts(data: Path) -> dict[str, tuple[str, str]]:
    lines = (data / "hostile" / "manifest.tsv").read_text().splitlines()[1:]
    return {name: (sha256, verdict) for name, sha256, _, verdict in (line.split("\t") for line in lines)}


def test_every_file_ends_as_a_picture_or_a_named_reject(
    data: Path, ended: dict, verdicts: dict, skipped: list[Skipped]
) -> None:
    others = {os.path.relpath(os.fsdecode(other.path), data / "hostile").split("::")[0] for other in skipped}
    others -= {"manifest.tsv"}
    assert {name.split("::")[0] for name in ended} | others == set(verdicts)
    assert not [name for name in others if verdicts[name][1] == "ok"]
    assert not [r for r in ended.values() if isinstance(r, Rejected) and (r.code not in RejectCode or not r.message)]
    assert not [
        r for r in ended.values() if isinstance(r, Rejected) and r.code in ("worker_died", "timeout", "io_error")
    ]


@pillow_13
def test_what_plain_pillow_cannot_read_is_never_accepted(data: Path, ended: dict, verdicts: dict) -> None:
    accepted = {name for name, result in ended.items() if isinstance(result, Prepared) and "::" not in name}
    beyond = accepted - {name for name, (_, verdict) in verdicts.items() if verdict == "ok"}
    assert len(beyond) < 40
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [name for name in beyond if not _is_read_in_the_end(data / "hostile" / name)] == []


@pillow_13
def test_what_plain_pillow_reads_is_refused_only_for_its_format(ended: dict, verdicts: dict) -> None:
    readable = [ended[name] for name, (_, verdict) in verdicts.items() if verdict == "ok"]
    refused = [result for result in readable if isinstance(result, Rejected)]
    assert {result.code for result in refused} <= ABSENT_FORMATS
    assert len(readable) - len(refused) > 1300


def test_huge_pictures_are_refused_by_their_header(ended: dict, verdicts: dict) -> None:
    huge = [ended[name] for name, (_, verdict) in verdicts.items() if verdict == "HUGE"]
    assert all(isinstance(result, Rejected) for result in huge)


def test_the_hash_is_that_of_the_file(ended: dict, verdicts: dict) -> None:
    accepted = {name: result for name, result in ended.items() if isinstance(result, Prepared) and "::" not in name}
    assert all(result.sha256.hex() == verdicts[name][0] for name, result in accepted.items())
