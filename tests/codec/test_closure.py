from __future__ import annotations

import functools
import threading
from typing import Any

import pytest

from aflint.codec import closure
from aflint.codec.digest import digest_of
from aflint.errors import ClosureError

LOCK = threading.Lock()


class Holder:
    def __init__(self, part: Any) -> None:
        self.part = part

    def method(self) -> Any:
        return self.part


class Refusing:
    def __reduce__(self) -> Any:
        raise ClosureError("an RDD cannot be used inside a function: collect it first")


def capturing(part: Any) -> Any:
    def parse(value: Any) -> Any:
        return part, value

    return parse


def message(value: Any) -> str:
    with pytest.raises(ClosureError) as caught:
        closure.dumps(value, "the function given to map")
    return str(caught.value)


def test_functions_come_back() -> None:
    assert closure.loads(closure.dumps(lambda n: n + 1, "it"))(1) == 2
    assert closure.loads(closure.dumps(capturing(5), "it"))(1) == (5, 1)


def test_a_captured_variable_is_named() -> None:
    text = message(capturing(LOCK))
    assert text.startswith("the function given to map cannot be sent to executors: ")
    assert "closure variable 'part' of function 'parse' (" in text
    assert "test_closure.py:" in text
    assert ": _thread.lock: " in text


def test_the_path_goes_on_into_objects() -> None:
    text = message(capturing({"a": [0, Holder(LOCK)]}))
    steps = ["closure variable 'part'", "['a']", "[1]", "attribute 'part' of "]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_a_global_variable_is_named() -> None:
    source = "def use(value):\n    return lock, value\n"
    namespace: dict[str, Any] = {"lock": LOCK, "__name__": "__main__"}
    exec(source, namespace)
    assert "global variable 'lock' of function 'use'" in message(namespace["use"])


def test_defaults_methods_and_partials() -> None:
    def default(value: Any = LOCK) -> Any:
        return value

    assert "default value 0 of function 'default'" in message(default)
    assert "the object of its method 'method'" in message(Holder(LOCK).method)
    assert "argument 0 of a partial" in message(functools.partial(print, LOCK))
    assert "argument 'end' of a partial" in message(functools.partial(print, end=LOCK))


def test_an_object_that_refuses_says_why_and_where() -> None:
    text = message(capturing(Refusing()))
    assert "closure variable 'part' of function 'parse'" in text
    assert text.endswith("an RDD cannot be used inside a function: collect it first")


def test_a_generator_gets_advice() -> None:
    assert "Turn it into a list" in message(capturing(n for n in range(3)))


def test_a_missing_module_is_a_clear_error() -> None:
    with pytest.raises(ClosureError, match=r"not installed where the task runs.*--package no_such"):
        closure.loads(b"\x80\x05cno_such_module\nname\n.")
    with pytest.raises(ClosureError, match="could not be rebuilt"):
        closure.loads(b"\x80\x05")


def test_the_digest_names_the_content() -> None:
    assert digest_of(b"a") == digest_of(memoryview(b"a")) != digest_of(b"b")
    assert len(digest_of(b"a")) == 32
