"""Where settings are read from: a TOML file and the environment."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aflint.config.setting import Setting, suggest
from aflint.errors import ConfigError

FILE_NAME: Final = "aflint.toml"
PREFIX: Final = "AFLINT_"
FILE_VARIABLE: Final = "AFLINT_CONFIG"
OWN_PREFIX: Final = "AFLINT__"
"""Environment variables that aflint's own processes pass to each other; never settings."""

Found = dict[str, tuple[Any, str]]
"""The value of each setting that a source gives, and in words where it stands there."""


def find_file(path: str | os.PathLike[str] | None, environment: Mapping[str, str]) -> Path | None:
    """Return the file to read: the one given, else `AFLINT_CONFIG`'s, else one lying here."""
    named = path if path is not None else environment.get(FILE_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(FILE_NAME) if Path(FILE_NAME).is_file() else None


def read_file(path: Path, settings: Mapping[str, Setting]) -> Found:
    """Return what a TOML file sets, its values not yet checked.

    Raises:
        ConfigError: it is absent, cannot be read, is not TOML, or has a table.
    """
    try:
        text = path.read_bytes().decode()
        values = tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such configuration file.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}.") from error
    # The parser does not say on which line a key stands.
    found = {name: (value, _place(path, text, name)) for name, value in values.items()}
    for name, (value, origin) in found.items():
        # Under a heading, a setting is a key of a table: say that, and not that it is unknown.
        if isinstance(value, dict) and name not in settings:
            raise ConfigError(
                f"{origin}: there is no table [{name}]; write settings at the top of the file, "
                "outside of tables."
            )
    return found


def _place(path: Path, text: str, name: str) -> str:
    """Return the file, and the line that sets `name` where it is plainly written."""
    key = rf"""["']?{re.escape(name)}["']?"""
    plain = re.compile(rf"\s*{key}\s*[.=]|\s*\[+\s*{key}\s*[].]")
    for number, line in enumerate(text.splitlines(), start=1):
        if plain.match(line):
            return f"{path}, line {number}"
    return str(path)


def read_environment(environment: Mapping[str, str], settings: Mapping[str, Setting]) -> Found:
    """Return what the environment sets, checked; an empty variable is one that is not set.

    Raises:
        ConfigError: a variable begins with `AFLINT_` and is no setting, or its value is wrong.
    """
    found: Found = {}
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or not environment[variable].strip():
            continue
        # All others are settings: a name that is misspelt is an error, and not ignored.
        if variable == FILE_VARIABLE or variable.startswith(OWN_PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        origin = f"environment variable {variable}"
        found[name] = parse_text(name, environment[variable], origin, settings), origin
    return found


def parse_text(name: str, text: str, origin: str, settings: Mapping[str, Setting]) -> Any:
    """Return the value of a setting that is given as text, checked.

    Raises:
        ConfigError: there is no such setting, or its value is wrong; names the origin.
    """
    if name not in settings:
        raise ConfigError(f"{origin}: there is no setting {name}. {suggest(name, settings)}")
    try:
        return settings[name].parse(text)
    except ValueError as error:
        raise ConfigError(f"{origin}: {error}.") from None
