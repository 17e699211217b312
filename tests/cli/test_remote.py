"""`--ray` and addresses of object storage on the command line, where neither Ray nor a storage is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from simsearch.scale.objects.store import address_of
from tests.cli.conftest import FAKE, Run


@pytest.mark.parametrize(
    ("command", "flags", "said"),
    [
        ("embed", ("--ledger", "x"), "--ledger goes with --ray"),
        ("index", ("--ledger", "x"), "--ledger goes with --ray"),
        ("embed", ("--ray", "local", "--shard", "1/2"), "--shard is for one machine"),
        ("embed", ("--ray", "local", "--compile"), "--compile is for one machine"),
        ("index", ("s3://bucket/x", "--prune"), "not into object storage"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(
    run: Run, pictures: Path, tmp_path: Path, *, command: str, flags: tuple[str, ...], said: str
) -> None:
    where = "--output" if command == "embed" else "--library"
    code, _, err = run(command, pictures, *flags, where, tmp_path / "out", "--model", FAKE)
    assert (code, said in " ".join(err.split())) == (2, True), err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("missing", "arguments"), [("ray", ("--ray", "local")), ("obstore", ("s3://bucket/photos",))])
def test_what_is_not_installed_is_named_with_its_line(
    run: Run,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    missing: str,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, err = run("embed", pictures, *arguments, "--output", tmp_path / "out", "--model", FAKE, "--workers", 0)
    assert (code, 'pip install -e ".[scale]"' in " ".join(err.split())) == (3, True), err


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://photos", "s3://photos"),
        (Path("s3://photos/2026/a b#?.jpg"), "s3://photos/2026/a b#?.jpg"),
        (Path("gs://photos/"), "gs://photos"),
        ("az://container/x/", "az://container/x"),
    ],
)
def test_addresses(text: str | Path, address: str) -> None:
    assert str(address_of(text)) == address


@pytest.mark.parametrize("path", ["/s3/photos", "photos", "http://photos/x", "s3:photos", Path("a/s3://photos")])
def test_paths_are_no_addresses(path: str | Path) -> None:
    assert address_of(path) is None
