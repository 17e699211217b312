"""The house rules: imports point down, images stay light, torch loads only where it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import simsearch

ROOT = Path(simsearch.__file__).parent
LAYERS = (
    *(
        "_lazy",
        "errors",
        "distance",
        "naming",
        "runtime",
        "images",
        "extract",
        "search",
        "decide",
        "library",
        "benchmark",
    ),
    *("training", "scale", "serve", "cli"),
)
RANK = {room: i for i, room in enumerate(LAYERS)} | {"serve": LAYERS.index("scale")}
HOMES = {name: home or name for name, home in simsearch._homes.items()}
LIGHT = {"numpy", "PIL", "simsearch"}
PLUG_INS = {"pillow_heif"}
LOADS_TORCH = (
    *("runtime.device", "runtime.oom", "runtime.tiles", "runtime.transfers", "runtime.triton_launch"),
    *("extract.networks.", "extract.neural.", "extract.published."),
    *("search.", "training.", "benchmark."),
)
HEAVY = {"torch", "torchvision", "timm", "faiss", "pyarrow", "numba", "sklearn"}

Import = tuple[str, int, bool]


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {dotted(path): path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"}


def imports(text: str, module: str = "") -> Iterator[Import]:
    """Yield (full name, line, whether at module level) of every import, also inside functions and TYPE_CHECKING."""
    tree = ast.parse(text)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    } | {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, id(node) not in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*["simsearch", *module.split(".")][: -node.level], *filter(None, [base])])
            yield from ((f"{base}.{alias.name}", node.lineno, id(node) not in inside) for alias in node.names)


def room_of(name: str) -> str | None:
    """The room that an import leads to; None outside simsearch and for the package itself."""
    parts = name.split(".")
    if parts[0] != "simsearch" or len(parts) < 2:
        return None
    room = HOMES.get(parts[1], parts[1])
    return room if room in RANK else None


def upward(module: str, text: str) -> list[str]:
    own = RANK[module.split(".", maxsplit=1)[0]]
    return [
        f"{module}:{line} imports {name}"
        for name, line, _ in imports(text, module)
        if (room := room_of(name)) is not None
        and (RANK[room] > own or (RANK[room] == own and room != module.split(".", maxsplit=1)[0]))
    ]


def test_every_module_is_in_a_known_room() -> None:
    assert {module.split(".")[0] for module in MODULES} <= set(RANK)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    assert upward(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "from simsearch.library import Library",
        "import simsearch.cli.app",
        "from simsearch import Library",
        "from simsearch import library",
        "def f():\n    from simsearch.search.exact import knn",
        "if TYPE_CHECKING:\n    from simsearch.search import knn",
        "from ..library import library",
        "from .. import library",
    ],
)
def test_an_upward_import_is_seen(text: str) -> None:
    assert upward("extract.load", text)


@pytest.mark.parametrize(
    "text", ["import numpy", "from simsearch import distance", "from .card import x", "import simsearch"]
)
def test_a_downward_import_passes(text: str) -> None:
    assert not upward("extract.load", text)


@pytest.mark.parametrize("module", [module for module in MODULES if module.split(".")[0] == "images"])
def test_images_need_only_numpy_and_pillow(module: str) -> None:
    allowed = LIGHT | PLUG_INS | ({"scipy"} if module.startswith("images.perturb") else set())
    tops = {name.split(".")[0] for name, _, _ in imports(MODULES[module].read_text(), module)}
    assert tops - set(sys.stdlib_module_names) <= allowed


@pytest.mark.parametrize("module", MODULES)
def test_torch_is_imported_at_the_top_only_where_tensors_live(module: str) -> None:
    heavy = {name.split(".")[0] for name, _, top in imports(MODULES[module].read_text(), module) if top}
    if not module.startswith(LOADS_TORCH):
        assert not heavy & {"torch", "torchvision", "timm"}
    assert "faiss" not in heavy


@pytest.mark.parametrize(
    ("statement", "may_load"),
    [
        ("import simsearch", set()),
        ("import simsearch.images", set()),
        ("import simsearch.images.decode, simsearch.images.find, simsearch.images.workers.pool", set()),
        ("import simsearch.extract", set()),
        ("import simsearch.search, simsearch.search.exact", set()),
        ("import simsearch.library", {"pyarrow"}),
        ("from simsearch import Library", {"pyarrow"}),
        ("from simsearch import load_extractor", set()),
        ("import simsearch.cli", set()),
    ],
)
def test_importing_does_no_heavy_work(statement: str, may_load: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & HEAVY <= may_load
