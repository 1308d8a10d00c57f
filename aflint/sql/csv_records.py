"""Records of CSV cut into fields as Spark's parser cuts them, quotes that do not fit included.

Most records are regular, and DuckDB cuts those; what is here is for the rest, and finds the ends of
records that span lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_NONE = "\0"
"""The character that Spark takes for one that there is none of."""


@dataclass(frozen=True)
class CsvStyle:
    """How records are cut: by options of Spark's, whose quote and escape may be nothing."""

    separator: str = ","
    quote: str = '"'
    escape: str = "\\"
    trims_left: bool = False
    trims_right: bool = False

    @property
    def marks(self) -> tuple[str, str, str]:
        """The quote, the escape, and what escapes an escape."""
        quote, escape = self.quote or _NONE, self.escape or _NONE
        return quote, escape, _NONE if escape == quote else escape

    @property
    def regular(self) -> str:
        """The regular expression, for RE2 and Python alike, of fields that are no more than quoted,
        or not quoted. Nothing where there are none for sure.
        """
        quote, escape, again = self.marks
        if len(self.separator) != 1 or escape == _NONE:
            return ""
        s, q, e = (re.escape(mark) for mark in (self.separator, quote, escape))
        inner = rf"[^{q}]|{q}{q}" if again == _NONE else rf"[^{q}{e}]|{e}[{q}{e}]"
        blank, first = ("[ \t]*", r"\x00-\x20") if self.trims_left else ("", "")
        return rf"{blank}(?:{q}(?:{inner})*{q}|(?:[^{q}{s}\r\n{first}][^{s}\r\n]*)?)"

    def records(self, text: str, comment: str = "") -> Iterator[str]:
        """Yield the records of a text whose lines end with a newline. A comment is one of its own,
        whatever quotes it has.
        """
        at = 0
        while at < len(text):
            found = text.find("\n", at) if comment and text.startswith(comment, at) else -2
            end = self.end(text, at) if found == -2 else found if found >= 0 else len(text)
            yield text[at:end]
            at = end + 1

    @cached_property
    def _regular(self) -> re.Pattern[str]:
        field = self.regular
        s = re.escape(self.separator)
        return re.compile(rf"(?:{field})(?:{s}(?:{field}))*+(?=\n|\Z)" if field else r"(?!)")

    def end(self, text: str, start: int) -> int:
        """Return where a record ends: at a line's end, or at the end of the text."""
        found = self._regular.match(text, start)
        return found.end() if found else self.fields(text, start)[1]

    def fields(self, text: str, start: int = 0) -> tuple[list[str | None], int]:
        """Return a record's fields, NULL for one that has nothing, and where it ends.

        Raises ValueError for quotes among separators of several characters that are not plain.
        """
        if len(self.separator) > 1 and not self._is_plain(text[start:]):
            raise ValueError(
                "[UNSUPPORTED_FEATURE] aflint does not read such quotes with a sep of "
                "several characters."
            )
        found: list[str | None] = []
        at, size = start, len(text)
        while True:
            if self.trims_left:
                at = self._past_blanks(text, at)
            if text.startswith(self.quote or _NONE, at) and at < size:
                value, at = _Quoted(self, text, at + 1).read()
                found.append(value)
            else:
                end = self._until(text, at)
                value = text[at:end]
                if self.trims_right:
                    value = value.rstrip(_BLANKS)
                found.append(value or None)
                at = end
            if at >= size or text[at] == "\n":
                return found, at
            at += len(self.separator)

    def _is_plain(self, text: str) -> bool:
        quote, escape, _ = map(re.escape, self.marks)
        pattern = rf"(?s:[^{quote}](?:.*[^{quote}])?|{quote}[^{quote}{escape}]*{quote})?"
        lines = text.split("\n")
        return all(re.fullmatch(pattern, f) for line in lines for f in line.split(self.separator))

    def quoted(self, value: str | None) -> str:
        """Return a field as a regular record has it."""
        quote, escape, again = self.marks
        if value is None:
            return ""
        if again != _NONE:
            value = value.replace(escape, escape * 2)
        return quote + value.replace(quote, (again if again != _NONE else quote) + quote) + quote

    def _past_blanks(self, text: str, at: int) -> int:
        while at < len(text) and text[at] <= " " and text[at] != "\n":
            if text.startswith(self.separator, at) or text[at] == self.quote:
                break
            at += 1
        return at

    def _until(self, text: str, at: int) -> int:
        """Return where the next separator or line's end is."""
        places = (text.find(self.separator, at), text.find("\n", at))
        return min((place for place in places if place >= 0), default=len(text))


_BLANKS = "".join(map(chr, range(33)))


class _Quoted:
    """A field that begins with a quote. A quote within that nothing escapes makes it one without
    quotes, which ends at the next separator.
    """

    def __init__(self, style: CsvStyle, text: str, at: int) -> None:
        self._style, self._text, self._at = style, text, at
        self._found: list[str] = []
        self._before = _NONE

    def _ends(self, at: int) -> bool:
        return self._text.startswith(self._style.separator, at) or self._text[at] == "\n"

    def read(self) -> tuple[str, int]:
        """Return the value, and where it ends."""
        text, size = self._text, len(self._text)
        quote, escape, again = self._style.marks
        if self._at >= size:
            return quote, size
        nothing = escape == _NONE and text.startswith(quote, self._at) and self._at + 1 < size
        if nothing and self._ends(self._at + 1):
            return "", self._at + 1
        while self._at < size:
            letter = text[self._at]
            if self._before == quote and (letter <= " " or self._ends(self._at)):
                return self._closed()
            if letter not in (quote, escape):
                if self._before == quote:
                    return self._unquoted(quote)
                if self._before in (escape, again) and self._before != _NONE:
                    self._found.append(self._before)
                end = self._at
                while end < size and text[end] not in (quote, escape, again):
                    end += 1
                self._found.append(text[self._at : end])
                self._before = text[end] if end < size else _NONE
                self._at = end + 1
            else:
                self._mark(letter)
                self._at += 1
        return "".join(self._found), size

    def _mark(self, letter: str) -> None:
        """Take in a quote or an escape, by what stands before it."""
        quote, escape, again = self._style.marks
        before, self._before = self._before, letter
        if letter == escape and before == again and again != _NONE:
            self._found.append(escape)
            self._before = _NONE
        elif before == escape:
            if letter == quote:
                self._before = _NONE
            self._found.append(quote if letter == quote else before)
        elif letter == quote and before == quote:
            self._found.append(quote)
        elif before == quote:
            self._found.append(quote)
            self._rest(letter)

    def _rest(self, before: str) -> None:
        """Take in, after a quote with an escape behind, what there is up to the separator."""
        quote, escape, again = self._style.marks
        text = self._text
        while self._at < len(text) and not self._ends(self._at):
            letter = text[self._at]
            if letter not in (quote, escape):
                if before == quote:
                    self._found.append(quote)
                self._found.append(letter)
            elif letter == escape and before == again and again != _NONE:
                self._found.append(escape)
                letter = _NONE
            elif before == escape:
                self._found.append(quote if letter == quote else before)
                letter = _NONE if letter == quote else letter
            elif before == quote:
                self._found.append(quote)
                if letter == escape:  # which counts as one that an escape stands before
                    before = letter
                    continue
            before = letter
            self._at += 1
        self._before = text[self._at] if self._at < len(text) else _NONE

    def _closed(self) -> tuple[str, int]:
        """What is behind the closing quote: blanks are left out, and anything else makes the quotes
        part of the value.
        """
        text, at = self._text, self._at
        while at < len(text) and text[at] <= " " and not self._ends(at):
            at += 1
        if at >= len(text) or self._ends(at):
            return "".join(self._found), at
        quote = self._style.marks[0]
        blanks, self._at = text[self._at : at], at
        value, end = self._unquoted(quote + blanks)
        # Spark counts the quote in `"a" b"` twice, at the end of its text
        again = end >= len(text) and text[at] != quote and text.startswith(quote, at + 1)
        return value + quote * again, end

    def _unquoted(self, behind: str) -> tuple[str, int]:
        end = self._style._until(self._text, self._at + 1)
        rest = self._text[self._at + 1 : end]
        value = f"{self._style.quote}{''.join(self._found)}{behind}{self._text[self._at]}{rest}"
        return value.rstrip(_BLANKS) if self._style.trims_right else value, end
