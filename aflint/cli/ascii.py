"""Output for terminals and pipes that take nothing but ASCII, or another small character set."""

from __future__ import annotations

import codecs
import io
import sys
from typing import Final

_NAME: Final = "aflint-ascii"
_SIMILAR: Final = str.maketrans(
    {
        **dict.fromkeys("▁▂▃", "."), **dict.fromkeys("▄▅", "o"), **dict.fromkeys("▆▇█▉▊▋▌", "#"),
        **dict.fromkeys("▏▎▍", "|"), "▒": ":", "│": "|", "─": "-", "━": "=", "└": "+",
        "✓": "+", "✗": "x", "·": "-", "…": "...", "→": ">",
    }
)  # fmt: skip


def write_in_any_encoding() -> None:
    """Have standard output take every character, where one that its encoding lacks would raise.

    Such a character is written as a similar one or, where there is none, as a backslash escape.
    """
    codecs.register_error(_NAME, _similar)
    for stream in (sys.stdout, sys.stderr):
        # A test or a notebook may have put something else in place, which takes any text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def _similar(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    # What follows is encoded with this handler again: it may return ASCII only.
    text = error.object[error.start : error.end].translate(_SIMILAR)
    return text.encode("ascii", "backslashreplace").decode(), error.end
