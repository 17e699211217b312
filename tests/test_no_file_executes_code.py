"""Promise P10: no file that simsearch reads can execute code."""

from __future__ import annotations

import ast
import hashlib
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import simsearch
from simsearch import load_extractor
from simsearch.errors import ModelError, WeightsError
from simsearch.extract.card import CARD, load_card
from simsearch.extract.export import to_toml
from simsearch.extract.golden import GOLDEN, check_golden

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
