"""What docs/serve.md tells to type is true: routes, limits, the unit, the container and the proxy fit the service."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from simsearch.cli.app import app
from simsearch.serve.settings import ServeSettings
from tests.serve.conftest import Served
from tests.test_pages import flags_of

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "serve.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMAND: Any = typer.main.get_command(app)
DEFAULTS = {parameter.name: parameter.default for parameter in COMMAND.commands["serve"].params}


def block(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


def require_served(words: list[str]) -> None:
    """A command line of `simsearch serve` has only flags that there are, and a library."""
    assert words[0] == "serve"
    flags = [word for word in words if word.startswith("--")]
    assert set(flags) <= flags_of(COMMAND.commands["serve"])
    assert "--library" in flags


def test_every_route_is_on_the_page_and_every_route_of_the_page_is_there(served: Served) -> None:
    table = re.search(r"\| route \| does \|\n\|[-|]+\|\n(.*?)\n\n", TEXT, re.DOTALL)
    assert table is not None
    told = {
        (method, path)
        for line in table[1].splitlines()
        for methods, paths in re.findall(r"([A-Z]+(?:, [A-Z]+)*) ((?:`/[^`]*`(?:, )?)+)", line.split("|")[1])
        for method in methods.split(", ")
        for path in re.findall(r"`([^`]*)`", paths)
    }
    described = served.ask("GET", "/openapi.json").json["paths"]
    there = {(method.upper(), path) for path, methods in described.items() for method in methods}
    pages = {
        ("GET", "/"),
        ("POST", "/"),
        ("GET", "/review"),
        ("POST", "/review"),
        ("GET", "/library"),
        ("POST", "/library"),
    }
    pages |= {("GET", "/sign-in"), ("POST", "/sign-in"), ("GET", "/openapi.json")}
    assert told == there | pages
    for method, path in pages:
        if method == "GET":
            assert served.ask("GET", path).status == 200


def test_the_limits_of_the_page_are_the_defaults() -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", TEXT[TEXT.index("## Limits") :], re.MULTILINE))
    settings = ServeSettings()
    for words, value in (
        ("requests that wait or are worked on; one more is 503", f"{settings.queue}"),
        ("seconds for a body to arrive; then 408", f"{settings.body_s:g}"),
        ("seconds for the head of a request; then the connection ends", f"{settings.head_s:g}"),
        ("matches of a query; codes, rows or ids of a request", f"{settings.max_k:,}; {settings.batch:,}"),
        ("pixels of a picture", f"{settings.max_pixels // 1_000_000} million"),
        ("pairs of a search for duplicates; pairs of one answer", f"{settings.max_pairs:,}; 1,000"),
        ("seconds for which a reviewer has a pair", f"{settings.lease_s:g}"),
        ("bytes of a body, counted as they arrive; more is 413", f"{settings.max_body >> 20} MiB"),
    ):
        assert rows[words] == value
    named = {"max_queue": "queue", "body_seconds": "body_s", "lease_seconds": "lease_s", "drain_seconds": "drain_s"}
    assert {flag: DEFAULTS[flag] for flag in named} == {flag: getattr(settings, name) for flag, name in named.items()}


def test_the_unit_is_one_and_starts_the_service() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block("ini").replace("\\\n", ""))
    service = unit["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert Path(program).name in PROJECT["scripts"]
    require_served(words)
    credentials = set(re.findall(r"^LoadCredential=(\w+):/", block("ini"), re.MULTILINE))
    used = {word.removeprefix("%d/") for word in words if word.startswith("%d/")}
    assert used == credentials == {"reading", "writing"}
    library = words[words.index("--library") + 1]
    assert service["ReadWritePaths"] == library
    assert int(service["TimeoutStopSec"]) > ServeSettings().drain_s
    assert service["SuccessExitStatus"] == "143"
    assert service["Environment"].endswith(f"/{service['CacheDirectory']}")


def test_the_container_installs_what_is_there_and_starts_the_service() -> None:
    lines: list[Any] = [line.split(maxsplit=1) for line in block("dockerfile").splitlines()]
    said = dict(lines)
    assert lines[0][0] == "FROM"
    version = re.fullmatch(r"python:(\d+)\.(\d+)-slim", said["FROM"])
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["requires-python"])
    assert version is not None
    assert least is not None
    assert tuple(map(int, version.groups())) >= tuple(map(int, least.groups()))
    copied = said["COPY"].split()[1]
    [extra] = re.findall(rf"{copied}\[(\w+)\]", said["RUN"])
    assert extra in PROJECT["optional-dependencies"]
    assert f"useradd --create-home {said['USER']}" in said["RUN"]
    [program], words = json.loads(said["ENTRYPOINT"]), json.loads(said["CMD"])
    assert program in PROJECT["scripts"]
    require_served(words)
    assert int(said["EXPOSE"]) == DEFAULTS["port"]
    assert said["STOPSIGNAL"] == "SIGTERM"
    run = next(text for text in re.findall(r"docker run .*?simsearch$", TEXT, re.MULTILINE | re.DOTALL))
    mounted = {part.split(":")[1] for part in re.findall(r"-v (\S+)", run)}
    assert {words[words.index("--library") + 1], words[words.index("--read-token") + 1]} <= mounted
    assert f"127.0.0.1:{DEFAULTS['port']}:{DEFAULTS['port']}" in run


def test_the_proxy_lets_through_what_the_service_takes() -> None:
    text = block("nginx")
    assert f"client_max_body_size {ServeSettings().max_body >> 20}m;" in text
    assert f"proxy_pass http://{DEFAULTS['host']}:{DEFAULTS['port']};" in text
    assert "proxy_set_header Host $host;" in text, "a page's form says where it comes from, which must be the Host"
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("name", ["reading.txt", "writing.txt"])
def test_tokens_are_made_as_the_service_takes_them(name: str) -> None:
    assert f"openssl rand -hex 32 > {name}" in TEXT
