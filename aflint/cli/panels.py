"""What the commands are for: the headings of `aflint --help`, in the order in which they stand."""

from __future__ import annotations

from enum import StrEnum


class Panel(StrEnum):
    """A heading of a help page."""

    RUN = "Run programs and queries"
    SEE = "See what jobs do, and why they failed"
    LOOK = "Set up, and find out what is wrong"
    DEPLOY = "Set up AWS, and take it down"

    WHICH = "Configuration"
    """Of a command: the options that say which configuration it goes by."""
