"""The house rules: imports point down, between rooms and inside them, without circles; what is light stays light."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import simsearch

ROOT = Path(simsearch.__file__).parent
LAYERS = (
    *("_lazy", "errors", "distance", "naming", "runtime", "images", "extract", "search", "decide", "spatial"),
    *("library", "act", "benchmark", "training", "scale", "serve", "cli"),
)
RANK = {room: i for i, room in enumerate(LAYERS)} | {"serve": LAYERS.index("scale")}
# What stands left of "<" may be imported by what stands right of it; beside each other, neither by the other.
ORDER = {
    "images": "bars paths quality source tar < formats input_lists < decode sidecars < preprocess"
    " < find views < workers < perturb",
    "extract": "image_input < extractor < parts < hashes multi_device pipeline < runner < embeddings keypoints views"
    " zoo < networks quantise < neural < load published",
    "search": "arguments llvm packing results < metrics < indexes scan < hamming < multi_vector refine"
    " < few_queries < exact < candidates range_search < approximate_search < self_join warm_up",
    "library": "format reports settings < indexes path_aliases verdicts < repair < select_items < inputs write"
    " < read < calibration < channels duplicates info lists < verify < reader < library",
    "benchmark": "needle_results settings < results < data report run_log < needle protocols < run",
    "scale": "objects planner < cluster pieces sharded",
    "serve": "client item_facts metrics settings tokens < held_library pictures sessions < asgi review < routes < pages"
    " < app < run",
    "training": "augment checkpoint config export loss < data hash_head memory_bank mixup network teacher"
    " < module validation < callback setup < trainer < finetune",
}
MOST_MODULES = 14
LIGHT = {"numpy", "PIL", "simsearch"}
PLUG_INS = {"pillow_heif"}
LOADS_TORCH = (
    *("runtime.oom", "runtime.tiles", "runtime.transfers", "runtime.triton_launch"),
    *("extract.networks.", "extract.neural.", "extract.published."),
    *("search.", "spatial.", "training.", "benchmark."),
)
HEAVY = {"torch", "torchvision", "timm", "faiss", "pyarrow", "numba", "sklearn"}

Import = tuple[str, int, bool]


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {dotted(path): path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"}


HOMES = {
    name: getattr(importlib.import_module(name), "_homes", {})
    for name in ("simsearch", *(f"simsearch.{room}" for room in LAYERS if (ROOT / room / "__init__.py").exists()))
}


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
    room = HOMES["simsearch"].get(parts[1]) or parts[1]
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


def file_of(name: str) -> str | None:
    """The module that an import leads to, also through a package whose names load on first use."""
    package, _, last = name.rpartition(".")
    if home := HOMES.get(package, {}).get(last):
        return file_of(f"{package}.{home.replace(':', '.')}" if ":" in home else f"{package}.{home}.{last}")
    return next((known for n in (name, package) if (known := n.removeprefix("simsearch.")) in MODULES), None)


def arrows(modules: Mapping[str, str]) -> list[tuple[str, str]]:
    """Which module imports which, as (importing, imported), of modules given by their texts."""
    found = [(module, file_of(name)) for module, text in modules.items() for name, _, _ in imports(text, module)]
    return [(module, target) for module, target in found if target is not None]


def child(folder: str, module: str) -> str | None:
    """The file or folder of a folder that a module is or lies in; None outside of it."""
    if module == folder:
        return "__init__"
    inside = module.removeprefix(f"{folder}.") if folder else module
    return None if folder and inside == module else inside.split(".")[0]


def circle(folder: str, among: list[tuple[str, str]]) -> list[str]:
    """Files and folders of a folder that import each other in a circle; empty where there is none."""
    graph = defaultdict(set)
    for source, target in among:
        one, other = child(folder, source), child(folder, target)
        if one and other and one != other:
            graph[one].add(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


ARROWS = arrows({module: path.read_text() for module, path in MODULES.items()})
FOLDERS = ["", *(module for module, path in MODULES.items() if path.name == "__init__.py")]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_circle_of_files_or_of_folders(folder: str) -> None:
    assert circle(folder, ARROWS) == []


@pytest.mark.parametrize(
    ("folder", "one", "other"),
    [
        (
            "search",
            ("exact", "from simsearch.search import approximate_search"),
            ("approximate_search", "from . import exact"),
        ),
        ("search", ("scan.top_k", "import simsearch.search.exact"), ("exact", "from .scan import blocks")),
        ("search.scan", ("scan.top_k", "def f():\n    from . import blocks"), ("scan.blocks", "from .top_k import x")),
        ("library", ("info", "from simsearch import Library"), ("library", "from .info import LibraryInfo")),
    ],
)
def test_a_circle_is_seen(folder: str, one: tuple[str, str], other: tuple[str, str]) -> None:
    room = folder.split(".", maxsplit=1)[0]
    texts = {f"{room}.{module}": text for module, text in (one, other)}
    assert circle(folder, arrows(texts))
    assert not circle(folder, arrows({f"{room}.{one[0]}": one[1]}))


@pytest.mark.parametrize("room", ORDER)
def test_imports_inside_a_room_keep_its_order(room: str) -> None:
    rank = {name: i for i, level in enumerate(ORDER[room].split("<")) for name in level.split()} | {"__init__": 99}
    assert {child(room, module) for module in MODULES if child(room, module)} == set(rank)
    inside = [(m, t) for m, t in ARROWS if child(room, m) and child(room, t) and child(room, m) != child(room, t)]
    assert [f"{m} imports {t}" for m, t in inside if rank[child(room, m)] <= rank[child(room, t)]] == []


def test_no_folder_is_a_corridor() -> None:
    sizes = Counter(path.parent.relative_to(ROOT) for path in MODULES.values() if path.name != "__init__.py")
    assert {str(folder): size for folder, size in sizes.items() if size > MOST_MODULES} == {}


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
