"""The extension of IPython and Jupyter: `%load_ext aflint` gives cells `%%sql` and `%%aflint`.

A magic of IPython's cannot await. So a cell that begins with one is rewritten before it runs, into
Python that does; errors show the lines that ran.
"""

from __future__ import annotations

import shlex
from typing import Any, Final

from aflint.config import Found, parse_text, resolve_config, settings
from aflint.driver.tracebacks import hide_inside_in_cells
from aflint.errors import ConfigError

_EXTENSION: Final = "_aflint"


def load(shell: Any) -> Extension:
    """Add the cells to a shell."""
    extension = Extension(shell)
    hide_inside_in_cells()
    shell.input_transformers_cleanup.append(extension.transform)
    shell.user_ns[_EXTENSION] = extension
    return extension


class Extension:
    """What the cells of one notebook share: its session, opened by the first cell that needs it."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines of a cell as they run; those without a magic of aflint's as they are."""
        first = next((i for i, line in enumerate(lines) if line.strip()), None)
        if first is None:
            return lines
        magic, *words = lines[first].strip().split(maxsplit=1)
        rest, below = "".join(words), lines[first + 1 :]
        if magic == "%%aflint":
            return [f"session = await {_EXTENSION}.session({rest!r})\n", *below]
        if magic == "%%sql":
            target = f"{rest.strip()} = " if rest.strip() else ""
            shown = f"\n{rest.strip()}\n" if target else "\n"
            return f"{target}await {_EXTENSION}.sql({''.join(below)!r}){shown}".splitlines(True)
        return lines

    async def session(self, words: str = "") -> Any:
        """Return the notebook's session; with NAME=VALUE settings, a new one in place of it."""
        import aflint

        known = self._shell.user_ns.get("session")
        if isinstance(known, aflint.Session):
            if not words.strip():
                return known
            await known.aclose()
        return await aflint.open(resolve_config(None, _given(words)))

    async def sql(self, query: str) -> Any:
        """Run a query in the notebook's session, and return its rows."""
        session = self._shell.user_ns["session"] = await self.session()
        return await session.sql(query)


def _given(words: str) -> Found:
    found: Found = {}
    for word in shlex.split(words):
        name, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"%%aflint {word}: write settings as NAME=VALUE, such as workers=4")
        found[name] = parse_text(name, text, "%%aflint", settings()), f"%%aflint {name}"
    return found
