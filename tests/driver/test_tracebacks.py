from __future__ import annotations

import asyncio
import logging
import os
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import aflint
from aflint.driver.tracebacks import hide_inside
from aflint.errors import AflintError, ConfigError, InternalError, TaskError

OURS: dict[str, Any] = {}
_TEXT = "def inside(step):\n    step()\ndef outside(step):\n    inside(step)"
exec(compile(_TEXT, os.path.join(os.path.dirname(aflint.__file__), "inside.py"), "exec"), OURS)


def shown(step: Callable[[], None], call: str = "outside") -> list[str]:
    """Return the functions in the traceback of what a step raises within aflint."""
    try:
        OURS[call](step)
    except BaseException as error:
        hide_inside(error)
        return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    raise AssertionError("nothing was raised")


def fail(error: BaseException) -> Callable[[], None]:
    def step() -> None:
        raise error

    return step


def test_only_the_programs_own_lines_are_shown_of_aflints_errors() -> None:
    assert shown(fail(TaskError("no"))) == ["shown"]
    assert shown(fail(ConfigError("no"))) == ["shown"]


def test_ctrl_c_shows_only_the_programs_own_lines() -> None:
    assert shown(fail(KeyboardInterrupt())) == ["shown"]
    assert shown(fail(asyncio.CancelledError())) == ["shown"]


def test_a_group_is_cut_error_by_error() -> None:
    try:
        OURS["inside"](fail(AflintError("no")))
    except AflintError as error:
        inner = error
    hide_inside(BaseExceptionGroup("several", [BaseExceptionGroup("deeper", [inner])]))
    assert len(traceback.extract_tb(inner.__traceback__)) == 1


def test_an_error_that_led_to_one_of_the_programs_is_cut_too() -> None:
    def lead(first: BaseException) -> None:
        try:
            OURS["outside"](fail(first))
        except BaseException as error:
            raise ValueError("the program's") from error

    for first, frames in ((TaskError("no"), 1), (InternalError("no"), 4)):
        with pytest.raises(ValueError, match="program") as caught:
            lead(first)
        first.__context__ = caught.value  # in a circle
        hide_inside(caught.value)
        assert len(traceback.extract_tb(first.__traceback__)) == frames


def test_faults_and_errors_of_others_are_shown_whole(caplog: pytest.LogCaptureFixture) -> None:
    whole = ["shown", "outside", "inside", "step"]
    assert shown(fail(InternalError("no"))) == whole
    assert shown(fail(KeyError("no"))) == whole
    caplog.set_level(logging.DEBUG, "aflint")
    assert shown(fail(TaskError("no"))) == whole
