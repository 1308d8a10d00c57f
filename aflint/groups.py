"""Moved to `aflint.aio`."""

from aflint.aio import first_error as first_error
