"""`aflint init`: writes an aflint.toml that shows every setting."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import typer

from aflint.cli.command import Given, Json, command, write_json
from aflint.cli.panels import Panel
from aflint.config import FILE_NAME, Config, settings
from aflint.config.setting import Setting
from aflint.errors import ConfigError

_WIDTH: Final = 100
_HEAD: Final = """\
# The configuration of aflint in this folder. Each line that is commented out shows a setting with
# its default, or with an example where there is none. `aflint config` shows what is in force;
# AFLINT_ variables and keywords of connect() go over this file.
"""


def template(chosen: Mapping[str, Any]) -> str:
    """Return a file with every setting: those chosen are set, the others are comments."""
    defaults = Config()
    parts = [_HEAD]
    for name, setting in settings().items():
        help = textwrap.fill(setting.help, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        # TOML has no none: such a setting is left out.
        if (value := chosen.get(name)) is not None:
            line = f"{name} = {_toml(value)}"
        else:
            line = f"# {name} = {_toml(_example(setting, getattr(defaults, name)))}"
        parts.append(f"{help}\n{line}\n")
    return "\n".join(parts)


def _example(setting: Setting, default: Any) -> Any:
    if default is not None:
        return default
    if setting.example is not None:
        return setting.example
    if setting.choices:
        return setting.choices[0]
    if setting.type is bool:
        return True
    return "..." if setting.type is str else setting.type(max(setting.minimum or 0, 1))


def _toml(value: Any) -> str:
    """Write a value as TOML: of the types that settings have, JSON is."""
    return json.dumps(value)


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    def as_given(given: Given) -> Given:
        return given

    @command(app, "init", Panel.LOOK, as_given)
    def init(given: Given, as_json: Json = False) -> None:
        """Write an aflint.toml with every setting in it, explained; a file that is there stays."""
        path = given.file or Path(FILE_NAME)
        text = template({name: value for name, (value, _) in given.settings.items()})
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise ConfigError(f"{path} is there already: it stays as it is") from None
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
        if as_json:
            write_json({"file": str(path)})
        else:
            typer.echo(f"Wrote {path}. `aflint config` shows what is in force.")
