"""One setting: what it may be, how it is read from text, and what is said when it is wrong.

Pure, and knows nothing of which settings there are: `aflint.config` declares them.
"""

from __future__ import annotations

import difflib
import math
import operator
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

_MOST_SUGGESTED: Final = 5
_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off")
_NOUNS: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


AUTO: Final = "auto"


class Auto(int):
    """The value of a number that is left to aflint: what it begins with."""

    def __str__(self) -> str:
        return AUTO


@dataclass(frozen=True)
class Setting:
    """What one setting may be. Numbers lie from `minimum` to `maximum`, both included; where one
    may be left to aflint, `auto` is what it begins with.

    `pattern` must match a whole string, and `hint` says in words what it asks for. A `path` may
    begin with `~`. An `optional` setting may be None, written `none` in text; `example` is what it
    may be instead.
    """

    name: str
    type: type
    default: str
    help: str
    unit: str = ""
    optional: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    pattern: str = ""
    hint: str = ""
    path: bool = False
    auto: int | None = None
    example: Any = None

    def allowed(self) -> str:
        """Return what the setting may be, in words."""
        if self.choices:
            words = _either([f'"{choice}"' for choice in self.choices])
        else:
            words = self.hint or _NOUNS[self.type] + self._bounds()
        others = ['"auto"'] * (self.auto is not None) + ["none"] * self.optional
        return f"{words}, or {' or '.join(others)}" if others else words

    def _bounds(self) -> str:
        if self.minimum is not None and self.maximum is not None:
            return f" from {self.minimum:g} to {self.maximum:g}"
        if self.above is not None and self.maximum is not None:
            return f" above {self.above:g} and at most {self.maximum:g}"
        if self.above is not None:
            return f" above {self.above:g}"
        return "" if self.minimum is None else f" of at least {self.minimum:g}"

    def check(self, value: Any) -> Any:
        """Return `value` as the setting holds it.

        Raises:
            ValueError: it is of another type, or not among what is allowed; says what is.
        """
        if value is None and self.optional:
            return None
        if self.auto is not None and isinstance(value, str | Auto) and str(value) == AUTO:
            return Auto(self.auto)
        converted = _convert(value, self.type)
        if converted is None or not self._admits(converted):
            raise ValueError(f"{self.name} = {_shown(value)}, but must be {self.allowed()}")
        return os.path.expanduser(converted) if self.path else converted

    def _admits(self, value: Any) -> bool:
        if isinstance(value, str):
            if self.choices:
                return value in self.choices
            return re.fullmatch(self.pattern or r"[^\0]+", value) is not None
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
        )

    def parse(self, text: str) -> Any:
        """Return the value that `text`, from an environment variable, stands for.

        Raises:
            ValueError: as `check` does.
        """
        text = text.strip()
        if self.optional and text.lower() == "none":
            return None
        return self.check(_from_text(text, self.type))


def suggest(name: str, names: Iterable[str]) -> str:
    """Return a sentence naming what `name` was perhaps meant to be, or where all names are found.

    A setting is like it that is spelled much as it is or, failing that, has a word in common.
    """
    known, wanted = sorted(names), name.lower().replace("-", "_")
    words = set(wanted.split("_"))
    close = difflib.get_close_matches(wanted, known, n=1)
    # `memory` is like no name as a whole, but is a word of several.
    like = close or [each for each in known if words & set(each.split("_"))][:_MOST_SUGGESTED]
    return f"Did you mean {_either(like)}?" if like else "`aflint config` lists all settings."


def _from_text(text: str, wanted: type) -> Any:
    if wanted is bool and text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    # Text that is no number stays text: `check` says what is wrong with it.
    if wanted in (int, float):
        try:
            return wanted(text)
        except ValueError:
            return text
    return text


def _convert(value: Any, wanted: type) -> Any:
    """Return `value` as exactly `wanted`, or None where that would change what it means."""
    # True is 1 to Python: `workers = true` must not mean one worker.
    if wanted is bool or isinstance(value, bool):
        return value if wanted is bool and isinstance(value, bool) else None
    if wanted is str:
        return os.fspath(value) if isinstance(value, str | os.PathLike) else None
    try:
        if wanted is int:
            # numpy's integers, too, and no float: 2.5 workers are a mistake.
            return operator.index(value)
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _shown(value: Any) -> str:
    """Write a value for an error message: as in TOML, cut short, and without credentials."""
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    text = {"True": "true", "False": "false", "None": "none"}.get(text, text)
    # A URL may have a password in it, and messages go into logs.
    text = re.sub(r"//[^/@]*@", "//***@", text)
    return text if len(text) <= 80 else text[:77] + "..."


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
