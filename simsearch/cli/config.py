"""`--config FILE.yaml`: flags from a file; those on the command line win."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import typer


def load_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the values of a YAML file the defaults of the command that is about to run.

    Keys are the command's flags without the dashes in front (`batch-size` or `batch_size`), and `paths`.

    Raises:
        typer.BadParameter: The file cannot be read, a key is no flag, or a value is of the wrong kind.
    """
    load_settings(context, path, ())
    return path


def load_settings(context: typer.Context, path: Path | None, settings: Collection[str]) -> dict[str, Any]:
    """Return a YAML file's values of those settings, unchanged; all others become defaults of flags.

    Raises:
        typer.BadParameter: As for `load_config`.
    """
    found: dict[str, Any] = {}
    if path is None or context.resilient_parsing:
        return found
    known = {
        key.lstrip("-").replace("_", "-"): parameter for parameter in context.command.params for key in parameter.opts
    }
    defaults: dict[str, Any] = {}
    for key, value in _read(path).items():
        if (name := str(key).replace("-", "_")) in settings:
            found[name] = value
            continue
        parameter = known.get(name.replace("_", "-"))
        if parameter is None or parameter.name in {"config", "help"}:
            allowed = ", ".join(sorted({*known, *settings} - {"config", "help"}))
            raise typer.BadParameter(f"{path}: {key!r} is no flag of this command; it has {allowed}")
        if value is not None and parameter.name is not None:
            defaults[parameter.name] = _value(value, parameter, f"{path}: {key}")
    context.default_map = {**(context.default_map or {}), **defaults}
    return found


def _read(path: Path) -> dict[Any, Any]:
    from simsearch.errors import InputError
    from simsearch.runtime.user_files import read_yaml

    try:
        return read_yaml(path)
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


def _value(value: Any, parameter: Any, where: str) -> Any:
    """Return the value in the form of the command line: text, a list of text, or a switch."""
    if getattr(parameter, "is_flag", False):
        if not isinstance(value, bool):
            raise typer.BadParameter(f"{where} is {value!r}; a switch is true or false")
        return value
    if parameter.nargs == -1 or getattr(parameter, "multiple", False):
        return [str(one) for one in (value if isinstance(value, list) else [value])]
    if isinstance(value, bool | list | dict):
        raise typer.BadParameter(f"{where} is {value!r}; it takes one value")
    return str(value)
