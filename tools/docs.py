"""Writes the parts of docs/ that are generated from code: `make docs`.

A generated part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Final

from aflint import limits
from aflint.config import settings
from tools.import_walls import ANYWHERE, find_room
from tools.import_walls import ROOT as ROOT_ROOM

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"


def settings_table() -> str:
    """Return every setting as a Markdown table."""
    rows = (
        (f"`{setting.name}`", setting.default, setting.allowed(), setting.help)
        for setting in settings().values()
    )
    return _table(("setting", "default", "allowed", "meaning"), rows)


def limits_table() -> str:
    """Return every limit of AWS as a Markdown table."""
    rows = (
        (f"`{r.name}`", f"{r.value:,}", r.unit, r.note, f"[{r.date}]({r.source})")
        for r in limits.TABLE
    )
    return _table(("limit", "value", "unit", "remark", "checked"), rows)


def rooms_table() -> str:
    """Return every room as a Markdown table: what it is for, and which others it may import.

    The rules are those of `make walls`; what a room is for stands in its docstring.
    """
    rules = _import_rules()
    leaves: list[str] = rules["leaves"]
    rooms = dict(_rule(line) for line in rules["rooms"])
    rows = [(f"`{leaf}`", _purpose(leaf), "the other leaves") for leaf in leaves]
    for room, imports in rooms.items():
        names = ", ".join(f"`{each}`" for each in imports)
        rows.append((f"`{room}`", _purpose(room), "all" if ANYWHERE in imports else names))
    table = _table(("room", "what it is", "imports, beside leaves"), rows)
    return f"{table}\n\n{_cycle(rooms)}"


def commands_table() -> str:
    """Return every command with what it does, under the headings of `aflint --help`."""
    import typer

    from aflint.cli.main import app
    from aflint.cli.panels import Panel

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    rows = []
    for panel in Panel:
        heading: str = panel
        for name, command in sorted(commands.items()):
            if command.rich_help_panel == panel:
                help = " ".join((command.help or "").split())
                rows.append((heading, f"`aflint {name}`", help))
                heading = ""
    return _table(("", "command", "what it does"), rows)


def _import_rules() -> Mapping[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = project["tool"]["importlinter"]["contracts"]
    assert isinstance(contract, dict)
    return contract


def _rule(line: str) -> tuple[str, list[str]]:
    room, _, imports = line.partition("->")
    return room.strip(), [each.strip() for each in imports.split(",") if each.strip()]


def _purpose(room: str) -> str:
    """Return the first paragraph of a room's docstring."""
    path = ROOT / "aflint" / room.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    paragraph = (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).rstrip(".")


def _cycle(rooms: Mapping[str, list[str]]) -> str:
    """Say which rooms import each other, through however many others."""
    graph = {
        room: {find_room(each, rooms) or each for each in imports} - {room, ROOT_ROOM}
        for room, imports in rooms.items()
        if ANYWHERE not in imports
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return f"These import each other: {', '.join(f'`{room}`' for room in error.args[1][:-1])}."
    return (
        "No two rooms import each other, not by way of others either; `__init__`, which gives them "
        "all by name, imports a room only when a name of it is asked for."
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


PARTS: Final[dict[str, Callable[[], str]]] = {
    "commands": commands_table,
    "limits": limits_table,
    "rooms": rooms_table,
    "settings": settings_table,
}


def fill(text: str) -> str:
    """Return `text` with each generated part in it made anew.

    Raises:
        KeyError: a part of that name is not generated.
    """

    def generate(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        return f"{begin}\n{PARTS[name]()}\n{end}"

    return re.sub(r"(<!-- begin (\w+) -->).*?(<!-- end \2 -->)", generate, text, flags=re.DOTALL)


def main() -> None:
    """Rewrite each page whose generated parts are out of date."""
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text()
        if (new := fill(text)) != text:
            page.write_text(new)


if __name__ == "__main__":
    main()
