"""What pages say of this repository is true: each file that they name is there, and what is made is up to date."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import click
import pytest
import typer

from simsearch.cli.app import app
from tests.test_layers import LAYERS, ORDER

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("models/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
HOMES = (ROOT, ROOT / "simsearch", ROOT / "simsearch" / "search", ROOT / "scripts")
_TOPS = "simsearch|scripts|tests|docs|results|configs|models"
_PATH = re.compile(rf"(?:{_TOPS})/[\w./-]*\w/?|[\w-]+(?:/[\w-]+)*\.py")


def named_paths(text: str) -> set[str]:
    """The files and folders of this repository that a page names in backticks or by a link."""
    quoted = [word for code in re.findall(r"`([^`\n]+)`", text) for word in code.split()]
    return {word for word in quoted if _PATH.fullmatch(word)} | set(re.findall(r"\]\(((?!http)[^)#]+)", text))


def is_there(path: str, page: Path) -> bool:
    return any((home / path).exists() for home in (*HOMES, page.parent))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    assert [path for path in sorted(named_paths(page.read_text())) if not is_there(path, page)] == []


def test_a_path_that_is_not_there_is_seen() -> None:
    text = "see `search/nothing.py`, `scripts/check --slow`, `docs/no.md` and [this](docs/none.md), not `my/photos.jpg`"
    assert named_paths(text) == {"search/nothing.py", "scripts/check", "docs/no.md", "docs/none.md"}
    assert [path for path in named_paths(text) if is_there(path, ROOT / "README.md")] == ["scripts/check"]


def commands_in(text: str) -> list[list[str]]:
    """The command lines of a page that begin with simsearch, and flags by themselves, without comments."""
    lines = re.findall(r"^(?:    |\$ )(simsearch .*)$", text, re.MULTILINE)
    quoted = re.findall(r"`((?:simsearch|--)[^`]*)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    return [line.partition(" #")[0].split() for line in (*lines, *quoted)]


def flags_of(command: click.Command) -> set[str]:
    own = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    return own.union(*map(flags_of, getattr(command, "commands", {}).values()))


def unknown_flags(words: list[str]) -> list[str]:
    """The flags of a command line that its command has not; of one without a command, those that none has."""
    command: click.Command = typer.main.get_command(app)
    for word in words[1:]:
        command = getattr(command, "commands", {}).get(word, command)
    known = {*flags_of(command), "--help", "--install-completion"}
    return [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_flag_that_a_page_tells_to_type_is_there(page: Path) -> None:
    assert [words for words in commands_in(page.read_text()) if unknown_flags(words)] == []


def test_a_flag_that_is_not_there_is_seen() -> None:
    text = (
        "    simsearch embed a/ --output b --prune  # --bits\n\n`simsearch index --rows` and `--nothing`, `--bits 96`\n"
    )
    assert [unknown_flags(words) for words in commands_in(text)] == [["--prune"], [], ["--nothing"], []]


def test_the_page_on_architecture_names_every_room_and_folder_and_the_orders_that_are_held() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    stated = re.findall(r"^\| `([\w/]+?)(?:/|\.py)` \|", text, re.MULTILINE)
    assert stated[: len(LAYERS)] == [*reversed(LAYERS)]
    packages = {str(path.parent.relative_to(ROOT / "simsearch")) for path in ROOT.glob("simsearch/*/**/__init__.py")}
    assert sorted(stated[len(LAYERS) :]) == sorted(packages - {*LAYERS, "cli/commands"})
    to_come = set(re.findall(r"^\| `(\w+)/` \| \*to come\*", text, re.MULTILINE))
    assert {room for room in LAYERS if not list(ROOT.glob(f"simsearch/{room}*"))} == to_come
    orders = re.findall(r"^\| (\w+) \| (\w.* < .*) \|$", text, re.MULTILINE)
    assert {room: order.replace(",", "") for room, order in orders} == ORDER


def test_the_page_of_public_names_is_what_its_script_makes() -> None:
    spec = spec_from_file_location("api", ROOT / "scripts" / "pages" / "api.py")
    assert spec is not None
    assert spec.loader is not None
    api = module_from_spec(spec)
    spec.loader.exec_module(api)
    assert (ROOT / "docs" / "api.md").read_text() == api.page()
