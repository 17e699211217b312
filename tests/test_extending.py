"""Whatever is added takes the files that docs/architecture.md says, and no others; the toy metric is in search/."""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import simsearch
from simsearch import Library, distance
from simsearch.extract import known_methods, load
from simsearch.extract.hashes.base import BitHash, between
from simsearch.extract.zoo import find
from simsearch.images import perturb
from simsearch.images.perturb.family import Family, Range
from simsearch.images.perturb.platform import FAMILIES as PLATFORM_FAMILIES
from simsearch.search import metrics
from tests.images.pictures import scene

ROOT = Path(__file__).parents[1]


def stated(what: str) -> tuple[list[str], list[str]]:
    """The folder of the new file, and the files that gain a line, as the page says."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    [cells] = re.findall(rf"^\| {what} \|([^|]*)\|([^|]*)\|", page, re.MULTILINE)
    folders, files = (re.findall(r"`([\w./]+/[\w./]*)`", cell) for cell in cells)
    return folders, files


def file_of(module: ModuleType) -> str:
    return str(Path(module.__file__ or "").relative_to(ROOT))


def naming(word: str, folder: str, *, but: str) -> list[str]:
    """The files of a folder in which a word stands, but for one."""
    texts = (path for path in (ROOT / folder).rglob("*.*") if path.suffix in {".py", ".html"})
    found = {str(path.relative_to(ROOT)) for path in texts if re.search(rf"\b{word}\b", path.read_text())}
    return sorted(found - {but})


# What a new file in extract/hashes/ would hold.
@dataclass(kw_only=True, eq=False, repr=False)
class RowMeans(BitHash):
    """Whether each line of a thumbnail is brighter than all of it."""

    base: ClassVar = "row_means"
    label = "row means"
    recipe: ClassVar = "row means {size}, PIL luma, box"

    size: int = between(16, 2, 64)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.size,)

    def values(self, image: Image.Image) -> np.ndarray:
        lines = np.asarray(image.convert("L").resize((1, self.size), Image.Resampling.BOX), float)[:, 0]
        return lines > lines.mean()

    def turn(self, values: Any, isometry: Any) -> None:
        return None


# What a file of images/perturb/edits/ would gain.
def darkened_half(image: Image.Image, _rng: np.random.Generator, *, percent: float) -> Image.Image:
    """The lower half at that share of its brightness."""
    pixels = np.asarray(image).copy()
    pixels[len(pixels) // 2 :] = pixels[len(pixels) // 2 :] * (percent / 100)
    return Image.fromarray(pixels)


@pytest.fixture
def toy_hash(monkeypatch: pytest.MonkeyPatch) -> str:
    """The row of `extract.load.CLASSES`."""
    monkeypatch.setattr(load, "CLASSES", {**load.CLASSES, "row_means": f"{__name__}:RowMeans"})
    return "row_means"


def test_a_hash_is_one_class_and_one_row(toy_hash: str, tmp_path: Path) -> None:
    assert stated("a hash") == (["simsearch/extract/hashes/"], [file_of(load)])
    [method] = [method for method in known_methods() if method.name == toy_hash]
    assert (method.summary, dict(method.parameters), method.usable) == (RowMeans.__doc__, {"size": 16}, True)
    assert simsearch.load_extractor("row_means(size=20)").bits == 20
    for i in range(4):
        scene(seed=i).save(tmp_path / f"{i}.png")
    with Library.create(tmp_path / "library", model=toy_hash) as library:
        assert library.add(sorted(tmp_path.glob("*.png"))).added == 4
        [answer] = library.search(scene(seed=2), k=1)
    assert answer.matches[0].path == str(tmp_path / "2.png")
    assert answer.matches[0].distance == 0


def test_a_perturbation_is_one_function_and_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    home = "simsearch/images/perturb"
    assert stated("a perturbation") == ([f"{home}/edits/"], [f"{home}/platform.py"])
    assert set(PLATFORM_FAMILIES) < set(perturb.FAMILIES)
    row = Family("darkened_half_{}", "lower half at {} %", darkened_half, "percent", ("50",), Range(0, 100), "colour")
    monkeypatch.setattr(perturb, "FAMILIES", (*perturb.FAMILIES, row))
    edit = simsearch.perturbation("darkened_half_25")
    assert (edit.family, edit.category, edit.parameters) == ("darkened_half", "colour", {"percent": 25})
    image = scene()
    edited = np.asarray(edit.apply(image, np.random.default_rng(0)))
    half = len(edited) // 2
    np.testing.assert_array_equal(edited[:half], np.asarray(image)[:half])
    assert edited[half:].mean() == pytest.approx(np.asarray(image)[half:].mean() / 4, rel=0.05)
    assert "darkened_half_{}: " in perturb.listing()
    assert "The lower half at that share of its brightness." in perturb.listing()


def test_a_model_is_a_folder_without_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stated("a model") == (["models/"], [])
    mini = find.find_model("mini")
    folder = tmp_path / "models" / "toy"
    folder.mkdir(parents=True)
    shutil.copy(mini / "weights.safetensors", folder)
    card = (mini / "model.toml").read_text().partition("[background]")[0]
    (folder / "model.toml").write_text(card.replace('name = "mini"', 'name = "toy"'))
    monkeypatch.setattr(find, "model_roots", lambda: [tmp_path / "models", mini.parent])
    assert {"toy", "mini"} <= {method.name for method in known_methods() if method.usable}
    toy, original = (simsearch.load_extractor(name, device="cpu") for name in ("toy", "mini"))
    np.testing.assert_array_equal(toy.embed([scene()]), original.embed([scene()]))


def test_a_network_is_one_file_that_cards_name() -> None:
    [folder], files = stated("a network")
    cards = [tomllib.loads(path.read_text())["network"] for path in ROOT.glob("models/*/model.toml")]
    assert {f"{network}.py" for network in cards} <= {path.name for path in (ROOT / folder).glob("*.py")}
    assert files == []


def test_a_metric_is_one_file_and_two_lines() -> None:
    """Those that tests/search/test_toy_metric.py adds to."""
    assert stated("a metric") == (["simsearch/search/metrics/"], [file_of(distance), file_of(metrics)])
    assert distance.METRICS.keys() == metrics.SEARCH_METRICS.keys()


def test_a_protocol_is_named_in_the_files_that_the_page_says() -> None:
    folders, files = stated("a protocol")
    assert folders == ["simsearch/benchmark/protocols/"]
    assert sorted(files) == naming("perception", "simsearch/benchmark", but=f"{folders[0]}perception.py")


def test_a_command_is_named_in_the_file_that_the_page_says() -> None:
    folders, files = stated("a command")
    assert folders == ["simsearch/cli/commands/"]
    assert files == naming("doctor", "simsearch/cli", but=f"{folders[0]}doctor.py")
