"""Promise P10: no file that simsearch reads can execute code, or make it reach out."""

from __future__ import annotations

import ast
import hashlib
import os
import pickle
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import simsearch
from simsearch import Library, load_extractor
from simsearch.cli import main
from simsearch.errors import ModelError, SimsearchError, WeightsError
from simsearch.extract.load import is_zoo_name
from simsearch.extract.published.write_model import to_toml
from simsearch.extract.zoo.card import CARD, load_card
from simsearch.extract.zoo.golden import GOLDEN, check_golden
from tests.fake import FakeExtractor
from tests.library.helpers import paint

PACKAGE = Path(simsearch.__file__).parent


class Canary:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_can_unpickle_or_evaluate(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            if path.name != "jit.py":  # which reads what this user alone could write: tests/runtime/test_kernel_cache
                assert not {"pickle", "marshal", "shelve", "dill", "joblib"} & set(names), ast.unparse(node)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "yaml.load", "yaml.unsafe_load"), ast.unparse(node)
            if called == "torch.load":
                assert path.name == "torch_file_child.py", "only in a process of its own"
                assert "weights_only=True" in ast.unparse(node)
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False"


def test_the_canary_sings_when_it_is_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Canary(tmp_path / "sung")))
    assert (tmp_path / "sung").exists()


def test_planted_golden_and_weights_files_execute_nothing(tiny: Path, tmp_path: Path) -> None:
    folder, sung = tmp_path / "model", tmp_path / "sung"
    shutil.copytree(tiny, folder)
    extractor = load_extractor(folder, device="cpu")
    objects = np.array([Canary(sung)], dtype=object)
    np.savez(folder / GOLDEN, files=objects, sizes=objects, rows=objects)
    with pytest.raises(ModelError, match="damaged"):
        check_golden(extractor, folder)
    weights = folder / "weights.safetensors"
    torch.save({"w": Canary(sung)}, weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    card = load_card(folder)
    fitting = card.model_copy(update={"weights": card.weights.model_copy(update={"sha256": digest})})
    (folder / CARD).write_text(to_toml(fitting))
    with pytest.raises(WeightsError, match="does not fit"):
        load_extractor(folder)
    assert not sung.exists()


PLANTED = "planted_by_a_file"
NAMES = (
    *(f"{PLANTED}:Class", f"{PLANTED}:Class(bits=96)", f" {PLANTED}:Class", "os:abort", "os.path:join", "..planted:X"),
    *(
        "timm:resnet18",
        "timm:resnet18(bits=96)",
        "timm:hf-hub:owner/name",
        "onnx:planted.onnx",
        "torchscript:planted.pt(size=16)",
        "hf-hub:owner/name",
        "https://example.org/m",
    ),
    *("./model", "/model", "../model", "mini(bits=./quantiser.safetensors)", "mini(bits=/q)", "~/model", "a/../mini"),
    *("", "..", ".", "mini\0", "mini\n", "x" * 100_000, "ｍｉｎｉ", "phash(size=__import__('os'))", "phash(size=1/0)"),
)
"""What a file from anybody may not name."""


@pytest.fixture
def sung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What was run or reached; a module that can be imported and a model folder lie in the current folder."""
    reached: list[str] = []
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    sys.modules.pop(PLANTED, None)  # of the test before
    monkeypatch.syspath_prepend(here)
    (here / f"{PLANTED}.py").write_text("open('SUNG', 'w').close()\nfrom tests.fake import FakeExtractor as Class\n")

    def connect(_self: object, address: object, *_: object) -> None:
        reached.append(f"connect {address}")
        raise OSError("no network in tests")

    def resolve(host: object, *_: object, **__: object) -> None:
        reached.append(f"resolve {host}")
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda: reached + [path.name for path in here.glob("SUNG")]


def rows_file(path: Path, model: str, *, extra: dict[bytes, bytes] | None = None) -> Path:
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(4, np.float32)), 4)
    metadata = {b"model": model.encode(), b"fingerprint": b"f", **(extra or {})}
    pq.write_table(pa.table({"path": ["/a"], "embedding": embedding}).replace_schema_metadata(metadata), path)
    return path


def test_the_trap_sings(sung: Callable[[], list[str]]) -> None:
    load_extractor(f"{PLANTED}:Class")  # what a user names himself is run
    with pytest.raises(OSError, match="no network"):
        socket.create_connection(("example.org", 80))
    assert len(sung()) == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_rows_file_names_models_of_the_zoo_alone(
    tmp_path: Path, sung: Callable[[], list[str]], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    rows = rows_file(tmp_path / "rows.parquet", name)
    assert main(["index", "--rows", str(rows), "--library", str(tmp_path / "l")]) == 3
    err = capsys.readouterr().err
    assert "--model" in err
    assert len(err.splitlines()) == 1
    assert len(err) < 1000
    assert sung() == []
    assert not (tmp_path / "l").exists(), "nor is an empty library left"
    assert main(["query", "--rows", str(rows), "--library", str(tmp_path / "l")]) == 3
    assert sung() == []


@pytest.mark.parametrize(
    "name", ["mini", "mini(bits=96)", "phash", "phash(size=16)", "no-such-model", "simclr_v2_r50_1x_sk0"]
)
def test_a_rows_file_means_a_model_by_its_digest(
    tmp_path: Path, sung: Callable[[], list[str]], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert is_zoo_name(name)
    rows = rows_file(tmp_path / "rows.parquet", name)
    assert main(["index", "--rows", str(rows), "--library", str(tmp_path / "l")]) == 3
    assert sung() == []
    assert not (tmp_path / "l").exists()


def test_what_the_user_names_himself_is_taken(tmp_path: Path, sung: Callable[[], list[str]]) -> None:
    fake = FakeExtractor()
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(fake.dimension, np.float32)), fake.dimension)
    table = pa.table({"path": ["/a"], "embedding": embedding})
    rows = tmp_path / "rows.parquet"
    pq.write_table(table.replace_schema_metadata({"model": f"{PLANTED}:Class", "fingerprint": fake.fingerprint}), rows)
    assert main(["index", "--rows", str(rows), "--library", str(tmp_path / "l"), "--model", f"{PLANTED}:Class"]) == 0
    assert sung() == ["SUNG"]


def test_arrow_extensions_that_would_be_unpickled_are_not(tmp_path: Path, sung: Callable[[], list[str]]) -> None:
    canary = tmp_path / "canary"
    evil = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Canary(canary)),
    }
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(4, np.float32)), 4)
    fields = [pa.field("path", pa.string(), metadata=evil), pa.field("embedding", embedding.type, metadata=evil)]
    table = pa.Table.from_arrays([pa.array(["/a"]), embedding], schema=pa.schema(fields))
    pq.write_table(table.replace_schema_metadata({"model": "x", "fingerprint": "f", **evil}), tmp_path / "r.parquet")
    assert main(["index", "--rows", str(tmp_path / "r.parquet"), "--library", str(tmp_path / "l")]) == 3
    assert not canary.exists()


@pytest.mark.parametrize("name", [*NAMES[:11], "no-such-model"])
def test_a_manifest_runs_and_fetches_nothing(
    tmp_path: Path, sung: Callable[[], list[str]], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    picture = paint(tmp_path / "a.png", 0)
    with Library.create(tmp_path / "l", model=FakeExtractor()) as library:
        library.add(picture)
    with sqlite3.connect(tmp_path / "l" / "manifest.sqlite") as manifest:
        manifest.execute("update channels set model = ?", (name,))
    manifest.close()
    paint(tmp_path / "b.png", 1)
    for command in ("query", "index"):
        assert main([command, str(tmp_path / "b.png"), "--library", str(tmp_path / "l")]) == 3
        assert sung() == []
    if not name.startswith(" "):
        assert "--model" in capsys.readouterr().err or name.startswith(("hf-hub", "https"))


@pytest.mark.parametrize(
    "change",
    [
        ("network", '"os"'),
        ("network", '"../os"'),
        ("network", '"simsearch.cli"'),
        ("weights.file", '"../weights.safetensors"'),
        ("weights.file", '"/etc/passwd"'),
        ("weights.url", '"file:///etc/passwd"'),
        ("weights.url", '"http://a b"'),
        ("name", f'"{PLANTED}:Class"'),
        *(
            ("timm", f'"{name}"')
            for name in ("hf-hub:owner/name", "hf_hub:o/n", "local-dir:.", "o/n", "resnet18.x:y", "")
        ),
    ],
)
def test_a_card_runs_and_fetches_nothing(
    tmp_path: Path, tiny: Path, sung: Callable[[], list[str]], change: tuple[str, str]
) -> None:
    folder, (key, value) = tmp_path / "model", change
    shutil.copytree(tiny, folder)
    lines = (folder / CARD).read_text().splitlines()
    if key == "timm":
        lines = [line for line in lines if line.split(" = ")[0] != "network"]
        at = lines.index("[arguments]")
        end = next(i for i in range(at + 1, len(lines)) if lines[i].startswith("["))
        lines = ['network = "timm"', *lines[:at], "[arguments]", f"name = {value}", "dimension = 20", *lines[end:]]
    else:
        table, _, name = key.rpartition(".")
        at = lines.index(f"[{table}]") if table else 0
        found = [i for i in range(at, len(lines)) if lines[i].startswith(f"{name} = ")]
        lines[found[0] if found else at + 1 : (found[0] if found else at) + 1] = [f"{name} = {value}"]
    (folder / CARD).write_text("\n".join(lines))
    with pytest.raises(SimsearchError):
        load_extractor(folder, device="cpu")
    assert sung() == []
