"""What `aflint doctor` finds: one line for each thing it looked at."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from aflint.errors import AflintError


class Level(enum.Enum):
    """How good it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was seen, and what to do about it, if anything."""

    level: Level
    subject: str
    seen: str
    advice: str = ""


def ok(subject: str, seen: str) -> Finding:
    """Return a line about something that is as it should be."""
    return Finding(Level.OK, subject, seen)


def warn(subject: str, seen: str, advice: str) -> Finding:
    """Return a line about something that works, but not well, or that could not be seen."""
    return Finding(Level.WARN, subject, seen, advice)


def fail(subject: str, seen: str, advice: str) -> Finding:
    """Return a line about something that keeps jobs from running."""
    return Finding(Level.FAIL, subject, seen, advice)


def failed(subject: str, error: AflintError) -> Finding:
    """Return the line for an error, whose message says what to do."""
    return Finding(Level.FAIL, subject, str(error))
