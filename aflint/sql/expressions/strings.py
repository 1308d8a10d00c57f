"""Text, and binaries as text."""

from __future__ import annotations

import re
from collections.abc import Callable

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter, Rule, failing
from aflint.sql.plan import Expression
from aflint.sql.python_functions import TEXTS
from aflint.sql.types import text


def _like(expression: Expression, emit: Emitter) -> str:
    value, pattern = expression.children
    return like(emit(value), pattern, str(expression.fields.get("escapeChar", "\\")), emit)


def like(value: str, pattern: Expression, escape: str, emit: Emitter) -> str:
    """Whether a text is like a pattern, whose escapes must stand before what they can escape."""
    known = pattern.fields["value"] if pattern.kind == "Literal" else None
    if known is not None and escape not in known:
        return f"({value} LIKE {emit(pattern)} ESCAPE {text(escape)})"

    def write(value: str, pattern: str) -> str:
        sign = re.escape(escape) if not escape.isalnum() else escape
        good = f"([^{sign}]|{sign}[%_{sign}])*"
        last = f"regexp_full_match({pattern}, {text(f'(?s){good}{sign}')})"
        middle = f"NOT regexp_full_match({pattern}, {text(f'(?s){good}')})"
        found = f"({value} LIKE {pattern} ESCAPE {text(escape)})"
        bad = "The pattern is invalid: the escape character "
        found = failing(
            f"{value} IS NOT NULL AND {middle}",
            "INVALID_FORMAT.ESC_IN_THE_MIDDLE",
            f"{bad}is not allowed before what stands behind it.",
            found,
        )
        return failing(
            f"{value} IS NOT NULL AND {last}",
            "INVALID_FORMAT.ESC_AT_THE_END",
            f"{bad}is not allowed at the end.",
            found,
        )

    return emit.once([value, emit(pattern)], write)


def _like_some(every: bool, negated: bool) -> Rule:
    """Whether a text is like all, or any, of several patterns, or not like them."""

    def rule(expression: Expression, emit: Emitter) -> str:
        (child,) = expression.children
        patterns: list[str | None] = expression.fields["patterns"]

        def write(value: str) -> str:
            each = (
                like(value, Expression("Literal", (), {"value": pattern}, "string"), "\\", emit)
                for pattern in patterns
            )
            return (
                "("
                + (" AND " if every else " OR ").join(
                    f"NOT {found}" if negated else found for found in each
                )
                + ")"
            )

        return emit.once([emit(child)], write)

    return rule


def _substring(expression: Expression, emit: Emitter) -> str:
    kind = expression.children[0].type.name
    return emit.once(
        emit.all(expression.children),
        lambda value, start, size: substring(value, start, size, kind),
    )


def substring(value: str, start: str, size: str, kind: str = "string") -> str:
    """Return a part from 1, or from the end where negative; 0 is as 1. What is before the value's
    start counts, too.
    """
    whole = length(value, kind)
    begin = (
        f"(CASE WHEN {start} > 0 THEN {start}::BIGINT - 1 WHEN {start} < 0 THEN {whole} + {start} "
        f"ELSE 0 END)::BIGINT"
    )
    end = f"({begin} + {size})"
    return (
        f"(CASE WHEN {size} <= 0 OR {end} <= 0 THEN {value}[1:0] "
        f"ELSE {value}[greatest({begin}, 0) + 1 : {end}] END)"
    )


def length(value: str, kind: str) -> str:
    """Return how many characters a text has, or bytes a binary."""
    return f"octet_length({value})" if kind == "binary" else f"length({value})"


def _length(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    return f"CAST({length(emit(child), child.type.name)} AS INTEGER)"


def _octets(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    sql = emit(child)
    count = f"octet_length({sql})" if child.type.name == "binary" else f"strlen({sql})"
    return f"CAST({count}{' * 8' if expression.kind == 'BitLength' else ''} AS INTEGER)"


def _upper(expression: Expression, emit: Emitter) -> str:
    """As Java has it: some letters become several, which DuckDB leaves alone."""
    return emit.once(emit.all(expression.children), upper)


def upper(value: str) -> str:
    """Return text in capitals, as Java makes them."""
    sql = value
    for letter, letters in _LONGER.items():
        sql = f"replace({sql}, '{letter}', '{letters}')"
    some = f"regexp_matches({value}, '[{''.join(_LONGER)}]')"
    return f"CASE WHEN {some} THEN upper({sql}) ELSE upper({value}) END"


def _lower(expression: Expression, emit: Emitter) -> str:
    return emit.once(emit.all(expression.children), lower)


def lower(value: str) -> str:
    """Return lower-case text as Java makes it: a dotted I keeps its dot. What a capital sigma
    becomes depends on what is around it; no text with one is changed silently.
    """
    dotted = f"lower(replace({value}, 'İ', 'i̇'))"
    sigma = "'aflint cannot make text with a capital sigma lower-case as Spark does'"
    return f"CASE WHEN contains({value}, 'Σ') THEN error({sigma}) ELSE {dotted} END"


_LONGER = {
    chr(code): chr(code).upper()
    for code in (*range(0x80, 0x2000), *range(0xFB00, 0xFB18))
    if len(chr(code).upper()) > 1
}
_TITLED = "".join(
    chr(code)
    for code in range(0x80, 0x10000)
    if chr(code).islower() and chr(code).title() != chr(code).upper()
)
"""Letters that begin a word otherwise than they are in capitals."""


def _titled(expression: Expression, emit: Emitter) -> str:
    """Words, which only spaces part, with a capital each."""
    special = "'aflint cannot capitalize a word that begins with a ligature as Spark does'"

    def write(value: str) -> str:
        words = (
            f"array_to_string(list_transform(string_split({lower(value)}, ' '), "
            "lambda word: upper(word[1:1]) || word[2:]), ' ')"
        )
        ligature = f"regexp_matches({value}, '(^| )[{_TITLED}]')"
        return f"CASE WHEN {ligature} THEN error({special}) ELSE {words} END"

    return emit.once(emit.all(expression.children), write)


def _trimmed(call: str) -> Rule:
    def rule(expression: Expression, emit: Emitter) -> str:
        value, *letters = emit.all(expression.children)
        return f"{call}({value}, {letters[0] if letters else text(' ')})"

    return rule


def padded(call: str) -> Callable[[str, str, str], str]:
    """Return what writes a text that is padded, or cut, to a size."""

    def write(value: str, size: str, pad: str) -> str:
        return (
            f"CASE WHEN {value} IS NULL OR {size} IS NULL OR {pad} IS NULL THEN NULL "
            f"WHEN {size} <= 0 THEN '' WHEN length({value}) >= {size} "
            f"THEN {value}[1:{size}] WHEN {pad} = '' THEN {value} "
            f"ELSE {call}({value}, {size}, CASE {pad} WHEN '' THEN ' ' ELSE {pad} END) END"
        )

    return write


def _padded(call: str) -> Rule:
    return lambda expression, emit: emit.once(emit.all(expression.children), padded(call))


def _concat(expression: Expression, emit: Emitter) -> str:
    """NULL where any part is NULL."""
    values = emit.all(expression.children)
    if expression.type.name != "array":
        return f"CAST({' || '.join(values) or text('')} AS {expression.type.duckdb})"

    def write(*lists: str) -> str:
        absent = " OR ".join(f"{each} IS NULL" for each in lists)
        joined = f"list_concat({', '.join(lists)})"
        return f"CAST(CASE WHEN {absent} THEN NULL ELSE {joined} END AS {expression.type.duckdb})"

    return emit.once(values, write)


def _concat_ws(expression: Expression, emit: Emitter) -> str:
    """NULL and arrays without items are left out."""
    separator, *parts = expression.children
    if not parts:
        return f"CASE WHEN {emit(separator)} IS NULL THEN NULL ELSE '' END"
    between = emit(separator)
    written = []
    for part in parts:
        sql = emit(part)
        if part.type.name == "array":
            sql = emit.once([sql, between], joined)
        written.append(sql)
    return f"concat_ws({between}, {', '.join(written)})"


def joined(items: str, separator: str) -> str:
    """Return the items of an array, but NULL, as one text; NULL where there is none."""
    some = f"list_filter({items}, lambda item: item IS NOT NULL)"
    folded = f"list_reduce({some}, lambda text, item: text || {separator} || item)"
    return f"CASE WHEN list_count({items}) > 0 THEN {folded} END"


def _chosen(expression: Expression, emit: Emitter) -> str:
    """`elt`: the value of a number."""
    number, *values = emit.all(expression.children)
    kind = expression.type.duckdb

    def write(place: str) -> str:
        branches = " ".join(f"WHEN {i} THEN {each}" for i, each in enumerate(values, 1))
        found = f"CAST(CASE {place} {branches} END AS {kind})"
        if not expression.fields.get("failOnError"):
            return found
        outside = f"{place} NOT BETWEEN 1 AND {len(values)}"
        return failing(outside, "INVALID_ARRAY_INDEX", "The index is out of bounds.", found)

    return emit.once([number], write)


def _find_in_set(expression: Expression, emit: Emitter) -> str:
    def write(word: str, words: str) -> str:
        place = f"coalesce(list_position(string_split({words}, ','), {word}), 0)"
        return (
            f"CAST(CASE WHEN {word} IS NULL OR {words} IS NULL THEN NULL "
            f"WHEN contains({word}, ',') THEN 0 ELSE {place} END AS INTEGER)"
        )

    return emit.once(emit.all(expression.children), write)


def _locate(expression: Expression, emit: Emitter) -> str:
    part, value, start = emit.all(expression.children)

    def write(part: str, value: str, start: str) -> str:
        found = f"strpos({value}[{start}:], {part})"
        return (
            f"CAST(CASE WHEN {start} IS NULL THEN 0 WHEN {part} IS NULL OR {value} IS NULL "
            f"THEN NULL WHEN {start} < 1 THEN 0 WHEN {part} = '' THEN 1 WHEN {found} = 0 THEN 0 "
            f"ELSE {found} + {start} - 1 END AS INTEGER)"
        )

    return emit.once([part, value, start], write)


def _levenshtein(expression: Expression, emit: Emitter) -> str:
    def write(left: str, right: str, most: str = "") -> str:
        distance = f"levenshtein({left}, {right})"
        if not most:
            return f"CAST({distance} AS INTEGER)"
        value = f"CASE WHEN {distance} > {most} THEN -1 ELSE {distance} END"
        return f"CAST(CASE WHEN {most} IS NOT NULL THEN {value} END AS INTEGER)"

    return emit.once(emit.all(expression.children), write)


def _mask(expression: Expression, emit: Emitter) -> str:
    """A NULL in place of a letter leaves that kind of letters alone."""
    value, *others = emit.all(expression.children)
    kinds = (r"\p{Lu}", r"\p{Ll}", r"\p{Nd}")
    branches = " ".join(
        f"WHEN regexp_matches(letter, '{kind}') THEN coalesce({other}, letter)"
        for kind, other in zip(kinds, others, strict=False)
    )
    letters = f"list_transform(string_split({value}, ''), lambda letter: CASE {branches} "
    letters += f"WHEN letter = '' THEN '' ELSE coalesce({others[3]}, letter) END)"
    return f"array_to_string({letters}, '')"


def _overlaid(expression: Expression, emit: Emitter) -> str:
    def write(value: str, other: str, start: str, size: str) -> str:
        kind = expression.type.name
        skipped = f"(CASE WHEN {size} >= 0 THEN {size} ELSE {length(other, kind)} END)"
        before = substring(value, "1", f"({start} - 1)", kind)
        after = substring(value, f"({start} + {skipped})", "2147483647", kind)
        return f"({before} || {other} || {after})"

    return emit.once(emit.all(expression.children), write)


def _reversed(expression: Expression, emit: Emitter) -> str:
    sql = emit(expression.children[0])
    if expression.type.name == "array":
        return f"list_reverse({sql})"
    if expression.type.name == "binary":
        digits = f"list_reverse(regexp_extract_all(hex({sql}), '..'))"
        return f"unhex(array_to_string({digits}, ''))"
    return f"array_to_string(list_reverse(string_split({sql}, '')), '')"


def _substring_index(expression: Expression, emit: Emitter) -> str:
    """The part before the n-th separator, or behind the n-th from the end."""
    value, _, count = emit.all(expression.children)
    separator = str(emit.literal(expression.children[1], "a separator"))
    if not separator:
        return f"CASE WHEN {value} IS NULL OR {count} IS NULL THEN NULL ELSE '' END"
    if any(separator.startswith(separator[i:]) for i in range(1, len(separator))):
        # Spark looks for it again one letter on: such texts are found more often than they part
        raise UnsupportedPlanError(f"substring_index by {separator!r}, which overlaps itself")

    def write(value: str, count: str) -> str:
        parts = f"string_split({value}, {text(separator)})"
        front, back = f"{parts}[1:{count}]", f"{parts}[{count}:]"
        return (
            f"CASE WHEN {count} = 0 THEN CASE WHEN {value} IS NOT NULL THEN '' END "
            f"WHEN abs({count}) >= len({parts}) THEN {value} "
            f"WHEN {count} > 0 THEN array_to_string({front}, {text(separator)}) "
            f"WHEN {count} < 0 THEN array_to_string({back}, {text(separator)}) END"
        )

    return emit.once([value, count], write)


def _split_by_text(expression: Expression, emit: Emitter) -> str:
    def write(value: str, separator: str) -> str:
        return (
            f"CASE WHEN {separator} = '' THEN [{value}] WHEN {separator} IS NOT NULL "
            f"THEN string_split({value}, {separator}) END"
        )

    value, separator = emit.all(expression.children)
    return emit.once([value, separator], write)


def _unhex(expression: Expression, emit: Emitter) -> str:
    """NULL for what has other digits, or an error where asked."""

    def write(value: str) -> str:
        even = f"CASE WHEN length({value}) % 2 = 1 THEN '0' || {value} ELSE {value} END"
        good = f"regexp_full_match({value}, '[0-9a-fA-F]*')"
        found = f"CASE WHEN {good} THEN from_hex(CASE WHEN {good} THEN {even} END) END"
        if not expression.fields.get("failOnError"):
            return found
        message = "The value cannot be converted to BINARY, as it is malformed."
        return failing(f"NOT {good}", "CONVERSION_INVALID_INPUT", message, found)

    return emit.once(emit.all(expression.children), write)


def _unbase64(expression: Expression, emit: Emitter) -> str:
    """As MIME has it: other letters do not count, and padding may be left out."""

    def write(value: str) -> str:
        digits = f"regexp_replace({value}, '[^A-Za-z0-9+/]', '', 'g')"
        padding = f"repeat('=', ((4 - length({digits}) % 4) % 4)::BIGINT)"
        wrong = f"regexp_matches({value}, '=[^=]') OR length({digits}) % 4 = 1"
        message = "The value cannot be converted to BINARY from BASE64, as it is malformed."
        return failing(
            wrong, "CONVERSION_INVALID_INPUT", message, f"from_base64({digits} || {padding})"
        )

    return emit.once(emit.all(expression.children), write)


def _translated(expression: Expression, emit: Emitter) -> str:
    return f"translate({', '.join(emit.all(expression.children))})"


def _formatted_number(expression: Expression, emit: Emitter) -> str:
    """With commas and so many digits, half even."""
    child, digits = expression.children
    kind = child.type
    if digits.type.name != "integer":
        raise UnsupportedPlanError("format_number with a pattern")
    places = int(emit.literal(digits, "digits of format_number") or -1)
    if places < 0:
        return "CAST(NULL AS VARCHAR)"

    def write(value: str) -> str:
        if kind.is_fractional:
            number = f"format('{{:,.{places}f}}', {value}::DOUBLE)"
            return (
                f"CASE WHEN isnan({value}) THEN 'NaN' WHEN isinf({value}) "
                f"THEN CASE WHEN {value} > 0 THEN '∞' ELSE '-∞' END ELSE {number} END"
            )
        if kind.is_integral:
            zeros = text("." + "0" * places if places else "")
            return f"(format('{{:,}}', {value}::BIGINT) || {zeros})"
        if kind.precision > 18:
            raise UnsupportedPlanError(f"format_number of {kind}")
        rounded = value if kind.scale <= places else f"round_even({value}, {places})"
        sign = f"CASE WHEN {rounded} < 0 THEN '-' ELSE '' END"
        whole = f"format('{{:,}}', trunc(abs({rounded}))::BIGINT)"
        fraction = f"rpad(split_part({rounded}::VARCHAR, '.', 2), {places}, '0')"
        return f"({sign} || {whole}" + (f" || '.' || {fraction})" if places else ")")

    return emit.once([emit(child)], write)


_SPEC = re.compile(r"%(?:(%)|(n)|(-?)(0?)(\d*)(?:\.(\d+))?([sdxXf]))")


def _format_string(expression: Expression, emit: Emitter) -> str:
    """Java's `String.format` for texts and numbers."""
    pattern, *values = expression.children
    template = str(emit.literal(pattern, "a pattern"))
    pieces, end, place = [], 0, 0
    for spec in _SPEC.finditer(template):
        if "%" in template[end : spec.start()]:
            raise UnsupportedPlanError(f"format_string({template!r})")
        pieces.append(text(template[end : spec.start()]))
        end = spec.end()
        if spec[1] or spec[2]:
            pieces.append("'%'" if spec[1] else "chr(10)")
            continue
        if place >= len(values):
            raise UnsupportedPlanError(f"format_string({template!r}) with too few values")
        pieces.append(_formatted(spec, values[place], emit))
        place += 1
    if "%" in template[end:]:
        raise UnsupportedPlanError(f"format_string({template!r})")
    pieces.append(text(template[end:]))
    return f"({' || '.join(pieces)})"


def _formatted(spec: re.Match[str], value: Expression, emit: Emitter) -> str:
    left, zero, width, digits, letter = spec.group(3, 4, 5, 6, 7)
    kind, sql = value.type, emit(value)
    if letter == "s" and (kind.name in ("string", "boolean") or kind.is_integral) and not digits:
        written = f"coalesce({sql}::VARCHAR, 'null')"
    elif letter == "d" and kind.is_integral and digits is None:
        if zero:
            return f"coalesce(printf('%0{width}d', {sql}::BIGINT), lpad('null', {width}, ' '))"
        written = f"coalesce({sql}::VARCHAR, 'null')"
    elif letter in "xX" and kind.is_integral and digits is None and not zero:
        bits = {"byte": 255, "short": 65535, "integer": 4294967295}.get(kind.name)
        number = f"({sql}::BIGINT & {bits})" if bits else sql
        written = f"coalesce(printf('%{letter}', {number}), 'null')"
    elif letter == "f" and kind.is_fractional and not zero:
        places = int(digits or 6)  # which Java also takes as the most letters of "null"
        exact = f"CAST(CAST({sql} AS VARCHAR) AS DECIMAL(38, {places}))::VARCHAR"
        written = (
            f"CASE WHEN {sql} IS NULL THEN '{'null'[:places]}' WHEN isnan({sql}) THEN 'NaN' "
            f"WHEN isinf({sql}) THEN CASE WHEN {sql} > 0 THEN 'Infinity' ELSE '-Infinity' END "
            f"WHEN {sql} = 0 AND signbit({sql}) THEN '-' || {exact} ELSE {exact} END"
        )
    else:
        raise UnsupportedPlanError(f"the format {spec[0]} of {kind}")
    if not width:
        return written
    call = "rpad" if left else "lpad"
    return emit.once(
        [written],
        lambda part: (
            f"CASE WHEN length({part}) >= {width} THEN {part} ELSE {call}({part}, {width}, ' ') END"
        ),
    )


def _based(expression: Expression, emit: Emitter) -> str:
    """`conv`."""
    number, source, target = emit.all(expression.children)
    ansi = expression.fields.get("ansiEnabled", True)
    return f"{TEXTS}conv({number}, {source}, {target}, {str(ansi).lower()})"


RULES: dict[str, Rule] = {
    "Conv": _based,
    "SoundEx": TEXTS + "soundex({0})",
    "Upper": _upper,
    "Lower": _lower,
    "InitCap": _titled,
    "Length": _length,
    "OctetLength": _octets,
    "BitLength": _octets,
    "StartsWith": "starts_with({0}, {1})",
    "EndsWith": "ends_with({0}, {1})",
    "Contains": "contains({0}, {1})",
    "Like": _like,
    "LikeAll": _like_some(every=True, negated=False),
    "LikeAny": _like_some(every=False, negated=False),
    "NotLikeAll": _like_some(every=True, negated=True),
    "NotLikeAny": _like_some(every=False, negated=True),
    "Substring": _substring,
    "SubstringIndex": _substring_index,
    "Ascii": "CASE WHEN {0} = '' THEN 0 ELSE ascii({0}) END",
    "Chr": "CASE WHEN {0} < 0 THEN '' ELSE chr(({0} & 255)::INTEGER) END",
    "StringTrim": _trimmed("trim"),
    "StringTrimLeft": _trimmed("ltrim"),
    "StringTrimRight": _trimmed("rtrim"),
    "StringLPad": _padded("lpad"),
    "StringRPad": _padded("rpad"),
    "StringRepeat": "repeat({0}, CASE WHEN {1} > 0 THEN {1} ELSE {1} * 0 END::BIGINT)",
    "StringSpace": "repeat(' ', CASE WHEN {0} > 0 THEN {0} ELSE {0} * 0 END::BIGINT)",
    "StringReplace": "replace({0}, {1}, {2})",
    "StringTranslate": _translated,
    "StringInstr": "strpos({0}, {1})",
    "StringLocate": _locate,
    "StringSplitSQL": _split_by_text,
    "Reverse": _reversed,
    "Concat": _concat,
    "ConcatWs": _concat_ws,
    "Elt": _chosen,
    "FindInSet": _find_in_set,
    "FormatNumber": _formatted_number,
    "FormatString": _format_string,
    "Levenshtein": _levenshtein,
    "Mask": _mask,
    "Overlay": _overlaid,
    "Hex": "hex({0})",
    "Unhex": _unhex,
    "UnBase64": _unbase64,
}
