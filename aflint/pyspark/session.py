"""SparkSession: as far as it needs no SQL by itself, else PySpark's own over Spark's planner.

`.sparkContext`, and DataFrames that are only read as rows, need no JVM and start none.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from pyspark.errors import IllegalArgumentException, PySparkTypeError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.conf import RuntimeConfig
from pyspark.sql.udf import UserDefinedFunction
from pyspark.sql.udtf import UserDefinedTableFunction

from aflint.pyspark import names, planner
from aflint.pyspark.errors import AflintSparkError, unset_setting
from aflint.pyspark.frame import RowsFrame
from aflint.pyspark.reading import RowsReader
from aflint.pyspark.refusals import NoJvm, refuse, refused_here, unsupported_sql
from aflint.sql.kept import kept_rows

_PLANNED = ("sql", "table", "catalog", "udf", "udtf", "tvf")
"""Members of PySpark's own that ask the planner."""

LATER = {
    "readStream": "pyspark.sql.streaming",
    "streams": "pyspark.sql.streaming",
    "dataSource": "",
    "profile": "",
    "addArtifacts": "",
    "addArtifact": "",
    "client": "",
}
"""What is refused even where SQL is installed, with the module that has what it is for."""


_DEFAULTS = {
    "spark.sql.stackTracesInDataFrameContext": "1",
    "spark.sql.execution.pythonUDF.arrow.enabled": str(names.RELEASE >= (4, 2)).lower(),
    "spark.sql.execution.pythonUDTF.arrow.enabled": "false",
}
"""Of Spark SQL's settings, those that PySpark's own code asks for."""


class RuntimeSettings:
    """spark.conf: settings of a session, beside those of its context."""

    def __init__(self, context: Any, options: Mapping[str, Any]) -> None:
        self._context = context
        self._values = {key: str(value) for key, value in options.items()}
        self._planned: Any = None

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Be a RuntimeConfig to whoever asks."""
        own: type = RuntimeConfig
        return own

    def __repr__(self) -> str:
        return f"<{RuntimeConfig.__module__}.RuntimeConfig object at {id(self):#x}>"

    def adopt(self, planned: Any) -> None:
        """Keep settings of SQL in the planner's session from now on, where SET changes them."""
        self._planned = planned
        for key, value in self._values.items():
            if _is_planners(key) and self._can_be_set(key):
                planned.set(key, value)

    def get(self, key: str, *default: Any) -> Any:
        """Return a setting.

        Raises PySparkTypeError where its name or default is no text, and PySparkRuntimeError, as
        Spark's error for it, where it is not set and has no default.
        """
        _check_text(key, "key")
        for given in default:
            if given is not None:
                _check_text(given, "default")
        if self._planned is not None and key.startswith("spark.sql."):
            return self._planned.get(key, *default)
        found = self._values.get(key, self._context.getConf().get(key, _DEFAULTS.get(key)))
        if self._planned is not None and _is_planners(key):  # by SET, too
            return self._planned.get(key, *(default if found is None else (found,)))
        if found is not None:
            return found
        if default:
            return default[0]
        if key.startswith("spark.sql.") and planner.available():  # Spark's own default, or error
            return planner.planner_of(self._context).session.conf().get(key)
        raise unset_setting(key)

    def set(self, key: str, value: Any) -> None:
        """Set a setting.

        Raises IllegalArgumentException for None, PySparkTypeError for what is no text, number or
        truth value.
        """
        if value is None:
            raise IllegalArgumentException(f"The value of {key} cannot be null.")
        if not isinstance(value, str | int | float):
            raise _unexpected("value", "str, int or bool", value)
        text = _written(value)
        if self._planned is not None and not key.startswith("spark.aflint."):
            self._planned.set(key, text)  # which raises for what cannot be set any more
        self._values[key] = text

    def update(self, options: Mapping[str, Any]) -> None:
        """Set those of some settings that can be set now, as `getOrCreate` does where a session
        runs already: programs that give an executor's memory do so each time.
        """
        for key, value in options.items():
            if not _is_planners(key):
                self._values[key] = _written(value)
            elif self._can_be_set(key):
                self.set(key, value)

    def _can_be_set(self, key: str) -> bool:
        fixed = key.startswith("spark.sql.") and self._planned is not None
        return not fixed or bool(self._planned.isModifiable(key))

    def unset(self, key: str) -> None:
        """Forget a setting."""
        self._values.pop(key, None)
        if self._planned is not None:
            self._planned.unset(key)

    def isModifiable(self, key: str) -> bool:
        """Say whether setting it now has an effect."""
        _check_text(key, "key")
        if self._planned is not None:
            modifiable: bool = self._planned.isModifiable(key)
            return modifiable
        return key.startswith("spark.sql.")

    @property
    def getAll(self) -> dict[str, str]:
        """Return all settings."""
        return {**dict(self._context.getConf().getAll()), **self._values}


def _is_planners(key: str) -> bool:
    """Say whether a setting is of the planner's session: one of SQL, or one of a program's own."""
    return key.startswith("spark.sql.") or not key.startswith("spark.")


def _written(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower()


def _check_text(value: Any, name: str) -> None:
    if not isinstance(value, str):
        raise _unexpected(name, "str", value)


def _unexpected(name: str, expected: str, value: Any) -> PySparkTypeError:
    parts = {"arg_name": name, "expected_type": expected, "arg_type": type(value).__name__}
    return PySparkTypeError(None, "NOT_EXPECTED_TYPE", parts)


class _SqlSettings:
    """What PySpark's code for making rows asks of the SQL settings."""

    _DEFAULTS: Mapping[str, str] = {"spark.sql.timestampType": "TIMESTAMP_LTZ"}
    _METHODS: Mapping[str, str] = {  # how releases before 4.3 ask
        "inferDictAsStruct": "spark.sql.pyspark.inferNestedDictAsStruct.enabled",
        "legacyInferArrayTypeFromFirstElement": (
            "spark.sql.pyspark.legacy.inferArrayTypeFromFirstElement.enabled"
        ),
        "legacyInferMapStructTypeFromFirstItem": (
            "spark.sql.pyspark.legacy.inferMapTypeFromFirstPair.enabled"
        ),
    }

    def __init__(self, settings: RuntimeSettings) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self._get(self._METHODS.get(name, "")) == "true"

    def getConfs(self, keys: list[str]) -> list[str]:
        return list(map(self._get, keys))

    def _get(self, key: str) -> str:
        value: str = self._settings.get(key, self._DEFAULTS.get(key, "false"))
        return value.upper() if key in self._DEFAULTS else value.lower()


class Session:
    """Members of SparkSession."""

    _sc: Any

    def __init__(
        self, sparkContext: Any, jsparkSession: Any = None, options: Mapping[str, Any] | None = None
    ) -> None:
        self._sc = sparkContext
        self._planned = jsparkSession
        self._settings = RuntimeSettings(sparkContext, options or {})
        names.RDD.toDF = _to_frame
        known = SparkSession._instantiatedSession
        if known is None or known._sc._jsc is None:
            SparkSession._instantiatedSession = self
            SparkSession._activeSession = self

    @property
    def _jvm(self) -> Any:
        return planner.planner_of(self._sc).jvm if planner.available() else self._sc._jvm

    @property
    def _jsc(self) -> Any:
        return planner.planner_of(self._sc).jsc if planner.available() else self._sc._jsc

    @property
    def _jsparkSession(self) -> Any:
        """The planner's session of this one: the first has the planner's own."""
        if not planner.available():
            return NoJvm("spark._jsparkSession")
        if self._planned is None:
            first: Any = planner.planner_of(self._sc).session
            alone = SparkSession._instantiatedSession in (None, self)
            self._planned = first if alone else first.newSession()
            self._settings.adopt(self._planned.conf())
        return self._planned

    @property
    def _jconf(self) -> Any:
        if self._planned is not None:
            return self._planned.sessionState().conf()
        return _SqlSettings(self._settings)

    @property
    def sparkContext(self) -> Any:
        return self._sc

    @property
    def version(self) -> str:
        return names.VERSION

    @property
    def conf(self) -> Any:
        return self._settings

    @property
    def read(self) -> Any:
        return RowsReader(self)

    def newSession(self) -> Any:
        return SparkSession(self._sc)

    def range(
        self, start: int, end: int | None = None, step: int = 1, numPartitions: int | None = None
    ) -> Any:
        from pyspark.sql.types import LongType, StructType

        first, last = (0, int(start)) if end is None else (int(start), int(end))
        numbers = self._sc.range(first, last, int(step), numPartitions)
        schema = StructType().add("id", LongType(), False)

        def planned() -> Any:
            parts = int(numPartitions or self._sc.defaultParallelism)
            return self._jsparkSession.range(first, last, int(step), parts)

        return RowsFrame(self, numbers.map(_single), schema, planned)

    def createDataFrame(
        self,
        data: Any,
        schema: Any = None,
        samplingRatio: float | None = None,
        verifySchema: bool = True,
    ) -> Any:
        from pyspark.sql.types import DataType

        if isinstance(data, DataFrame):
            parts = {"arg_name": "data", "arg_type": "DataFrame"}
            raise PySparkTypeError(None, "INVALID_TYPE", parts)
        if isinstance(schema, str):
            schema = parse_schema(schema)
        elif isinstance(schema, list | tuple):
            schema = list(schema)  # PySpark's code adds the names of columns that have none
        elif schema is not None and not isinstance(schema, DataType):
            raise _unexpected("schema", "list, None or StructType", schema)
        if planner.available() and _is_table(data):
            from aflint.pyspark.tables import frame_of_table

            create = _ORIGINAL["createDataFrame"]
            return frame_of_table(self, create, data, schema, samplingRatio, verifySchema)
        if hasattr(data, "to_dict") and hasattr(data, "columns"):  # pandas
            schema = [str(column) for column in data.columns] if schema is None else schema
            data = [tuple(row) for row in data.itertuples(index=False)]
        return self._create_rows(data, schema, samplingRatio, verifySchema)

    def _create_rows(self: Any, data: Any, schema: Any, ratio: Any, verify: bool) -> RowsFrame:
        prepare, schema = _preparing(schema, verify)
        if isinstance(data, names.RDD):
            rows, struct = self._createFromRDD(data.map(prepare), schema, ratio)
            return RowsFrame(self, rows.mapPartitions(partial(kept_rows, struct)), struct)
        struct, local = _local_rows(self, list(map(prepare, data)), schema)
        return RowsFrame(self, self._sc.parallelize(list(local)), struct)

    def _create_dataframe(
        self: Any, data: Any, schema: Any, samplingRatio: Any, verifySchema: bool
    ) -> RowsFrame:
        """Make a DataFrame of what PySpark's own code made of a table where Arrow is not used."""
        made: RowsFrame = self._create_rows(data, schema, samplingRatio, verifySchema)
        return made

    def stop(self: Any) -> None:
        self._sc.stop()
        SparkSession._instantiatedSession = None
        SparkSession._activeSession = None

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @classmethod
    def getActiveSession(cls) -> Any:
        session = SparkSession._activeSession
        return session if session is not None and session._sc._jsc is not None else None

    @classmethod
    def active(cls) -> Any:
        session = cls.getActiveSession()
        if session is None:
            raise AflintSparkError("No active or default Spark session found")
        return session

    def addTag(self, tag: str) -> None:
        self._sc.addJobTag(tag)

    def removeTag(self, tag: str) -> None:
        self._sc.removeJobTag(tag)

    def getTags(self) -> set[str]:
        tags: set[str] = self._sc.getJobTags()
        return tags

    def clearTags(self) -> None:
        self._sc.clearJobTags()

    def interruptAll(self) -> list[str]:
        self._sc.cancelAllJobs()
        return []

    def interruptTag(self, tag: str) -> list[str]:
        self._sc.cancelJobsWithTag(tag)
        return []

    def _repr_html_(self) -> str:
        return f"<p><b>SparkSession</b></p>{self._sc._repr_html_()}"


class Builder:
    """Members of SparkSession.Builder."""

    _options: dict[str, Any]

    def getOrCreate(self) -> Any:
        session = SparkSession._instantiatedSession
        if session is not None and session._sc._jsc is not None:
            session._settings.update(self._options)
            return session
        return self.create()

    def create(self) -> Any:
        settings = names.SparkConf()
        for key, value in self._options.items():
            settings.set(key, str(value))
        return SparkSession(names.SparkContext.getOrCreate(settings), options=dict(self._options))


def _local_rows(session: Any, data: list[Any], schema: Any) -> tuple[Any, Iterator[Any]]:
    """Return the schema of the rows that the driver has, and the rows as Spark keeps them."""
    from pyspark.sql.types import _create_converter

    if schema is None or isinstance(schema, list):
        struct = session._inferSchemaFromList(data, names=schema)
        convert = _create_converter(struct)  # by the names that records have
        for place, name in enumerate(schema or ()):
            struct.fields[place].name = struct.names[place] = name
    else:
        struct = schema
        convert = _create_converter(struct)
    internal = map(struct.toInternal, list(map(convert, data)))
    return struct, kept_rows(struct, internal)


def _is_table(data: Any) -> bool:
    """Say whether data are columns: of pandas, of pyarrow or of NumPy."""
    return type(data).__module__.partition(".")[0] in ("pandas", "pyarrow", "numpy")


def _single(value: Any) -> tuple[Any]:
    return (value,)


def _preparing(schema: Any, verify: bool) -> tuple[Any, Any]:
    """Return what makes each record a row that fits the schema, and the schema of the rows."""
    from pyspark.sql.types import DataType, StructType, _make_type_verifier

    if isinstance(schema, StructType):
        return _verified(_make_type_verifier(schema) if verify else None), schema
    if isinstance(schema, DataType):
        check = _make_type_verifier(schema, name="field value") if verify else None
        verified = _verified(check)
        return (lambda record: (verified(record),)), StructType().add("value", schema)
    return (lambda record: record), schema


def _verified(check: Any) -> Any:
    def verified(record: Any) -> Any:
        if check is not None:
            check(record)
        return record

    return verified


def parse_schema(text: str) -> Any:
    """Return a schema written as `name type, name type` or as one type.

    Types with parts (array, map, struct) are for Spark's own parser; without it they raise
    PySparkRuntimeError.
    """
    from pyspark.sql import types

    simple = {
        "string": types.StringType,
        "int": types.IntegerType,
        "integer": types.IntegerType,
        "bigint": types.LongType,
        "long": types.LongType,
        "smallint": types.ShortType,
        "short": types.ShortType,
        "tinyint": types.ByteType,
        "byte": types.ByteType,
        "float": types.FloatType,
        "double": types.DoubleType,
        "boolean": types.BooleanType,
        "binary": types.BinaryType,
        "date": types.DateType,
        "timestamp": types.TimestampType,
    }
    if text.strip().lower() in simple:
        return simple[text.strip().lower()]()
    struct = types.StructType()
    for part in text.split(","):
        words = part.replace(":", " ").split()
        if len(words) != 2 or words[1].lower() not in simple:
            if planner.available():
                return types._parse_datatype_string(text)
            raise unsupported_sql(f"the schema {text!r}", "Write it as a StructType.")
        struct.add(words[0].strip("`"), simple[words[1].lower()]())
    return struct


_ORIGINAL: dict[str, Any] = {}
"""What PySpark's own members were."""


def _to_frame(rdd: Any, schema: Any = None, sampleRatio: float | None = None) -> Any:
    return SparkSession.active().createDataFrame(rdd, schema, sampleRatio)


def _asking_planner(name: str, original: Any) -> property:
    """Return PySpark's own member where SQL is installed, and else what refuses it."""

    def member(self: Any) -> Any:
        if not planner.available():
            raise unsupported_sql(f"SparkSession.{name}")
        return original.__get__(self, type(self))

    return property(member)


def _refusing(name: str, module: str) -> property:
    def member(self: Any) -> Any:
        if module:
            raise refused_here(f"SparkSession.{name}", module)
        raise unsupported_sql(f"SparkSession.{name}", "Leave it out.")

    return property(member)


def _with_sql(make: Any) -> Any:
    """Return what makes a user-defined function where SQL is installed, and else refuses to."""

    @functools.wraps(make)
    def __init__(self: Any, *arguments: Any, **named: Any) -> None:
        if not planner.available() or planner.missing_pyspark():
            raise refused_here("a user-defined function", "pyspark.sql")
        make(self, *arguments, **named)

    return __init__


def install_session() -> None:
    """Put SparkSession over aflint's contexts."""
    planned = planner.available() and not planner.missing_pyspark()
    if planned:
        from aflint.pyspark.commands import running_commands
        from aflint.pyspark.keeping import install_keeping

        SparkSession.sql = running_commands(SparkSession.sql)
        install_keeping()
    for name in _PLANNED:
        if name in vars(SparkSession):
            setattr(SparkSession, name, _asking_planner(name, vars(SparkSession)[name]))
    _ORIGINAL["createDataFrame"] = SparkSession.createDataFrame
    names.replace_members(SparkSession, Session)
    names.replace_members(SparkSession.Builder, Builder)
    UserDefinedTableFunction.__init__ = refuse("a user-defined function", "pyspark.sql")
    UserDefinedFunction.__init__ = _with_sql(UserDefinedFunction.__init__)
    if planned:
        from aflint.pyspark.dataframes import install_dataframes
        from aflint.pyspark.functions import install_functions
        from aflint.pyspark.lines import install_lines

        install_dataframes()
        install_functions()
        install_lines()
    for name, module in LATER.items():
        if hasattr(SparkSession, name):
            setattr(SparkSession, name, _refusing(name, module))
