from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from aflint.errors import FetchFailedError, UnportableKeyError
from aflint.executor.aggregate import combine_into, identity
from aflint.executor.failure import describe, hint_for, shortened
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
    assert failure.details == {"job": "", "shuffle": 3, "maps": (1, 2), "waited": False}
    assert failure.exception is None
    assert describe(UnportableKeyError("no"), TASK).kind == "UnportableKeyError"


def test_a_users_error_goes_with_traceback_and_itself() -> None:
    empty: dict[str, int] = {}
    failure = describe(raised(lambda: empty["x"]), TASK)
    assert failure.kind == "TaskError"
    assert failure.message.startswith(
        "KeyError: 'x' (in partition 5 of stage 2, attempt 0)\n\nTraceback"
    )
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
    assert "The record is (1, 2, 3)." in hint_for(pairs)
    assert hint_for(ValueError("never raised")) == ""


def test_a_failure_says_whether_it_names_a_line_of_the_program() -> None:
    fused = fuse([PerRecord(RecordStep.MAP, int)])
    assert describe(raised(lambda: list(fused(iter("x")))), TASK).lineless is False
    loop = raised(list, fused(iter("x")))
    loop.__traceback__ = loop.__traceback__ and loop.__traceback__.tb_next  # the test's own line
    for error in (
        loop,
        raised(combine_into, {}, [1], identity, max),
        UnportableKeyError("no"),
    ):
        assert describe(error, TASK).lineless
    assert not describe(FetchFailedError("gone"), TASK).lineless


class Large(Exception):
    def __init__(self, text: str, data: bytes = b"") -> None:
        super().__init__(text)
        self.data = data


def test_of_very_long_texts_the_beginning_and_the_end_travel() -> None:
    text = "begin " + "x" * 20_000_000 + " end"

    def fail(error: BaseException) -> None:
        raise error

    for error in (ValueError(text), Large(text), RuntimeError(text.replace("x", "\n"))):
        failure = describe(raised(fail, error), TASK)
        assert len(pack(failure)) < 100_000
        for shown in (failure.message, failure.details["remote_traceback"]):
            assert f"{type(error).__name__}: begin" in shown
            assert "in fail" in shown
            assert "characters are left out" in shown
            assert shown.endswith(" end\n")
        assert failure.exception is not None
        kept = pickle.loads(failure.exception)
        assert type(kept) is type(error)
        assert kept.args[0].startswith("begin")
        assert kept.args[0].endswith(" end")
    assert text == error.args[0].replace("\n", "x"), "the user's own is not changed"


def test_an_exception_that_is_large_in_other_ways_does_not_travel() -> None:
    error = Large("text", bytes(1_000_000))
    failure = describe(error, TASK)
    assert failure.exception is None
    assert len(pack(failure)) < 100_000


def test_long_texts_of_aflints_own_errors_are_shortened() -> None:
    error = FetchFailedError("x" * 1_000_000, shuffle=3, maps=tuple(range(100_000)))
    error.note = "y" * 1_000_000  # type: ignore[attr-defined]
    failure = describe(error, TASK)
    assert len(failure.message) < 20_000
    assert len(failure.details["note"]) < 20_000
    assert failure.details["maps"] == tuple(range(100_000))


def test_short_texts_stay_as_they_are() -> None:
    assert shortened("x" * 10, 10) == "x" * 10
    assert shortened("abcdefghijk", 10) == "abcde\n... 1 characters are left out ...\nghijk"
