"""Single files in the caller's process have the limits of decode workers: time, memory, pixels; a crash is a reject."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from simsearch.errors import ImageRejected, RejectCode
from simsearch.images import Limits, Prepared, Rejected, decode, find, prepare
from simsearch.images.formats.sniff import webp_size
from simsearch.images.workers.single import decode_apart
from tests.images.pictures import SQUASH, apart, encoded, png, scene
from tests.images.profiles import DISPLAY_P3, SRGB_CURVE, profile

ROOT = Path(__file__).resolve().parents[3]
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")


def many_scans(side: int = 9000, scans: int = 20_000) -> bytes:
    """A progressive JPEG of 200 KB whose last scan is repeated so often that decoding takes minutes."""
    data = bytearray(encoded(Image.new("RGB", (64, 64), (9, 99, 200)), "JPEG", progressive=True))
    struct.pack_into(">HH", data, data.find(b"\xff\xc2") + 5, side, side)
    last = data.rfind(b"\xff\xda", 0, -2)
    return bytes(data[:-2]) + bytes(data[last:-2]) * scans + b"\xff\xd9"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_decoded_apart_is_the_same_picture(kind: str) -> None:
    options = {"icc_profile": profile(DISPLAY_P3, SRGB_CURVE)} if kind in ("JPEG", "PNG", "WEBP") else {}
    data = encoded(scene(300, 200), kind, **options)
    for how in ({}, {"at_least": 24}, {"exif": False, "icc": "srgb", "alpha": "contrast"}):
        one, other = decode(data, **how), decode_apart(data, **how)
        assert apart(one.image, other.image) == 0
        assert (one.width, one.height, one.format, one.more) == (other.width, other.height, other.format, other.more)


@pytest.mark.parametrize("data", [b"", b"text", encoded(scene())[:100], png(50_000, 50_000, b"")])
def test_a_file_is_rejected_apart_as_it_is_here(data: bytes) -> None:
    with pytest.raises(ImageRejected) as here:
        decode(data)
    with pytest.raises(ImageRejected) as there:
        decode_apart(data)
    assert there.value.code is here.value.code


def test_time_is_limited_and_the_next_file_is_decoded() -> None:
    began = time.monotonic()
    with pytest.raises(ImageRejected) as caught:
        decode_apart(many_scans(), limits=Limits(timeout_s=0.5))
    assert caught.value.code is RejectCode.TIMEOUT
    assert time.monotonic() - began < 5
    assert decode_apart(encoded(scene())).width == 60


def test_without_workers_the_limits_are_the_same(tmp_path: Path) -> None:
    for i, data in enumerate((many_scans(), encoded(scene()), b"\xff\xd8\xff")):
        (tmp_path / f"{i}.jpg").write_bytes(data)
    for workers in (0, 1):
        results = list(prepare(find([tmp_path]), SQUASH, workers=workers, limits=Limits(timeout_s=1)))
        codes = [str(one.code) if isinstance(one, Rejected) else "ok" for one in results]
        assert codes[:2] == ["timeout", "ok"]
        assert isinstance(results[2], Rejected)


def test_a_process_that_dies_is_a_reject(monkeypatch: pytest.MonkeyPatch) -> None:
    decode_apart(encoded(scene()))
    process = decode_apart._idle[-1]
    process._process.kill()
    process._process.wait()
    with pytest.raises(ImageRejected) as caught:
        decode_apart(encoded(scene()))
    assert caught.value.code is RejectCode.WORKER_DIED
    assert decode_apart(encoded(scene())).width == 60


def test_threads_do_not_get_each_others_pictures() -> None:
    wrong = list[int]()

    def work(seed: int) -> None:
        data = encoded(scene(90 + seed, 70, seed=seed))
        for _ in range(10):
            if apart(decode_apart(data).image, scene(90 + seed, 70, seed=seed)) > 0:
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forked_processes_have_their_own_and_nothing_is_left_at_the_end() -> None:
    script = (
        "import os, sys\n"
        "from simsearch.images.workers.single import decode_apart\n"
        "data = sys.stdin.buffer.read()\n"
        "decode_apart(data)\n"
        "print(decode_apart._idle[0]._process.pid, flush=True)\n"
        "if (child := os.fork()) == 0:\n"
        "    assert not decode_apart._idle\n"
        "    decode_apart(data)\n"
        "    sys.exit()\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert decode_apart(data).width == 60\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        input=encoded(scene()),
        capture_output=True,
        env=environment,
        check=True,
    )
    assert done.stderr == b""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_what_takes_too_much_memory_is_refused_before_it_is_paid() -> None:
    small = encoded(Image.new("RGB", (4000, 3000)), "WEBP", lossless=True, method=0)
    for decoder in (decode, decode_apart):
        with pytest.raises(ImageRejected, match="--max-pixels") as caught:
            decoder(small, limits=Limits(max_memory=150 << 20))
        assert caught.value.code is RejectCode.TOO_MANY_PIXELS
    assert Limits().memory < 1300 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone counts memory")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_worker_is_held_to_its_memory(workers: int, tmp_path: Path) -> None:
    # In four bytes a pixel more than the limit and what is granted for the stacks of threads.
    side = math.isqrt(((48 + 8 * (os.cpu_count() or 1)) << 20) // 4)
    (tmp_path / "0.png").write_bytes(encoded(Image.new("RGB", (side, side)), "PNG", compress_level=1))
    (tmp_path / "1.png").write_bytes(encoded(scene()))
    tight, wide = (
        list(prepare(find([tmp_path]), SQUASH, workers=workers, limits=Limits(max_memory=each << 20)))
        for each in (16, 900)
    )
    assert isinstance(tight[0], Rejected)
    assert (tight[0].code, "16 MiB" in tight[0].message) == (RejectCode.DECODE_ERROR, True)
    assert all(isinstance(one, Prepared) for one in (*tight[1:], *wide))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_largest_pictures_fit_the_memory_that_goes_with_them(kind: str, tmp_path: Path) -> None:
    mode, options = ("RGB", {"quality": 60}) if kind == "JPEG" else ("RGBA", {"compress_level": 1})
    (tmp_path / "0").write_bytes(encoded(Image.new(mode, (12_000, 9000), 77), kind, **options))
    limits = Limits(max_pixels=108_000_000)
    for workers in (0, 1):
        (found,) = prepare(find([tmp_path]), SQUASH, workers=workers, limits=limits)
        assert isinstance(found, Prepared)
        assert (found.width, found.height) == (12_000, 9000)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_size_of_a_webp_is_read_from_its_header(lossless: bool, mode: str) -> None:
    for size in ((1, 1), (301, 157), (5000, 2)):
        for extra in ({}, {"exif": b"Exif\0\0"}):
            data = encoded(Image.new(mode, size, 9), "WEBP", lossless=lossless, **extra)
            assert webp_size(data) == size
