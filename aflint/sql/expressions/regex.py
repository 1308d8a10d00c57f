"""Regular expressions: Java's, as RE2, which DuckDB has, understands them.

What the two understand differently is refused: before the query runs where the pattern is known,
else as the row is met that has it.
"""

from __future__ import annotations

import re

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter, Rule, failing
from aflint.sql.plan import Expression
from aflint.sql.python_functions import TEXTS
from aflint.sql.types import text

_LINE_ENDS = r"\n\r\x{85}\x{2028}\x{2029}"
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
            return f"[^{_LINE_ENDS}]"
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


def _pattern(expression: Expression, emit: Emitter, several: bool = False, group: int = 0) -> str:
    """Return the SQL of the pattern that an expression has as its second child, in RE2's words."""
    given = expression.children[1]
    if given.kind != "Literal":
        return f"{TEXTS}re2({emit(given)}, {several}, {group})"
    if given.fields["value"] is None:
        raise UnsupportedPlanError("the regular expression NULL")
    return text(checked_re2(given.fields["value"], several, group))


def _guarded(pattern: str, value: str, sql: str) -> str:
    """A dollar of Java's also stands before a last line's end; no text that has one is matched."""
    known = pattern.startswith("'")
    if known and "$" not in pattern:
        return sql
    ended = f"regexp_matches({value}, '[{_LINE_ENDS}]\\z')"
    if not known:
        ended += f" AND contains({pattern}, '$')"
    return failing(
        ended, "UNSUPPORTED_FEATURE", "aflint does not match $ before a last line's end.", sql
    )


def _matches(expression: Expression, emit: Emitter) -> str:
    pattern = _pattern(expression, emit)
    return emit.once(
        [emit(expression.children[0])],
        lambda value: _guarded(pattern, value, f"regexp_matches({value}, {pattern})"),
    )


def _group(expression: Expression, emit: Emitter) -> int:
    return int(emit.literal(expression.children[2], "a group"))


def _extracted(expression: Expression, emit: Emitter) -> str:
    group = _group(expression, emit)
    pattern = _pattern(expression, emit, group=group)

    def write(value: str) -> str:
        found = f"regexp_extract({value}, {pattern}, {group})"
        some = f"{value} IS NOT NULL AND {pattern} IS NOT NULL"
        return _guarded(pattern, value, f"CASE WHEN {some} THEN {found} END")

    return emit.once([emit(expression.children[0])], write)


def _extracted_all(expression: Expression, emit: Emitter) -> str:
    group = _group(expression, emit)
    pattern = _pattern(expression, emit, several=True, group=group)
    value = emit(expression.children[0])
    found = f"regexp_extract_all({value}, {pattern}, {group})"
    return f"list_transform({found}, lambda found: coalesce(found, ''))"


def _replaced(expression: Expression, emit: Emitter) -> str:
    _, known, java, position = expression.children
    pattern = _pattern(expression, emit, several=True)
    start = int(emit.literal(position, "a position"))
    if {known.kind, java.kind} == {"Literal"}:
        new = text(re2_replacement(str(java.fields["value"]), str(known.fields["value"])))
    else:
        new = f"{TEXTS}re2_replacement({emit(java)}, {emit(known)})"

    def write(value: str) -> str:
        rest = f"{value}[{start}:]" if start > 1 else value
        replaced = f"regexp_replace({rest}, {pattern}, {new}, 'g')"
        return f"{value}[1:{start - 1}] || {replaced}" if start > 1 else replaced

    return emit.once([emit(expression.children[0])], write)


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


def _place(expression: Expression, emit: Emitter) -> str:
    """Where the first match begins, from 1; 0 for none."""
    pattern = _pattern(expression, emit, several=True)

    def write(value: str) -> str:
        before = f"regexp_extract({value}, '(?s)^(.*?)(?:' || {pattern} || ')', 1)"
        found = f"regexp_matches({value}, {pattern})"
        some = f"{value} IS NOT NULL AND {pattern} IS NOT NULL"
        return (
            f"CAST(CASE WHEN {found} THEN length({before}) + 1 WHEN {some} THEN 0 END AS INTEGER)"
        )

    return emit.once([emit(expression.children[0])], write)


def _split(expression: Expression, emit: Emitter) -> str:
    """At every match; with a limit, into so many parts at most, the last of which is the rest."""
    by, most = expression.children[1:]
    value = emit(expression.children[0])
    if by.kind != "Literal" or most.kind != "Literal":
        return f"{TEXTS}split({value}, {emit(by)}, {emit(most)})"
    pattern, limit = str(by.fields["value"]), int(most.fields["value"])
    if not pattern and limit > 0:
        return f"{TEXTS}split({value}, '', {limit})"
    if not pattern:  # into characters
        return emit.once(
            [value], lambda v: f"CASE {v} WHEN '' THEN [''] ELSE string_split({v}, '') END"
        )
    if _is_literal(pattern):
        separator = text(re.sub(r"\\(.)", r"\1", pattern))
        parts = f"string_split({value}, {separator})"
        if limit <= 0:
            return parts
        return emit.once(
            [parts],
            lambda listed: (
                f"CASE WHEN len({listed}) > {limit} THEN list_append({listed}[1:{limit - 1}], "
                f"array_to_string({listed}[{limit}:], {separator})) ELSE {listed} END"
            ),
        )
    known = _pattern(expression, emit, several=True)
    if limit > 0:
        return f"{TEXTS}split({value}, {text(pattern)}, {limit})"
    return f"string_split_regex({value}, {known})"


def _is_literal(pattern: str) -> bool:
    """Say whether a pattern matches one text only, which has no folding or classes."""
    bare = re.sub(r"\\[^a-zA-Z0-9]", "", pattern)
    return not re.search(r"[\\.^$|?*+()\[\]{}]", bare)


RULES: dict[str, Rule] = {
    "RLike": _matches,
    "RegExpExtract": _extracted,
    "RegExpExtractAll": _extracted_all,
    "RegExpReplace": _replaced,
    "RegExpInStr": _place,
    "StringSplit": _split,
}
