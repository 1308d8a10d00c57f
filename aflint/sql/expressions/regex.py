"""What is asked of a regular expression: does it match, where, what of it, what in its place."""

from __future__ import annotations

import re

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter, Rule, failing
from aflint.sql.java_patterns import LINE_ENDS, checked_re2, re2_replacement
from aflint.sql.plan import Expression
from aflint.sql.python_functions import TEXTS
from aflint.sql.types import text


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
    ended = f"regexp_matches({value}, '[{LINE_ENDS}]\\z')"
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
