"""Writes the parts of docs/ that are generated from code: `make docs`.

A generated part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from aflint import limits
from aflint.config import settings

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"


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


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


PARTS: Final[dict[str, Callable[[], str]]] = {"limits": limits_table, "settings": settings_table}


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
