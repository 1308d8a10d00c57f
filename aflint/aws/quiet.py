"""Keeping botocore's own log from telling what is secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("botocore", "aiobotocore")

_held: list[tuple[logging.Logger, int]] = []
_holders = 0


@contextmanager
def quiet_botocore() -> Iterator[None]:
    """Have botocore log no details meanwhile.

    Its debug messages hold whole requests and answers: session tokens, keys of assumed roles, and
    the variables of functions.
    """
    global _holders
    _holders += 1
    if _holders == 1:
        for logger in map(logging.getLogger, _LOGGERS):
            if logger.getEffectiveLevel() < logging.INFO:
                _held.append((logger, logger.level))
                logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        _holders -= 1
        while not _holders and _held:
            logger, level = _held.pop()
            logger.setLevel(level)
