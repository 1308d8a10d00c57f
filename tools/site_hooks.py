"""What the documentation site needs of the pages that GitHub shows as they are.

A link out of docs/, to source code, has no page on the site: it becomes the path that it names,
which has to be there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
_OUTSIDE: Final = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")


class MissingFileError(Exception):
    """A page links to a file that is not there."""


def on_page_markdown(markdown: str, page: Any, **given: Any) -> str:
    """Return a page with the links that leave docs/ as plain paths. mkdocs calls it."""

    def path_of(match: re.Match[str]) -> str:
        text, path = match.groups()
        if not (ROOT / path).exists():
            raise MissingFileError(f"{page.file.src_path} links to {path}, which is not there")
        return f"{text} (`{path}`)" if text.strip("`") not in path else f"`{path}`"

    return _OUTSIDE.sub(path_of, markdown)
