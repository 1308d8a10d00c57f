"""How this driver was started, so that `aflint resume` can start its program again."""

from __future__ import annotations

import os
import socket
import sys
import time

from aflint import __version__
from aflint.journal.entries import DriverBegan

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
RUN_ID = "AFLINT_RUN_ID"


def _matters(name: str) -> bool:
    """Say whether a variable may change what the program computes, or where it runs."""
    return name == "PYTHONHASHSEED" or (name.startswith("AFLINT_") and name != RUN_ID)


def this_driver() -> DriverBegan:
    """Return what a journal says of this process."""
    return DriverBegan(
        __version__,
        PYTHON,
        (sys.executable, *sys.orig_argv[1:]),
        os.getcwd(),
        {name: value for name, value in os.environ.items() if _matters(name)},
        socket.gethostname(),
        os.getpid(),
        time.time(),
    )
