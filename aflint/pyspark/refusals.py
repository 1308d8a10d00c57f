"""What needs Spark's JVM is refused by one error, which says what, why, and what to do instead."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import py4j
import pyspark

from aflint.pyspark.errors import AflintSparkError
from aflint.sql import catalyst

_PYSPARK = os.path.dirname(os.path.abspath(pyspark.__file__)) + os.sep
_OTHERS = (
    os.path.dirname(os.path.abspath(py4j.__file__)) + os.sep,
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
)
_WITHOUT_JVM = ("pyspark.conf", "pyspark.resource")
"""Modules that do without a JVM where there is none."""


class UnsupportedError(AflintSparkError):
    """Something of PySpark's that aflint does not run: `what` it is, and what to do `instead`."""

    def __init__(self, what: str, why: str, instead: str = "") -> None:
        self.what, self.why, self.instead = what, why, instead
        super().__init__(
            f"{what} needs {why}, which aflint runs programs without."
            f"{f' {instead}' if instead else ''} See docs/pyspark.md"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (UnsupportedError, (self.what, self.why, self.instead))


class _Area(NamedTuple):
    """A part of PySpark: the modules it lies in, its name, and what to do without it."""

    modules: tuple[str, ...]
    name: str
    instead: str


_SQL_ENGINE = "Spark SQL's own engine"
_WITHOUT_SQL = "pip install 'aflint[sql]', or use df.rdd and the RDD API."
AREAS = (
    _Area(
        ("pyspark.streaming", "pyspark.sql.streaming"),
        "Spark Streaming",
        "Run a job for each batch of new files, in a loop of the program.",
    ),
    _Area(
        ("pyspark.ml", "pyspark.mllib"),
        "MLlib",
        "Use a library of Python's such as scikit-learn: on what collect() returns, or within "
        "mapPartitions.",
    ),
    _Area(("pyspark.sql", "pyspark.pandas"), _SQL_ENGINE, _WITHOUT_SQL),
    _Area(("pyspark",), "Spark's JVM", ""),
)
_INSTEAD = {
    "hadoopConfiguration": "Credentials and endpoints of storage come from AWS's own variables and "
    "files, and from aflint's settings.",
    "log4j": "Use sc.setLogLevel, or Python's logging.",
    "SQLContext": "Use SparkSession.builder.getOrCreate(), for the little that aflint has of it.",
    "HiveContext": "Use SparkSession.builder.getOrCreate(), for the little that aflint has of it.",
}
"""By a word in the name of what is refused."""


def unsupported(what: str, instead: str = "") -> UnsupportedError:
    """Return the error for what needs Java classes of Hadoop's or Spark's."""
    return UnsupportedError(what, "Hadoop or Spark's own engine", instead)


def unsupported_sql(what: str, instead: str = "") -> UnsupportedError:
    """Return the error for what needs Spark's SQL engine."""
    return UnsupportedError(what, _SQL_ENGINE, instead or _without_sql())


def _without_sql() -> str:
    return _WITHOUT_SQL if catalyst.missing() else "Use df.rdd and the RDD API."


class NoJvm:
    """Stands where PySpark's code, or a program, looks for the JVM, for its packages and objects.
    Using one is refused by the name of what the program called.
    """

    def __init__(self, name: str) -> None:
        self.__name = name

    def __getattr__(self, name: str) -> NoJvm:
        if name.startswith("__"):  # copy, pickle and inspect may look for those anywhere
            raise AttributeError(name)
        if name.startswith("_"):  # py4j reaches through to the connection
            raise refused_here(self.__name)
        return NoJvm(f"{self.__name}.{name}")

    def __call__(self, *arguments: Any) -> NoReturn:
        raise refused_here(f"{self.__name}()")

    def __iter__(self) -> NoReturn:
        raise refused_here(self.__name)

    def __getitem__(self, place: Any) -> NoReturn:
        raise refused_here(self.__name)

    def __repr__(self) -> str:
        return f"<{self.__name} of a program without a JVM>"


class JvmOf:
    """A class's attribute for the JVM, or a part of it: there while its context runs.

    PySpark's own modules for SQL get the one that plans, which starts then, and so does a program
    that reaches for `sc._jvm`; modules that translate its errors see it once it runs.
    """

    def __init__(
        self, name: str, plans: Callable[[], bool], planner_of: Callable[[Any], Any]
    ) -> None:
        self._plans = plans
        self._planner_of = planner_of
        self._part = name.rpartition("_")[2]
        self._jvm = NoJvm(name)

    def __get__(self, context: Any, cls: Any) -> Any:
        if context is None:
            context = cls._active_spark_context
            asking = sys._getframe(1).f_globals.get("__name__", "")
            if asking.startswith(_WITHOUT_JVM):
                return None
        else:
            asking = sys._getframe(1).f_globals.get("__name__", "")
        if self._is_for_sql(asking, context):
            return getattr(self._planner_of(context), self._part)
        return self._jvm if getattr(context, "_engine", None) is not None else None

    def _is_for_sql(self, asking: str, context: Any) -> bool:
        """Say whether a module of PySpark's is to see the JVM that plans queries."""
        if getattr(context, "_engine", None) is None:
            return False
        if f"{asking}.".startswith(_TRANSLATING):
            return context._planner is not None
        asks = asking.startswith(_SQL) and not f"{asking}.".startswith(_NOT_SQL)
        # Its classes, as those of log4j; what is set on the JVM's context would have no effect.
        asks |= self._part == "jvm" and not asking.startswith(_ITS_OWN)
        return asks and self._plans()

    def __set__(self, context: Any, value: Any) -> None:
        """Keep nothing: it goes by the context's engine."""


_SQL = ("pyspark.sql.", "pyspark.pandas.", "pyspark.testing.")
_ITS_OWN = ("pyspark.", "py4j.", "aflint.")
_NOT_SQL = ("pyspark.sql.streaming.", "pyspark.sql.connect.")
_TRANSLATING = ("pyspark.errors.", "pyspark.traceback_utils", "pyspark.util")


def refused_here(asked: str, module: str = "pyspark") -> UnsupportedError:
    """Return the error for what the program called: the outermost public name of PySpark's on the
    way here, or what was `asked` for, of a `module`, where the program did so itself.
    """
    what = asked
    frame = sys._getframe(1)
    while frame.f_back is not None:
        code, within = frame.f_code, str(frame.f_globals.get("__name__"))
        if code.co_filename.startswith(_PYSPARK):
            name = code.co_qualname
            if "<locals>" in name:  # a decorator's wrapper, which may ask before it calls
                called = frame.f_locals.get("func") or frame.f_locals.get("f")
                name = getattr(called, "__qualname__", name)
                within = getattr(called, "__module__", within)
            name = name.removesuffix(".__init__").removesuffix(".__new__")
            if not any(part.startswith(("_", "<")) for part in name.split(".")):
                module, what = within, name
        elif not code.co_filename.startswith(_OTHERS):
            break
        frame = frame.f_back
    area = next(a for a in AREAS if f"{module}.".startswith(tuple(f"{m}." for m in a.modules)))
    named = f"{what} {asked}"
    usual = area.instead if area.instead != _WITHOUT_SQL else _without_sql()
    instead = next((text for word, text in _INSTEAD.items() if word in named), usual)
    return UnsupportedError(what, area.name, instead)


def refuse(what: str, module: str) -> Any:
    """Return a function that refuses, for a method in a module of PySpark's."""

    def method(self: Any, *arguments: Any, **named: Any) -> NoReturn:
        raise refused_here(what, module)

    return method
