"""JSON that is read although it is none, as Spark reads it; and numbers as Java writes them.

Strings may stand between single quotes, and what follows the first value does not matter. Files
and `from_json` know of NaN and of infinite numbers as well, other functions of control characters
within strings.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal

_BLANKS = re.compile(r"[ \t\r\n]*")
_ESCAPED = r"""\\(?:["'\\/bfnrt]|u[0-9a-fA-F]{4})"""
_STRING = re.compile(rf"""\"((?:[^"\\]|{_ESCAPED})*)\"|'((?:[^'\\]|{_ESCAPED})*)'""")
_CONTROL = re.compile(r"[\x00-\x1f]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.eE])")
_WORD = re.compile(r"true|false|null")
_NO_NUMBER = re.compile(r"NaN|[+-]?INF|[+-]?Infinity")
_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_MOST_DEPTH = 200


def strict_json(text: str, words: bool, last: bool) -> str | None:
    """Return the first value of a text as strict JSON, or None where there is none. With `words`,
    it may have NaN and infinite numbers, which become strings, and no control characters in these.
    Of values of one name an object has the first, or the `last`.
    """
    try:
        return _Reader(text, words, last).value(0)
    except ValueError:
        return None


def raw_json(text: str, name: str) -> str | None:
    """Return a value of a text's object, by its name, as it stands there; the last of several."""
    try:
        return _Reader(text, True, True).raw(name)
    except ValueError:
        return None


class _Reader:
    def __init__(self, text: str, words: bool, last: bool) -> None:
        self._text, self._words, self._last, self._at = text, words, last, 0

    def value(self, depth: int) -> str:
        """Return the next value. Raises ValueError where there is none."""
        self._skip()
        start = self._text[self._at : self._at + 1]
        if depth > _MOST_DEPTH:
            raise ValueError
        if start == "{":
            return "{" + ",".join(self._members(depth)) + "}"
        if start == "[":
            return "[" + ",".join(self._items(depth)) + "]"
        if start and start in "\"'":
            return self._string()
        for pattern in (_NUMBER, _WORD, *([_NO_NUMBER] if self._words else [])):
            if found := pattern.match(self._text, self._at):
                self._at = found.end()
                if pattern is not _NO_NUMBER:
                    return found[0]
                number = float(found[0].replace("INF", "inf"))
                # A string whose quotes are part of it: as Spark writes it where it is to be one
                return f'"\\"{_WORDS[str(number)]}\\""'
        raise ValueError

    def raw(self, wanted: str) -> str | None:
        """Return the text of a member of the object that is next."""
        found = None
        self._skip()
        for _ in self._until("}"):
            self._skip()
            name = json.loads(self._string())
            self._need(":")
            self._skip()
            start = self._at
            self.value(1)
            if name == wanted:
                found = self._text[start : self._at]
        return found

    def _items(self, depth: int) -> Iterator[str]:
        for _ in self._until("]"):
            yield self.value(depth + 1)

    def _members(self, depth: int) -> Iterator[str]:
        found: dict[str, str] = {}
        for _ in self._until("}"):
            self._skip()
            name = self._string()
            self._need(":")
            value = self.value(depth + 1)
            found[name] = value if self._last else found.get(name, value)
        return map(":".join, found.items())

    def _until(self, end: str) -> Iterator[None]:
        """Step from one item to the next, past the comma between them."""
        self._at += 1
        first = True
        while not self._takes(end):
            if not first:
                self._need(",")
            first = False
            yield

    def _string(self) -> str:
        found = _STRING.match(self._text, self._at)
        if found is None or (self._words and _CONTROL.search(found[0])):
            raise ValueError
        self._at = found.end()
        letters = _ESCAPE.sub(_letter, found[1] if found[1] is not None else found[2])
        # Two escapes may be one letter
        whole = letters.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return json.dumps(whole, ensure_ascii=False)

    def _skip(self) -> None:
        self._at = _BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]

    def _takes(self, mark: str) -> bool:
        self._skip()
        if self._text.startswith(mark, self._at):
            self._at += 1
            return True
        return False

    def _need(self, mark: str) -> None:
        if not self._takes(mark):
            raise ValueError


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _LETTERS.get(found[2], found[2])


_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?')


def java_json(text: str) -> str:
    """Return strict JSON as Java writes it: fractions as numbers of 64 bits, and escapes for what
    takes two of its characters.
    """
    return _WIDE.sub(_escaped, _PIECE.sub(_java_number, text))


_WIDE = re.compile("[\U00010000-\U0010ffff]")


def _escaped(found: re.Match[str]) -> str:
    pair = found[0].encode("utf-16-be").hex().upper()
    return f"\\u{pair[:4]}\\u{pair[4:]}"


def _java_number(found: re.Match[str]) -> str:
    piece = found[0]
    if piece[0] == '"' or not re.search("[.eE]", piece):
        return piece
    number = float(piece)
    return f'"{java_double(number)}"' if math.isinf(number) else java_double(number)


def java_double(number: float) -> str:
    """Return a number of 64 bits as Java writes it."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "-Infinity" if number < 0 else "Infinity"
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(number)
    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    shown = "".join(map(str, digits)).rstrip("0")
    power = len(digits) + int(exponent) - 1
    return f"{'-' * sign}{shown[0]}.{shown[1:] or '0'}E{power}"
