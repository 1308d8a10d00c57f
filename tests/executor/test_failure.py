from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from aflint.errors import FetchFailedError, UnportableKeyError
from aflint.executor.aggregate import combine_into, identity
from aflint.executor.failure import describe, hint_for
from aflint.executor.fusion import fuse
from aflint.plan.lineage import PerRecord, RecordStep
from aflint.task import TaskId
from aflint.wire import pack, unpack

TASK = TaskId("job", 2, 5, 0)


def raised(function: Callable[..., Any], *arguments: Any) -> BaseException:
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_aflints_own_errors_go_by_class_with_what_they_carry() -> None:
    failure = describe(FetchFailedError("gone", shuffle=3, maps=(1, 2)), TASK)
    assert (failure.kind, failure.message) == ("FetchFailedError", "gone")
    assert failure.details == {"shuffle": 3, "maps": (1, 2), "waited": False}
    assert failure.exception is None
    assert describe(UnportableKeyError("no"), TASK).kind == "UnportableKeyError"


def test_a_users_error_goes_with_traceback_and_itself() -> None:
    empty: dict[str, int] = {}
    failure = describe(raised(lambda: empty["x"]), TASK)
    assert failure.kind == "TaskError"
    assert failure.message.startswith("KeyError: 'x' (in partition 5 of stage 2)\n\nTraceback")
    assert failure.details["partition"] == 5
    assert "test_failure.py" in failure.details["remote_traceback"]
    assert failure.exception is not None
    assert isinstance(pickle.loads(failure.exception), KeyError)
    assert unpack(pack(failure)) == failure


def test_notes_causes_and_several_lines() -> None:
    error = ValueError("one\ntwo")
    error.add_note("a note")
    error.__cause__ = KeyError("why")
    message = describe(error, TASK).message
    assert message.startswith("ValueError: one (in")
    assert "a note" in message
    assert "KeyError: 'why'" in message
    assert describe(raised(compile, "x =", "f", "exec"), TASK).message.startswith("SyntaxError:")


def test_a_missing_module_says_how_it_comes_to_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def function() -> None:
        from no_such_package.part import x  # type: ignore[import-not-found]  # noqa: F401

    assert "--py-files" not in describe(raised(function), TASK).message  # a worker of this machine
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "aflint-1769")
    message = describe(raised(function), TASK).message
    assert message.startswith("ModuleNotFoundError: No module named 'no_such_package' (in part")
    assert "--package no_such_package" in message
    assert "`requirements`" in message
    assert message.endswith("--py-files.")
    message = describe(raised(lambda: 1 / 0), TASK).message
    assert message.endswith("ZeroDivisionError: division by zero\n")


def test_hints_are_for_aflints_own_loops_alone() -> None:
    def run(step: RecordStep, function: Any, records: list[Any]) -> BaseException:
        return raised(lambda: list(fuse([PerRecord(step, function)])(iter(records))))

    hint = hint_for(run(RecordStep.MAP_VALUES, str, [7]))
    assert "(key, value) pairs" in hint
    assert "The record is 7." in hint
    assert "something to iterate over" in hint_for(run(RecordStep.FLAT_MAP, lambda x: None, [1]))
    assert hint_for(run(RecordStep.MAP, lambda x: x[0], [1])) == "", "the user's own line"
    pairs = raised(combine_into, {}, [(1, 2, 3)], identity, max)
    assert "(key, value) pairs" in hint_for(pairs)
    assert hint_for(ValueError("never raised")) == ""
