"""aflint's errors as the ones that PySpark programs expect."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkRuntimeError, PythonException

from aflint.errors import (
    AflintError,
    ClosureError,
    ConfigError,
    SerializationError,
    SubfolderError,
    TaskError,
)

_STOP_ITERATION = "Caught StopIteration thrown from user's code; failing the task"
_RECURSIVE = "mapreduce.input.fileinputformat.input.dir.recursive"


class AflintSparkError(PySparkRuntimeError, Py4JJavaError):  # type: ignore[misc]
    """An error of the engine: caught as PySparkRuntimeError, as Py4JJavaError, and as what it is in
    aflint. `engine_error` is the engine's own error; the message has all that it says.
    """

    def __init__(self, message: str) -> None:
        PySparkRuntimeError.__init__(self, message)
        self.message = message
        self.errmsg = message
        self.java_exception = _JavaException(message)
        self.exception_cmd = ""
        self.engine_error: AflintError | None = None

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (AflintSparkError, (self.message,))


class RefusedError(AflintSparkError):
    """What Spark's JVM would have raised: shown by the name that PySpark programs know."""


RefusedError.__name__ = RefusedError.__qualname__ = "Py4JJavaError"
RefusedError.__module__ = "py4j.protocol"


class _JavaException:
    """What programs ask of the `java_exception` of a Py4JJavaError."""

    def __init__(self, message: str) -> None:
        self._message = message

    def getMessage(self) -> str:
        """Return the message."""
        return self._message

    def toString(self) -> str:
        """Return the message."""
        return self._message

    def getCause(self) -> None:
        """Return nothing."""

    __str__ = toString


@contextmanager
def translated() -> Iterator[None]:
    """Raise errors of aflint as PySpark's."""
    try:
        yield
    except (ConfigError, AflintSparkError):
        raise
    except AflintError as error:
        raise as_spark(error) from None  # which would show the engine's inside first


def as_spark(error: AflintError) -> Exception:
    """Return the error that a PySpark program expects in place of one of aflint's."""
    kind: Any = type(error)
    of_task = "where the task runs" in str(error)  # what arrived there and could not be used
    if kind in (ClosureError, SerializationError) and not of_task:
        unpicklable: Exception = _pickling(kind)(f"Could not serialize object: {error}")
        return unpicklable
    message = str(error)
    if "a function raised StopIteration" in message:
        message = f"{_STOP_ITERATION}\n\n{message}"
    if isinstance(error, SubfolderError):
        message = (
            f"Path: {error.path} is a directory, which is not supported by the record reader when "
            f"`{_RECURSIVE}` is false: set spark.hadoop.{_RECURSIVE} to true to read its files, too"
        )
    made: AflintSparkError = _both(kind)(message)
    made.engine_error = error
    made.__dict__.update({k: v for k, v in vars(error).items() if not k.startswith("__")})
    return made


@cache
def _both(kind: Any) -> Any:
    # From 4.3 on, where there is a SparkSession, Spark's error of a task is a PythonException.
    spark = (PythonException,) if issubclass(kind, TaskError) else ()
    return type("Py4JJavaError", (RefusedError, kind, *spark), {"__module__": "py4j.protocol"})


@cache
def _pickling(kind: Any) -> Any:
    return type(kind.__name__, (pickle.PicklingError, kind), {"__module__": kind.__module__})


def unsupported(what: str, instead: str = "") -> PySparkRuntimeError:
    """Return the error for what needs Spark's JVM."""
    return AflintSparkError(
        f"{what} needs Hadoop or Spark's own engine, and this program runs on aflint, without a "
        f"JVM.{f' {instead}' if instead else ''} See docs/pyspark.md"
    )
