"""Regular expressions: Java's, as RE2, which DuckDB has, understands them.

What the two understand differently is refused: before the query runs where the pattern is known,
else as the row is met that has it.
"""

from __future__ import annotations

import re

from aflint.sql.errors import UnsupportedPlanError

LINE_ENDS = r"\n\r\x{85}\x{2028}\x{2029}"
_SPACES = r" \t\n\x{0B}\f\r"
_ESCAPED = {
    "d": "0-9",
    "w": "a-zA-Z_0-9",
    "s": _SPACES,
    "t": r"\t",
    "n": r"\n",
    "r": r"\r",
    "f": r"\f",
}


def re2(pattern: str) -> str:
    """Return a pattern of Java's as one of RE2's. Raises UnsupportedPlanError where none is."""
    return _Reader(pattern).read()


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._folds = False  # after (?i)

    def read(self) -> str:
        if self._pattern.startswith("(?i)"):
            self._at, self._folds = 4, True
        out = []
        while self._at < len(self._pattern):
            out.append(self._next())
        found = "".join(out)
        try:
            re.compile(self._pattern)
        except re.error:
            self._refuse()
        return found

    def _refuse(self) -> None:
        raise UnsupportedPlanError(f"the regular expression {self._pattern!r}")

    def _next(self) -> str:
        letter, rest = self._pattern[self._at], self._pattern[self._at + 1 :]
        self._at += 1
        if letter == "\\":
            return self._escape(within=False)
        if letter == "[":
            return self._class()
        if letter == ".":
            return f"[^{LINE_ENDS}]"
        if letter == "(" and rest.startswith("?"):
            if not rest.startswith("?:"):
                self._refuse()
            self._at += 2
            return "(?:"
        if letter in "*+?}" and rest.startswith("+"):  # takes all and gives nothing back
            self._refuse()
        if letter == "{" and not re.match(r"\d+(,\d*)?\}", rest):
            self._refuse()
        if letter == "^" and self._at > 1 and self._pattern[self._at - 2] not in "(|":
            self._refuse()
        if self._folds and letter.isalpha():
            if not letter.isascii():
                self._refuse()
            return f"[{letter.lower()}{letter.upper()}]"
        return letter

    def _escape(self, within: bool) -> str:
        if self._at >= len(self._pattern):
            self._refuse()
        letter = self._pattern[self._at]
        self._at += 1
        if letter in _ESCAPED:
            return _ESCAPED[letter] if within or letter in "tnrf" else f"[{_ESCAPED[letter]}]"
        if letter.lower() in "dws" and letter.isupper() and not within:
            return f"[^{_ESCAPED[letter.lower()]}]"
        if letter == "b" and not within:
            return r"\b"
        if letter.isalnum():
            self._refuse()
        return f"\\{letter}" if letter.isascii() else letter

    def _class(self) -> str:
        out = ["["]
        if self._pattern.startswith("^", self._at):
            out.append("^")
            self._at += 1
        while True:
            if self._at >= len(self._pattern):
                self._refuse()
            letter = self._pattern[self._at]
            self._at += 1
            if letter == "]":
                if out[-1] in ("[", "^"):  # empty in one, a bracket in the other
                    self._refuse()
                break
            if letter == "[" or self._pattern.startswith("&&", self._at - 1):
                self._refuse()
            out.append(self._escape(within=True) if letter == "\\" else letter)
        out.append("]")
        found = "".join(out)
        if self._folds:
            if not found.isascii():
                self._refuse()
            inner = found.removeprefix("[").removeprefix("^").removesuffix("]")
            return found[:-1] + inner.swapcase() + "]" if _folding(inner) else found
        return found


def _folding(inner: str) -> bool:
    return any(letter.isalpha() for letter in inner) and "\\" not in inner


def _may_be_empty(pattern: str) -> bool:
    """Say whether a pattern may match nothing at many places: where that counts, and between
    which matches, the two tell differently.
    """
    if pattern == "^":
        return False
    return re.compile(pattern).match("") is not None or bool(re.search(r"\\b|\$|\^", pattern))


def checked_re2(pattern: str, several: bool, group: int) -> str:
    """Return a pattern in RE2's words, `several` of whose matches, or a group of which, are asked
    for. Raises UnsupportedPlanError.
    """
    found = re2(pattern)
    if several and _may_be_empty(pattern):
        raise UnsupportedPlanError(f"every match of {pattern!r}, which may be empty")
    groups = re.compile(pattern).groups
    if not 0 <= group <= min(groups, 9):
        raise UnsupportedPlanError(f"the group {group} of a pattern with {groups}")
    return found


def re2_replacement(java: str, known: str) -> str:
    r"""Return a replacement whose groups are written $1 as one where they are \1. Raises
    UnsupportedPlanError.
    """
    pattern, out, at = re.compile(known), list[str](), 0
    while at < len(java):
        letter = java[at]
        at += 1
        if letter == "\\" and at < len(java):
            out.append("\\\\" if java[at] == "\\" else java[at])
            at += 1
        elif letter == "$" and at < len(java) and java[at].isdigit():
            number = int(java[at])
            more = at + 1 < len(java) and java[at + 1].isdigit()
            if number > min(pattern.groups, 9) or more:
                raise UnsupportedPlanError(f"the replacement {java!r}")
            out.append(f"\\{number}")
            at += 1
        elif letter in "$\\":
            raise UnsupportedPlanError(f"the replacement {java!r}")
        else:
            out.append(letter)
    return "".join(out)
