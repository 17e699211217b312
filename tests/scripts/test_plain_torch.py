"""The lines in a model's README that load it without this library give its golden rows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pages.plain_torch import plain_torch
from simsearch.distance import js
from simsearch.extract.load import load_extractor
from simsearch.extract.networks.build import build_network
from simsearch.extract.published.write_model import write_model
from simsearch.extract.zoo.card import ModelCard, load_card
from simsearch.extract.zoo.find import find_model
from simsearch.extract.zoo.golden import golden_files

AFTER = """
import json, sys
assert "simsearch" not in sys.modules
print(json.dumps([row_of(path)[0].tolist() for path in sys.argv[1:]]))
"""


def rows(lines: list[str], folder: Path, pictures: list[Path]) -> np.ndarray:
    code = "\n".join(lines[1:-1]) + AFTER
    command = [sys.executable, "-I", "-c", code, *map(str, pictures)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return np.array(json.loads(done.stdout))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / str(i) for i in range(4)]
    for path, data in zip(paths, golden_files(100), strict=False):
        path.write_bytes(data)
    return paths


def test_the_lines_in_the_readme_of_mini_give_its_rows(pictures: list[Path]) -> None:
    folder = find_model("mini")
    lines = re.findall(r"```python\n.*?```", (folder / "README.md").read_text(), re.DOTALL)[0].splitlines()
    assert lines == plain_torch(load_card(folder))
    ours = load_extractor("mini", device="cpu", dtype="float32").embed(pictures)
    assert js(ours, rows(lines, folder, pictures)).diagonal().max() < 0.01


@pytest.mark.parametrize(("luminance", "symmetric"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("depths", [(1, 1, 1, 1), (1, 2, 2, 1)])
def test_other_members_of_the_family_are_written_too(
    tmp_path: Path, pictures: list[Path], luminance: bool, symmetric: bool, depths: tuple[int, ...]
) -> None:
    import torch

    card = load_card(find_model("mini"))
    arguments = {**card.arguments, "luminance": luminance, "symmetric": symmetric, "depths": list(depths)}
    size = 163 if symmetric else 160
    how = {"size": size, "resize": size, **({"mean": (0.0,) * 3, "std": (1.0,) * 3} if luminance else {})}
    facts = card.model_dump() | {"arguments": arguments, "name": "other", "quantisers": (), "background": None}
    facts["preprocessing"] = {**facts["preprocessing"], **how}
    card = ModelCard.model_validate(facts)
    torch.manual_seed(1)
    network = build_network(card)
    card = write_model(network.state_dict(), card, tmp_path)
    ours = load_extractor(tmp_path, device="cpu", dtype="float32").embed(pictures)
    assert js(ours, rows(plain_torch(card), tmp_path, pictures)).diagonal().max() < 0.01


def test_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="another network"):
        plain_torch(load_card(find_model("simclr_v2_r50_1x_sk1")))
