"""`--config`: flags from a file, the command line wins, what is unknown is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import FAKE, Run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "run.yaml"


def test_a_file_stands_for_flags(run: Run, pictures: Path, tmp_path: Path, config: Path) -> None:
    folder = tmp_path / "l"
    config.write_text(f"library: {folder}\nmodel: {FAKE}\nworkers: 0\nbatch-size: 2\njson: true\npaths: [{pictures}]\n")
    code, out, err = run("index", "--config", config)
    assert code == 0, err
    assert json.loads(out)["inputs"] == 8


@pytest.mark.parametrize("models", [FAKE, f"[{FAKE}]", f"[{FAKE}, dhash]"])
def test_a_flag_that_may_be_given_again_takes_one_value_or_a_list(
    run: Run, pictures: Path, tmp_path: Path, config: Path, models: str
) -> None:
    config.write_text(f"library: {tmp_path / 'l'}\nmodel: {models}\nworkers: 0\njson: true\n")
    assert run("index", pictures, "--config", config)[0] == 0
    code, out, err = run("info", "--library", tmp_path / "l", "--json")
    assert code == 0, err
    assert len(json.loads(out)["channels"]) == models.count(",") + 1


def test_the_command_line_wins(run: Run, library: Path, pictures: Path, config: Path) -> None:
    config.write_text(f"library: {library}\nk: 1\nmax_distance: 0.5\njson: true\n")
    count = {"-k": 3}
    for more in ((), ("-k", 3)):
        out = run("query", "--model", FAKE, pictures / "0.png", "--config", config, *more, "--max-distance", 1)[1]
        assert len(json.loads(out)["matches"]) == (count["-k"] if more else 1)


@pytest.mark.parametrize(
    "text",
    ["nonsense: 1", "config: other.yaml", "k: [1, 2]", "k: many", "json: 1", "metric: true", "- a\n- b", "{", "k: 0"],
)
def test_what_is_unknown_or_unusable_is_wrong_usage(
    run: Run, library: Path, pictures: Path, config: Path, text: str
) -> None:
    config.write_text(text)
    code, out, err = run("query", "--model", FAKE, pictures, "--library", library, "--config", config)
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_no_such_file_is_wrong_usage(run: Run, library: Path, pictures: Path) -> None:
    assert run("query", "--model", FAKE, pictures, "--library", library, "--config", "/no/such.yaml")[0] == 2


def test_an_empty_file_changes_nothing(run: Run, library: Path, pictures: Path, config: Path) -> None:
    config.write_text("# nothing\n")
    assert run("query", "--model", FAKE, pictures / "0.png", "--library", library, "--config", config)[0] == 0
