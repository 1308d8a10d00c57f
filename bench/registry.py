"""What can be measured, and on what. One more workload or engine is one entry here."""

from __future__ import annotations

from functools import partial

from bench import (
    cannot,
    codec,
    dispatch,
    fingerprint,
    inputs,
    listeners,
    memory,
    scale,
    scheduler,
    shuffle,
    sql_memory,
    tpch,
    transports,
)
from bench.engine import ROOT, Engine
from bench.matrix import measure
from bench.workload import Matrix, Workload

_ON_AFLINT = ("-m", "aflint.pyspark", str(ROOT / "bench" / "serve.py"))
_NO_JAVA = {"JAVA_HOME": "none"}
_DASK = ("dask[dataframe,distributed]", "numpy")
_RAY = ("ray[data]", "numpy", "cloudpickle")
_SAIL = ("pysail", "pyspark-client", "pandas", "pyarrow")

ENGINES = (
    Engine("aflint", "aflint", "local"),
    Engine("aflint on localcloud", "aflint", "localcloud"),
    Engine("PySpark program on aflint", "pyspark_rdd", "aflint", "", (), _ON_AFLINT, _NO_JAVA),
    Engine("aflint DataFrames", "aflint_frames", server=_ON_AFLINT, cannot=cannot.SQL),
    Engine("hand-written", "handwritten"),
    Engine("PySpark", "pyspark_rdd", "spark"),
    Engine("Dask bag", "dask_bag", "", "dask", _DASK, cannot=cannot.DASK_BAG),
    Engine("Dask dataframe", "dask_frame", "", "dask", _DASK, cannot=cannot.DASK_FRAME),
    Engine("Lithops", "lithops", "", "lithops", ("lithops", "numpy"), cannot=cannot.LITHOPS),
    Engine("Ray Data", "ray_data", "", "ray", _RAY, cannot=cannot.RAY_DATA),
    Engine("DuckDB", "duckdb", cannot=cannot.SQL),
    Engine("Polars", "polars", "", "polars", ("polars", "numpy"), cannot=cannot.SQL),
    Engine("Sail", "sail", "", "sail", _SAIL, cannot=cannot.SQL),
    Engine("Tuplex", "", left_out=cannot.TUPLEX),
)

_QUERIES = tuple(f"Q{number}" for number in range(7))
_THREE = {"PySpark": 3.0}

MATRICES = (
    Matrix(
        "taxi",
        "Flint's seven taxi queries",
        "trips",
        3_000_000,
        2_000,
        152,
        inputs.taxi,
        _QUERIES,
        goals={"hand-written": 1.15} | _THREE,
    ),
    Matrix(
        "word-count",
        "The ten most frequent words",
        "words",
        20_000_000,
        2_000,
        9,
        inputs.words,
        goals=_THREE,
    ),
    Matrix(
        "sort",
        "A sort of 100-byte records to files",
        "records",
        10_000_000,
        2_000,
        inputs.RECORD,
        inputs.sortable,
        digest=inputs.digest_sorted,
        goals={"hand-written": 1.5, "Dask bag": 2.0} | _THREE,
    ),
    Matrix(
        "group-by",
        "Groups by keys of Zipf's law",
        "pairs",
        20_000_000,
        2_000,
        45,
        inputs.zipf,
        goals={"hand-written": 1.5, "Dask bag": 2.0} | _THREE,
    ),
    Matrix(
        "reduce",
        "Totals of two million keys",
        "pairs",
        10_000_000,
        2_000,
        15,
        inputs.pairs(0.2),
        goals=_THREE,
    ),
    Matrix(
        "join",
        "A many-to-many join with a tenth as many",
        "pairs",
        10_000_000,
        2_000,
        15,
        inputs.two_tables,
    ),
    Matrix(
        "broadcast-join",
        "Totals by names looked up",
        "pairs",
        10_000_000,
        2_000,
        11,
        inputs.with_names,
    ),
    Matrix(
        "distinct",
        "Two million keys, told apart",
        "pairs",
        10_000_000,
        2_000,
        15,
        inputs.pairs(0.2),
        goals=_THREE,
    ),
    Matrix(
        "pagerank",
        "PageRank, ten rounds",
        "edges",
        1_000_000,
        500,
        14,
        inputs.edges,
        goals=_THREE,
    ),
    Matrix(
        "components",
        "Connected components, eight rounds with an action in each",
        "edges",
        1_000_000,
        500,
        14,
        inputs.edges,
        goals=_THREE,
    ),
    Matrix(
        "k-means",
        "Ten means by numpy, five rounds",
        "points",
        300_000,
        300,
        55,
        inputs.points,
        goals={"PySpark": 2.0},
    ),
    Matrix(
        "small-jobs",
        "Small jobs in a row",
        "jobs",
        100,
        3,
        0,
        inputs.nothing,
        goals={"PySpark": 5.0},
    ),
    Matrix(
        "empty-tasks",
        "Tasks that do nothing",
        "tasks",
        2_000,
        20,
        0,
        inputs.nothing,
        goals={"Dask bag": 5.0, "Lithops": 20.0, "PySpark": 20.0},
    ),
    Matrix(
        "six-sides",
        "A kept RDD looked at from six sides",
        "pairs",
        5_000_000,
        2_000,
        15,
        inputs.pairs(0.2),
        goals=_THREE,
    ),
    Matrix(
        "collect", "Records brought to the driver", "records", 1_000_000, 2_000, 0, inputs.nothing
    ),
)

_OF_THEIR_OWN = (
    tpch,
    sql_memory,
    codec,
    fingerprint,
    memory,
    dispatch,
    scheduler,
    scale,
    transports,
    shuffle,
    listeners,
)
"""What is measured beside other things than engines, or by a program of its own."""

WORKLOADS: dict[str, Workload] = {
    **{
        each.name: Workload(each.name, each.title, partial(measure, each, ENGINES))
        for each in MATRICES
    },
    **{module.WORKLOAD.name: module.WORKLOAD for module in _OF_THEIR_OWN},
}
