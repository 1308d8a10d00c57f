"""Functions that Catalyst calls by the name of a Java method."""

from __future__ import annotations

from collections.abc import Callable

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter, Rule, cast, failing
from aflint.sql.expressions.jsons import strict, to_json
from aflint.sql.expressions.strings import padded
from aflint.sql.plan import Expression
from aflint.sql.python_functions import TEXTS
from aflint.sql.types import text


def _called(expression: Expression, emit: Emitter) -> str:
    """A static method: NULL for NULL."""
    name = f"{expression.fields['staticObject']}.{expression.fields['functionName']}"
    write = _METHODS.get(name)
    if write is None:
        raise UnsupportedPlanError(f"the expression {expression} ({name})")
    return cast(write(expression.fields["arguments"], emit), expression.type.duckdb)


def _invoked(expression: Expression, emit: Emitter) -> str:
    """A method of an object, which is a value or what Catalyst has made for the call."""
    target, method = expression.fields["targetObject"], expression.fields["functionName"]
    if method == "isValid" and target.type.name == "string":  # ours always is
        return f"CASE WHEN {emit(target)} IS NOT NULL THEN true END"
    made = str(target.fields.get("value", "")) if target.kind == "Literal" else ""
    if method == "evaluate" and made.startswith("StructsToJsonEvaluator(Map(),"):
        (argument,) = expression.fields["arguments"]
        return to_json(emit(argument), argument.type, emit)
    if method == "evaluate" and made.startswith("ParseUrlEvaluator("):
        url, *asked = emit.all(expression.fields["arguments"])
        name = "parse_url" if len(asked) == 1 else "parse_url_key"
        return f"{TEXTS}{name}({url}, {', '.join(asked)}, {made.endswith(',true)')})"
    raise UnsupportedPlanError(f"the expression {expression} ({made or target}.{method})")


def _utf8(arguments: list[Expression], emit: Emitter) -> None:
    charset = str(emit.literal(arguments[1], "a charset"))
    if charset.lower().replace("-", "") != "utf8":
        raise UnsupportedPlanError(f"the charset {charset}")


def _encoded(arguments: list[Expression], emit: Emitter) -> str:
    _utf8(arguments, emit)
    return f"encode({emit(arguments[0])})"


def _decoded(arguments: list[Expression], emit: Emitter) -> str:
    _utf8(arguments, emit)
    return f"decode({emit(arguments[0])})"


def _base64(arguments: list[Expression], emit: Emitter) -> str:
    """In lines of 76 letters, as MIME has them, where asked."""
    sql = f"base64({emit(arguments[0])})"
    if str(emit.literal(arguments[1], "chunks")) != "true":
        return sql
    return f"rtrim(regexp_replace({sql}, '(.{{76}})', '\\1\r\n', 'g'), chr(13) || chr(10))"


def _url_encoded(arguments: list[Expression], emit: Emitter) -> str:
    sql = f"url_encode({emit(arguments[0])})"
    for theirs, ours in (("%20", "+"), ("%2A", "*"), ("~", "%7E")):
        sql = f"replace({sql}, '{theirs}', '{ours}')"
    return sql


def _url_decoded(arguments: list[Expression], emit: Emitter) -> str:
    def write(value: str) -> str:
        rest = f"regexp_replace({value}, '%[0-9a-fA-F]{{2}}', '', 'g')"
        message = "The provided URL cannot be decoded."
        decoded, wrong = f"TRY(url_decode(replace({value}, '+', ' ')))", f"contains({rest}, '%')"
        decoded = f"coalesce({decoded}, {TEXTS}url_decode({value}))"  # of what is no UTF-8
        if str(arguments[-1].fields.get("value")) == "false":
            return f"CASE WHEN NOT {wrong} THEN {decoded} END"
        return failing(wrong, "CANNOT_DECODE_URL", message, decoded)

    return emit.once([emit(arguments[0])], write)


def _hmac(arguments: list[Expression], emit: Emitter) -> str:
    key, message, name = arguments
    digest = str(emit.literal(name, "a hash"))
    if digest.upper() not in _DIGESTS:
        raise UnsupportedPlanError(f"hmac by {digest}")
    return f"{TEXTS}hmac({emit(key)}, {emit(message)}, {text(digest)})"


_DIGESTS = ("SHA-1", "SHA1", "SHA-224", "SHA-256", "SHA256", "SHA-384", "SHA-512", "SHA512")


def _bytes_found(place: str) -> Callable[[list[Expression], Emitter], str]:
    """Whether a binary is found in another one, by its hexadecimal digits: two for each byte."""

    def write(arguments: list[Expression], emit: Emitter) -> str:
        whole, part = (f"hex({each})" for each in emit.all(arguments))
        if place != "anywhere":
            return f"{place}({whole}, {part})"
        pairs = "regexp_replace({}, '(..)', '\\1 ', 'g')"
        return f"contains(' ' || {pairs.format(whole)}, ' ' || {pairs.format(part)})"

    return write


def _luhn(arguments: list[Expression], emit: Emitter) -> str:
    """From the right, each second digit counts double."""

    def write(value: str) -> str:
        digit = f"(ascii({value}[length({value}) - i]) - 48)"
        doubled = f"({digit} * 2) // 10 + ({digit} * 2) % 10"
        digits = f"list_transform(range(length({value})), lambda i: CASE WHEN i % 2 = 1 THEN "
        digits += f"{doubled} ELSE {digit} END)"
        good = f"regexp_full_match({value}, '[0-9]+')"
        return f"CASE WHEN {good} THEN list_sum({digits}) % 10 = 0 ELSE {good} END"

    return emit.once([emit(arguments[0])], write)


def _quoted(arguments: list[Expression], emit: Emitter) -> str:
    escaped = f"replace({emit(arguments[0])}, '''', '\\''')"
    return f"('''' || {escaped} || '''')"


def _json_count(arguments: list[Expression], emit: Emitter) -> str:
    def write(value: str) -> str:
        return f"CASE json_type({value}) WHEN 'ARRAY' THEN json_array_length({value}) END"

    return emit.once([emit.once([emit(arguments[0])], strict)], write)


def _json_keys(arguments: list[Expression], emit: Emitter) -> str:
    def write(value: str) -> str:
        return f"CASE json_type({value}) WHEN 'OBJECT' THEN json_keys({value}) END"

    return emit.once([emit.once([emit(arguments[0])], strict)], write)


def _bytes_padded(call: str) -> Callable[[list[Expression], Emitter], str]:
    """Bytes that are padded as their digits are, of which each has two."""

    def write(arguments: list[Expression], emit: Emitter) -> str:
        value, size, pad = emit.all(arguments)
        digits = [f"hex({value})", f"CAST(2 * CAST({size} AS BIGINT) AS INTEGER)", f"hex({pad})"]
        return f"unhex({emit.once(digits, padded(call))})"

    return write


_METHODS: dict[str, Callable[[list[Expression], Emitter], str]] = {
    "Encode.encode": _encoded,
    "StringDecode.decode": _decoded,
    "Base64.encode": _base64,
    "UrlCodec.encode": _url_encoded,
    "UrlCodec.decode": _url_decoded,
    "ExpressionImplUtils.isLuhnNumber": _luhn,
    "ByteArrayMethods.contains": _bytes_found("anywhere"),
    "ByteArrayMethods.endsWith": _bytes_found("ends_with"),
    "ByteArrayMethods.startsWith": _bytes_found("starts_with"),
    "ByteArray.lpad": _bytes_padded("lpad"),
    "ByteArray.rpad": _bytes_padded("rpad"),
    "ExpressionImplUtils.hmac": _hmac,
    "ExpressionImplUtils.quote": _quoted,
    "JsonExpressionUtils.lengthOfJsonArray": _json_count,
    "JsonExpressionUtils.jsonObjectKeys": _json_keys,
}
RULES: dict[str, Rule] = {"StaticInvoke": _called, "Invoke": _invoked}
