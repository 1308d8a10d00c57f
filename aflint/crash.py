"""What the log of a process that ended says of its end."""

from __future__ import annotations

from typing import Final

_MOST: Final = 2000
_MOST_LINES: Final = 20
_CRASH: Final = "Fatal Python error: "
_OWN_STACK: Final = ("Stack", "Current thread")  # the latter among other threads


def last_words(log: str) -> str:
    """Return what matters of the end of a log, in about 2,000 characters.

    Of a crash that faulthandler describes, that is its headline and where the thread was, with the
    lines before it: a list of all extension modules, longer than all that, comes after it.
    """
    before, crashed, crash = log.rpartition(_CRASH)
    if not crashed:
        return log.strip()[-_MOST:]
    headline, *parts = crash.split("\n\n")
    current = next((part for part in parts if part.startswith(_OWN_STACK)), "")
    place = "\n".join(current.splitlines()[:_MOST_LINES])
    return f"{before[-_MOST // 4 :]}{_CRASH}{headline}\n{place}".strip()
