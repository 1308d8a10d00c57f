"""What every test starts from."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("aflint", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("aflint")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in os.environ:
        if variable.startswith("AFLINT_"):
            monkeypatch.delenv(variable)
