"""Moved to `aflint.aio`."""

from aflint.aio import together as together
