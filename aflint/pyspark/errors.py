"""aflint's errors as the ones that PySpark programs expect."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark import errors as spark_errors
from pyspark.errors import PySparkRuntimeError, PythonException

from aflint.errors import (
    AflintError,
    ClosureError,
    ConfigError,
    OutputExistsError,
    PathNotFoundError,
    SerializationError,
    SubfolderError,
    TaskError,
)
from aflint.sql.errors import QueryError
from aflint.storage.patterns import is_glob

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
    if kind in (ClosureError, SerializationError) and vars(error).get("partition") is None:
        unpicklable: Exception = _pickling(kind)(f"Could not serialize object: {error}")
        return unpicklable
    made: AflintSparkError = _both(kind, _spark_class(error))(_said(error))
    made.engine_error = error
    if isinstance(error, QueryError):
        made._errorClass = error.error_class
    made.__dict__.update({k: v for k, v in vars(error).items() if not k.startswith("__")})
    return made


def _said(error: AflintError) -> str:
    """Return what an error says, with the words that programs look for in Spark's."""
    match error:
        case TaskError(raised="StopIteration"):
            return f"{_STOP_ITERATION}: generator raised StopIteration\n\n{error}"
        case PathNotFoundError(path=str(path)) if path:
            hadoop, path = "org.apache.hadoop.mapred.InvalidInputException", _absolute(path)
            if is_glob(path):
                return f"{hadoop}: Input Pattern {path} matches 0 files ({error})"
            return f"{hadoop}: Input path does not exist: {path} ({error})"
        case SubfolderError(path=path):
            return (
                f"Path: {path} is a directory, which is not supported by the record reader when "
                f"`{_RECURSIVE}` is false: set spark.hadoop.{_RECURSIVE} to true to read its "
                "files, too"
            )
        case OutputExistsError(path=str(path)) if path:
            hadoop = "org.apache.hadoop.mapred.FileAlreadyExistsException"
            return f"{hadoop}: Output directory {_absolute(path)} already exists ({error})"
    return str(error)


def _absolute(path: str) -> str:
    """Return a path as Spark's errors name it: from the root, with its scheme."""
    return path if "://" in path else f"file:{os.path.abspath(path)}"


def analysis_exception(message: str) -> spark_errors.AnalysisException:
    """Return Spark's error of a query or path, whose class the message names first, in brackets."""
    return spark_errors.AnalysisException(message, message[1 : message.index("]")])


def unset_setting(key: str) -> Exception:
    """Return Spark's error for a setting that is not set."""
    kind = _both(AflintError, getattr(spark_errors, "SparkNoSuchElementException", None))
    error: AflintSparkError = kind(
        f'[SQL_CONF_NOT_FOUND] The SQL config "{key}" cannot be found. Please verify that the '
        "config exists. SQLSTATE: 42K0I"
    )
    error._errorClass = "SQL_CONF_NOT_FOUND"
    return error


_QUERIES: Mapping[str, Any] = {
    "CAST_INVALID_INPUT": spark_errors.NumberFormatException,
    "ARITHMETIC_OVERFLOW": spark_errors.ArithmeticException,
    "CAST_OVERFLOW": spark_errors.ArithmeticException,
    "DIVIDE_BY_ZERO": spark_errors.ArithmeticException,
    "REMAINDER_BY_ZERO": spark_errors.ArithmeticException,
    "NUMERIC_VALUE_OUT_OF_RANGE": spark_errors.ArithmeticException,
    "INVALID_ARRAY_INDEX": spark_errors.ArrayIndexOutOfBoundsException,
    "CANNOT_PARSE_TIMESTAMP": spark_errors.DateTimeException,
    "DATETIME_FIELD_OUT_OF_BOUNDS": spark_errors.DateTimeException,
}
"""PySpark's exceptions by the class of error in Spark, where they are no SparkRuntimeException."""


def _spark_class(error: AflintError) -> Any:
    """Return the exception of PySpark's that a program may expect besides, or None."""
    if isinstance(error, TaskError):
        # From 4.3 on, where there is a SparkSession, Spark's error of a task is a PythonException.
        return PythonException
    if isinstance(error, QueryError):
        return _QUERIES.get(error.error_class, spark_errors.SparkRuntimeException)
    return None


@cache
def _both(kind: Any, spark: Any = None) -> Any:
    bases = (RefusedError, kind, *([spark] if spark is not None else []))
    return type("Py4JJavaError", bases, {"__module__": "py4j.protocol"})


@cache
def _pickling(kind: Any) -> Any:
    return type(kind.__name__, (pickle.PicklingError, kind), {"__module__": kind.__module__})


def staying(getnewargs: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what PySpark's `getnewargs` does to keep an object from being pickled: its message is
    a ClosureError, which comes through as it is where another one comes with advice.
    """

    def __getnewargs__(self: Any) -> Any:
        try:
            return getnewargs(self)
        except PySparkRuntimeError as error:
            raise ClosureError(str(error)) from None

    return __getnewargs__
