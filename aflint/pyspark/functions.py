"""User-defined functions: pickled here, known to the planner by a name."""

from __future__ import annotations

import hashlib
from typing import Any

from aflint.codec import closure
from aflint.pyspark import names
from aflint.pyspark.errors import translated
from aflint.pyspark.planner import planner_of
from aflint.pyspark.tables import send_to_jvm


def wrap_function(context: Any, function: Any, returnType: Any = None) -> Any:
    """Return a Java PythonFunction that stands for a function.

    As in Spark, it is pickled now, when it is first used: what its variables are later is not seen.
    Raises PicklingError where it cannot be.
    """
    jobs = context._engine_running().jobs
    jobs.before_pickling()  # modules of the program travel with it
    command = function if returnType is None else (function, returnType)
    with translated():
        data = closure.dumps(command, "a user-defined function")
    name = hashlib.sha256(data).hexdigest()
    context._functions[name] = data
    version = context.pythonVer
    java = planner_of(context).jvm.SimplePythonFunction
    return java(bytearray(name.encode()), {}, [], context.pythonExec, version, [], None)


def parse_ddl(context: Any, text: str) -> Any:
    """Return a type or schema written as DDL, as Spark's own parser reads it."""
    from pyspark.sql.types import _parse_datatype_json_string

    return _parse_datatype_json_string(planner_of(context).jvm.PythonSQLUtils.ddlToJson(text))


def to_ddl(context: Any, schema: Any) -> str:
    """Return a schema as DDL."""
    text: str = planner_of(context).jvm.PythonSQLUtils.jsonToDDL(schema.json())
    return text


def install_functions() -> None:
    """Have PySpark's user-defined functions known to aflint's planner."""
    from pyspark.sql import udf

    udf._wrap_function = wrap_function
    names.SparkContext._parse_ddl = parse_ddl
    names.SparkContext._to_ddl = to_ddl
    names.SparkContext._serialize_to_jvm = send_to_jvm(names.SparkContext._serialize_to_jvm)
