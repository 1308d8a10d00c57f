"""Every public entry point of PySpark works, or is refused by one error that says so."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyspark
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkRuntimeError

from aflint.pyspark.refusals import UnsupportedError, refused_here, unsupported_sql


@pytest.fixture(autouse=True)
def _without_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where `aflint[sql]` is not installed."""
    for asking in ("aflint.pyspark.planner", "aflint.sql.catalyst"):
        monkeypatch.setattr(f"{asking}.missing", lambda: "duckdb")


@pytest.fixture(scope="module")
def spark(sc: Any) -> Any:
    from pyspark.sql import SparkSession

    return SparkSession.builder.getOrCreate()


def _submodules(package: str) -> Iterator[str]:
    """Yield a package and what is in it, but for what needs more than PySpark to be imported."""
    yield package
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        if module.name.rpartition(".")[2] in {"tests", "connect", "torch", "deepspeed"}:
            continue
        if module.ispkg:
            yield from _submodules(module.name)
        else:
            yield module.name


MODULES = [
    "pyspark",
    "pyspark.sql",
    "pyspark.sql.functions",
    "pyspark.sql.window",
    "pyspark.sql.streaming",
    "pyspark.streaming",
    *_submodules("pyspark.ml"),
    *_submodules("pyspark.mllib"),
]
MADE_BY_PYSPARK = {
    # made of Java objects, or by PySpark's own code
    *("RDD", "Broadcast", "SparkFiles", "Profiler", "BasicProfiler", "DStream", "GroupedData"),
    *("DataFrame", "DataFrameWriter", "DataFrameWriterV2", "DataStreamWriter", "MergeIntoWriter"),
    *("JavaMLReader", "JavaMLWriter", "GeneralJavaMLWriter", "TwsTester", "MLReadable", "Loader"),
    *("MLReader", "MLWriter", "MLWritable", "BisectingKMeansModel", "BarrierTaskContext.get"),
    *("TaskContext", "BarrierTaskContext"),
    "TorchDistributor",
    "TypeConverters.toString",  # of PySpark 3.5 asks for what NumPy 2 does not have
}
"""What is there to be subclassed, to be named in types, or to be got elsewhere."""


class _Arguments:
    """Arguments for a function, by the names of its parameters."""

    def __init__(self, sc: Any, spark: Any, path: str) -> None:
        from pyspark.mllib.linalg import Matrices, Vectors
        from pyspark.mllib.regression import LabeledPoint

        points = sc.parallelize([LabeledPoint(1.0, [1.0, 2.0]), LabeledPoint(0.0, [2.0, 1.0])])
        pairs = sc.parallelize([(1.0, 2.0), (2.0, 3.0)], 2)
        vector = Vectors.dense([1.0, 2.0])
        self._named: dict[str, Any] = {
            **dict.fromkeys(("sc", "sparkContext"), sc),
            **dict.fromkeys(("sparkSession", "session", "spark"), spark),
            **dict.fromkeys(("path", "dir", "name", "colName", "text"), path),
            **dict.fromkeys(("f", "func", "op", "seqOp", "combOp"), lambda *each: each[-1]),
            **dict.fromkeys(("vec", "vector", "v", "mean", "sigma", "weights", "mu"), vector),
            "data": points,
            "df": spark.range(2),
            "entries": sc.parallelize([(0, 0, 1.0)]),
            "rows": sc.parallelize([(0, [1.0])]),
            "blocks": sc.parallelize([((0, 0), Matrices.dense(1, 1, [1.0]))]),
            **dict.fromkeys(("other", "others"), pairs),
            "cols": "a",
            "setupFunc": lambda: None,
            "rdds": [pairs],
            "conf": None,
            "numBits": 256,
            "observed": vector,
        }
        self._pairs = pairs

    def of(self, function: Any) -> list[Any]:
        """Return arguments for the parameters that have to be given."""
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return []
        return [
            self._guess(each)
            for each in parameters
            if each.default is each.empty and each.kind is not each.VAR_KEYWORD
        ]

    def _guess(self, parameter: inspect.Parameter) -> Any:
        annotation = str(parameter.annotation)
        if parameter.name in self._named:
            return self._named[parameter.name]
        if "RDD" in annotation:
            return self._pairs
        kinds = {"Column": "a", "Callable": len, "Dict": {}, "List": [1], "str": "a", "float": 0.5}
        return next((value for kind, value in kinds.items() if kind in annotation), 2)


def _public(module: Any) -> list[str]:
    if not hasattr(module, "__all__") and module.__name__ == "pyspark.sql.functions":  # before 4.0
        own = [f for f in vars(module).values() if getattr(f, "__module__", "") == module.__name__]
        return [f.__name__ for f in own if inspect.isfunction(f) and f.__name__[0] != "_"]
    return list(getattr(module, "__all__", ()))


def _entry_points(module: Any) -> Iterator[tuple[str, Any]]:
    for name in _public(module):
        found = getattr(module, name, None)
        if not callable(found) or name in MADE_BY_PYSPARK:
            continue
        if not isinstance(found, type):
            yield name, found
            continue
        if not issubclass(found, BaseException) and not inspect.isabstract(found):
            yield name, found
        for member, value in vars(found).items():
            entry = f"{name}.{member}"
            made_by_class = isinstance(value, classmethod | staticmethod)
            if made_by_class and not member.startswith("_") and entry not in MADE_BY_PYSPARK:
                yield entry, getattr(found, member)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore")
def test_entry_points_work_or_are_refused(
    sc: Any, spark: Any, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        module = importlib.import_module(name)
    except ImportError as error:  # pandas, pyarrow, torch and others may not be there
        pytest.skip(str(error))
    arguments = _Arguments(sc, spark, str(tmp_path / "path"))
    wrong = {}
    for entry, function in _entry_points(module):
        try:
            function(*arguments.of(function))
        except (UnsupportedError, ImportError):
            continue
        except (TypeError, ValueError) as error:  # of what was given here
            if not str(error):
                wrong[entry] = repr(error)
        except Exception as error:
            wrong[entry] = repr(error)
    assert not wrong


def test_nearly_all_functions_of_sql_are_refused_by_name(sc: Any, spark: Any) -> None:
    from pyspark.sql import functions

    arguments = _Arguments(sc, spark, "path")
    names = [n for n in _public(functions) if inspect.isfunction(getattr(functions, n))]
    refused = 0
    for name in names:
        function = getattr(functions, name)
        try:
            function(*arguments.of(function))
        except UnsupportedError as error:
            refused += name in error.what and error.why.startswith("Spark SQL")
        except (TypeError, ValueError, ImportError):
            continue
    assert refused > 0.9 * len(names)


def _ml(module: str, name: str) -> Callable[[Any, Any], Any]:
    return lambda sc, spark: getattr(importlib.import_module(f"pyspark.{module}"), name)


REFUSED: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "StreamingContext": (
        "StreamingContext needs Spark Streaming.*new files",
        lambda sc, spark: _ml("streaming", "StreamingContext")(sc, spark)(sc, 1),
    ),
    "udf": (
        "udf needs Spark SQL",
        lambda sc, spark: _ml("sql.functions", "udf")(sc, spark)(lambda x: x),
    ),
    "udf with a type": (
        "user-defined function needs Spark SQL",
        lambda sc, spark: _ml("sql.functions", "udf")(sc, spark)(returnType="int")(len),
    ),
    "udtf": (
        "user-defined function needs Spark SQL",
        lambda sc, spark: _ml("sql.functions", "udtf")(sc, spark)(returnType="a int")(
            type("Table", (), {"eval": lambda self: None})
        ),
    ),
    "SQLContext": (
        "SQLContext needs Spark SQL.*SparkSession.builder",
        lambda sc, spark: _ml("sql", "SQLContext")(sc, spark)(sc),
    ),
    "HiveContext": (
        "HiveContext needs Spark SQL",
        lambda sc, spark: _ml("sql", "HiveContext")(sc, spark)(sc),
    ),
    "col": ("col needs Spark SQL", lambda sc, spark: _ml("sql.functions", "col")(sc, spark)("a")),
    "Window": (
        "Window.orderBy needs Spark SQL",
        lambda sc, spark: _ml("sql", "Window")(sc, spark).orderBy("a"),
    ),
    "KMeans": (
        "KMeans needs MLlib.*scikit-learn",
        lambda sc, spark: _ml("ml.clustering", "KMeans")(sc, spark)(k=2),
    ),
    "VectorAssembler": (
        "VectorAssembler needs MLlib",
        lambda sc, spark: _ml("ml.feature", "VectorAssembler")(sc, spark)(inputCols=["a"]),
    ),
    "old KMeans": (
        "KMeans.train needs MLlib",
        lambda sc, spark: _ml("mllib.clustering", "KMeans")(sc, spark).train(
            sc.parallelize([[1.0], [2.0]]), 2
        ),
    ),
    "colStats": (
        "Statistics.colStats needs MLlib",
        lambda sc, spark: _ml("mllib.stat", "Statistics")(sc, spark).colStats(
            sc.parallelize([[1.0]])
        ),
    ),
    "RandomRDDs": (
        "RandomRDDs.uniformRDD needs MLlib",
        lambda sc, spark: _ml("mllib.random", "RandomRDDs")(sc, spark).uniformRDD(sc, 5),
    ),
    "_jvm": (
        r"sc\._jvm\.java\.lang\.System\.currentTimeMillis\(\) needs Spark's JVM",
        lambda sc, spark: sc._jvm.java.lang.System.currentTimeMillis(),
    ),
    "log4j": (
        r"sc\.setLogLevel",
        lambda sc, spark: sc._jvm.org.apache.log4j.LogManager.getLogger("x"),
    ),
    "hadoopConfiguration": (
        r"sc\._jsc\.hadoopConfiguration\(\) needs.*aflint's settings",
        lambda sc, spark: sc._jsc.hadoopConfiguration().set("fs.s3a.access.key", "key"),
    ),
    "_jsc.sc": (r"sc\._jsc\.sc\(\) needs", lambda sc, spark: sc._jsc.sc().uiWebUrl()),
    "_gateway": (r"sc\._gateway\.jvm\.x\(\) needs", lambda sc, spark: sc._gateway.jvm.x()),
    "_jrdd": (
        r"rdd\._jrdd\.rdd\(\) needs",
        lambda sc, spark: sc.parallelize([1])._jrdd.rdd(),
    ),
    "spark._jvm": (r"sc\._jvm\.org\.X\(\) needs", lambda sc, spark: spark._jvm.org.X()),
    "spark._jsparkSession": (
        r"spark\._jsparkSession\.catalog\(\) needs",
        lambda sc, spark: spark._jsparkSession.catalog(),
    ),
    "spark.sql": (r"SparkSession\.sql needs Spark SQL", lambda sc, spark: spark.sql("select 1")),
    "spark.table": (r"SparkSession\.table needs", lambda sc, spark: spark.table("t")),
    "spark.udf": (r"SparkSession\.udf needs", lambda sc, spark: spark.udf.register("f", len)),
    "spark.catalog": (r"SparkSession\.catalog needs", lambda sc, spark: spark.catalog),
    "spark.readStream": (
        r"SparkSession\.readStream needs Spark Streaming",
        lambda sc, spark: spark.readStream,
    ),
    "spark.read.csv": (
        r"spark\.read\.csv needs Spark SQL.*spark\.read\.text",
        lambda sc, spark: spark.read.csv("x"),
    ),
    "load": ("reading json needs", lambda sc, spark: spark.read.format("json").load("x")),
    "select": (r"DataFrame\.select needs", lambda sc, spark: spark.range(3).select("id")),
    "column": ("columns of a DataFrame needs", lambda sc, spark: spark.range(3)["id"]),
    "sequenceFile": ("sequenceFile.*needs Hadoop", lambda sc, spark: sc.sequenceFile("x")),
    "saveAsSequenceFile": (
        "saveAsSequenceFile.*needs Hadoop",
        lambda sc, spark: sc.parallelize([(1, 1)]).saveAsSequenceFile("x"),
    ),
    "hdfs": ("file system hdfs.*needs Hadoop", lambda sc, spark: sc.textFile("hdfs://h/x")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_what_and_why(sc: Any, spark: Any, name: str) -> None:
    said, ask = REFUSED[name]
    with pytest.raises(UnsupportedError, match=said) as caught:
        ask(sc, spark)
    assert isinstance(caught.value, PySparkRuntimeError | Py4JJavaError)
    assert "docs/pyspark.md" in str(caught.value)
    assert "aflint runs programs without" in str(pickle.loads(pickle.dumps(caught.value)))


@pytest.mark.parametrize("name", ["DataFrame", "DataFrameReader", "SparkSession", "RDD"])
def test_members_are_there_or_are_refused(sc: Any, spark: Any, name: str) -> None:
    made = {
        "DataFrame": spark.range(3),
        "DataFrameReader": spark.read,
        "SparkSession": spark,
        "RDD": sc.parallelize([1]),
    }
    home = pyspark if name == "RDD" else importlib.import_module("pyspark.sql")
    wrong = set()
    for member in dir(getattr(home, name)):
        if not member.startswith("_"):
            try:
                getattr(made[name], member)
            except UnsupportedError as error:
                wrong |= {member} - {error.what.rpartition(".")[2]}
    assert not wrong


ON_RDDS = [name for name in dir(pyspark.RDD) if not name.startswith("_")]


@pytest.mark.parametrize("name", [n for n in ON_RDDS if callable(getattr(pyspark.RDD, n))])
@pytest.mark.filterwarnings("ignore")
def test_methods_of_rdds_work_or_are_refused(
    sc: Any, spark: Any, tmp_path: Path, name: str
) -> None:
    sc.setCheckpointDir(str(tmp_path))
    arguments = _Arguments(sc, spark, str(tmp_path / "path"))
    rdd = sc.parallelize([(1.0, 2.0), (2.0, 3.0)], 2)
    try:
        made = getattr(rdd, name)(*arguments.of(getattr(rdd, name)))
        if isinstance(made, pyspark.RDD):
            made.count()
    except (UnsupportedError, ImportError):
        return
    except (PySparkRuntimeError, TypeError, ValueError) as error:  # of what was given here
        if not str(error):
            raise


def test_there_is_no_jvm_once_a_context_is_stopped(sc: Any) -> None:
    assert pyspark.SparkContext._jvm is not None
    stopped = object.__new__(pyspark.SparkContext)
    assert stopped._jvm is None
    assert stopped._jsc is None
    assert pyspark.SparkConf().get("spark.none", None) is None


def test_where_sql_is_installed_no_refusal_says_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for error in (unsupported_sql("DataFrame.writeTo"), refused_here("udf", "pyspark.sql")):
        assert "aflint[sql]" in str(error)
    monkeypatch.setattr("aflint.sql.catalyst.missing", lambda: "")
    for error in (unsupported_sql("DataFrame.writeTo"), refused_here("udf", "pyspark.sql")):
        assert "install" not in str(error)
        assert "df.rdd" in str(error)
