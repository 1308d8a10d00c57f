"""What every test starts from."""

from __future__ import annotations

import os
import signal
import tempfile

import pytest
from hypothesis import settings

from aflint.localcloud.loopback import no_proxy

settings.register_profile("aflint", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("aflint")

os.environ.update(no_proxy(os.environ))  # every server that a test starts is on loopback

# Runs leave their history there, and not in the user's own.
_state = tempfile.TemporaryDirectory(prefix="aflint-state-")
os.environ["XDG_STATE_HOME"] = _state.name

# A shell that runs the tests in the background has them ignore Ctrl-C, and all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in os.environ:
        if variable.startswith("AFLINT_"):
            monkeypatch.delenv(variable)
