from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cloudpickle
import pytest

from aflint.driver.user_modules import UserModules


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "my_module_of_records.py").write_text("")
    module = ModuleType("my_module_of_records")
    module.__file__ = str(tmp_path / "my_module_of_records.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield module
    assert module.__name__ not in cloudpickle.list_registry_pickle_by_value()


def registered(module: ModuleType) -> bool:
    return module.__name__ in cloudpickle.list_registry_pickle_by_value()


@pytest.mark.parametrize("first_closed", [0, 1])
def test_a_session_that_closes_leaves_their_modules_to_others(
    module: ModuleType, first_closed: int
) -> None:
    sessions = [UserModules(on=True), UserModules(on=True)]
    for session in sessions:
        session.look()
    sessions[first_closed].forget()
    assert registered(module)
    sessions[1 - first_closed].look()
    sessions[1 - first_closed].forget()
    assert not registered(module)


def test_what_the_user_registered_stays(module: ModuleType) -> None:
    cloudpickle.register_pickle_by_value(module)
    session = UserModules(on=True)
    session.look()
    session.forget()
    assert registered(module)
    cloudpickle.unregister_pickle_by_value(module)
    session.forget()
