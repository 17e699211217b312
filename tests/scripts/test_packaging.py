"""The package stands without the scripts of this repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_layers import MODULES, imports

SCRIPTS = Path(__file__).parents[2] / "scripts"
NAMES = {path.stem for path in SCRIPTS.glob("*.py")} | {path.parent.name for path in SCRIPTS.glob("*/__init__.py")}


def test_scripts_are_known_by_name() -> None:
    assert {"goals", "merge_results", "pages", "proof"} <= NAMES


@pytest.mark.parametrize("module", MODULES)
def test_no_module_of_the_package_imports_a_script(module: str) -> None:
    assert not {name.split(".")[0] for name, _, _ in imports(MODULES[module].read_text(), module)} & NAMES
