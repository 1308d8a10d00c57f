"""The engines, each a file with a class `Engine`, which has a method for each workload it can do.

A method takes a `Job` and returns the answer, in the form that all engines tell it; it may be
async. Only what an engine runs is imported in its file: it may live in an environment of its own.
"""

from __future__ import annotations


class Program:
    """What engines share: they are opened once, asked for jobs, and closed."""

    def __init__(self, argument: str) -> None:
        self.argument = argument

    async def open(self) -> None:
        """Start whatever the jobs share."""

    async def close(self) -> None:
        """Stop it."""

    def shuffled(self) -> int | None:
        """Return the bytes that were shuffled so far; None where the engine does not say."""
        return None
