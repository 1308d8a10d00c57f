"""Threads that inherit local properties, as those of PySpark do."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from aflint.pyspark.names import active_context


def _properties() -> dict[str, str]:
    context = active_context()
    return dict(context._engine_running().tracker.properties) if context is not None else {}


def _with(properties: dict[str, str], function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inheriting(*args: Any, **kwargs: Any) -> Any:
        context = active_context()
        if context is not None:
            context._engine_running().tracker.properties.update(properties)
        return function(*args, **kwargs)

    return inheriting


class Inheriting:
    """Members of InheritableThread: properties are copied when the thread is started."""

    def __init__(self: Any, target: Any, *args: Any, session: Any = None, **kwargs: Any) -> None:
        self._inherited = dict[str, str]()
        self._session = session

        def run(*a: Any, **k: Any) -> Any:
            return _with(self._inherited, target)(*a, **k)

        threading.Thread.__init__(self, None, run, *args, **kwargs)

    def start(self: Any) -> None:
        # When it is started and not when it is made, as on Spark.
        self._inherited = _properties()
        threading.Thread.start(self)


def inheritable_thread_target(f: Any = None) -> Any:
    """Return a function that has the properties of now, wherever it is called.

    As PySpark's: used plainly, or with a session as `@inheritable_thread_target(session)`.
    """
    if callable(f):
        return _with(_properties(), f)
    return lambda function: _with(_properties(), function)
