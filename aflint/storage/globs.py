"""Globs over the names of objects, which know no folders: pure."""

from __future__ import annotations

import re
from functools import lru_cache

_SPECIAL = re.compile(r"[*?\[\\]")


def literal_prefix(pattern: str) -> str:
    """Return what every name that matches begins with.

    >>> literal_prefix("trips/2009-*.csv")
    'trips/2009-'
    """
    found = _SPECIAL.search(pattern)
    return pattern if found is None else pattern[: found.start()]


@lru_cache(maxsize=64)
def compile_glob(pattern: str) -> re.Pattern[str]:
    r"""Return a glob without braces as an expression for `fullmatch`.

    `*` and `?` do not pass a slash, `**/` stands for any number of folders; `[abc]`, `[a-z]` and
    `[!a]` or `[^a]` for one character, and what follows a `\` for itself. A bracket that is not
    closed stands for itself.
    """
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            parts.append("(?:[^/]+/)*")
            at += 3
        elif pattern.startswith("**", at):
            parts.append(".*")
            at += 2
        elif pattern[at] == "\\" and at + 1 < len(pattern):
            parts.append(re.escape(pattern[at + 1]))
            at += 2
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            parts.append(_characters(pattern[at + 1 : end]))
            at = end + 1
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[at]) or re.escape(pattern[at]))
            at += 1
    return re.compile("".join(parts), re.DOTALL)


def split_at_match(glob: re.Pattern[str], name: str) -> tuple[str, str]:
    """Return what a glob matches of a name, and what lies below: empty where it matches nothing.

    It matches the whole name, or else a folder, the outermost one.

    >>> split_at_match(compile_glob("in/day=*"), "in/day=1/hour=2/x.csv")
    ('in/day=1', 'hour=2/x.csv')
    """
    if glob.fullmatch(name):
        return name, ""
    at = name.find("/", 1)
    while at >= 0:
        if glob.fullmatch(name, 0, at):
            return name[:at], name[at + 1 :]
        at = name.find("/", at + 1)
    return "", ""


def _characters(inside: str) -> str:
    negated = inside[0] in "!^"
    members = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[1:] if negated else inside)
    return f"(?!/)[^{members}]" if negated else f"(?!/)[{members}]"
