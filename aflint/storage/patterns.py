"""Paths as Spark's users write them: comma-separated lists, globs and Hadoop's {a,b}: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

_MAGIC = re.compile(r"[*?\[{\\]")


def split_paths(paths: str) -> list[str]:
    """Cut a comma-separated list of paths; a comma within {braces} does not separate.

    >>> split_paths("a/*.csv,b/{x,y}.csv")
    ['a/*.csv', 'b/{x,y}.csv']
    """
    found, begin, depth = [], 0, 0
    for index, character in enumerate(paths):
        depth += (character == "{") - (character == "}" and depth > 0)
        if character == "," and depth == 0:
            found.append(paths[begin:index])
            begin = index + 1
    found.append(paths[begin:])
    return [path.strip() for path in found if path.strip()]


def is_glob(path: str) -> bool:
    r"""Say whether a path has a character that means something in a glob, as a \ does."""
    return _MAGIC.search(path) is not None


def expand_braces(pattern: str) -> Iterator[str]:
    r"""Yield a pattern once for each of the alternatives in its {braces}, nested ones too.

    Braces without a partner, and those behind a \, stand for themselves.

    >>> list(expand_braces("20{09,1{0,1}}.csv"))
    ['2009.csv', '2010.csv', '2011.csv']
    >>> list(expand_braces(r"a\{b,c\}"))
    ['a\\{b,c\\}']
    """
    active = _active(pattern)
    opened = active.find("{")
    while opened >= 0:
        cuts = _alternatives(active, opened)
        if cuts:
            for begin, end in pairwise(cuts):
                middle = pattern[begin + 1 : end]
                yield from expand_braces(pattern[:opened] + middle + pattern[cuts[-1] + 1 :])
            return
        opened = active.find("{", opened + 1)
    yield pattern


def _active(pattern: str) -> str:
    r"""Return a pattern with a blank in place of each \ and of the character that it quotes."""
    return re.sub(r"\\.?", lambda quoted: " " * len(quoted[0]), pattern, flags=re.DOTALL)


def _alternatives(pattern: str, opened: int) -> list[int]:
    """Return where the brace opens, its own commas, and where it closes; empty if it never does."""
    cuts, depth = [opened], 0
    for index in range(opened, len(pattern)):
        character = pattern[index]
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return [*cuts, index]
        if character == "," and depth == 1:
            cuts.append(index)
    return []


def is_hidden(name: str) -> bool:
    """Say whether Hadoop's input formats pass over a file of this name."""
    return name.startswith(("_", "."))
