from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("pyspark")

from aflint.cli.main import app
from aflint.errors import InvalidArgumentError
from aflint.pyspark.checking import check

PROGRAM = """\
from pyspark import SparkContext, SparkConf, StorageLevel
from pyspark.mllib.linalg import Vectors
from pyspark.ml.feature import Tokenizer
import pyspark.streaming

conf = SparkConf().set("spark.jars", "a.jar").set("spark.app.name", "words")
sc = SparkContext(conf=conf)
words = sc.textFile("in").flatMap(str.split).persist(StorageLevel.MEMORY_ONLY)
words.saveAsPickleFile("kept")
words.saveAsSequenceFile("out")
sc._jsc.hadoopConfiguration().set("a", "b")
words.barrier().mapPartitions(len)
context.barrier()
session = SparkSession.builder.getOrCreate()
session.readStream.load("x")
reader.client.readStream
frame.write.saveAsTable("t")
frame.writeTo("t")
session.sql(" delete from t")
session.read.orc("t")
"""


def test_a_program_is_told_by_line_what_differs_and_what_is_refused() -> None:
    found = [(each.line, each.verdict, each.what) for each in check(PROGRAM, "words.py")]
    assert [each for each in found if each[1] != "works"] == [
        (3, "refused", "pyspark.ml.feature"),
        (4, "refused", "pyspark.streaming"),
        (6, "differs", "spark.jars"),
        (8, "differs", "persist"),
        (9, "differs", "saveAsPickleFile"),
        (10, "refused", "saveAsSequenceFile"),
        (11, "refused", "_jsc"),
        (13, "refused", "barrier"),
        (15, "refused", "session.readStream"),
        (18, "refused", "writeTo"),
        (19, "refused", "DELETE"),
        (20, "refused", "orc"),
    ]
    assert {"textFile", "flatMap", "mapPartitions", "barrier"} <= {
        what for _, verdict, what in found if verdict == "works"
    }


def test_what_is_no_python_is_said() -> None:
    with pytest.raises(InvalidArgumentError, match=r"x\.py cannot be read as Python"):
        check("def (", "x.py")
    with pytest.raises(InvalidArgumentError, match="cannot be read as Python"):
        check("a = '\0'", "x.py")


def test_the_command_says_why_and_ends_with_1_where_anything_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "words.py"
    program.write_text(PROGRAM)
    done = CliRunner().invoke(app, ["check", str(program)])
    assert done.exit_code == 1
    assert f"{program}:10: refused: saveAsSequenceFile: Hadoop's formats" in done.output
    assert "4 differ" not in done.output
    assert "3 differ, 9 are refused" in done.output
    done = CliRunner().invoke(app, ["check", str(program), "--json"])
    assert json.loads(done.output)[0] == {
        "line": 3, "what": "pyspark.ml.feature", "verdict": "refused",
        "why": json.loads(done.output)[0]["why"],
    }  # fmt: skip
    program.write_text("sc.parallelize([1]).count()\n")
    done = CliRunner().invoke(app, ["check", str(program)])
    assert (done.exit_code, done.output) == (
        0, "2 uses of PySpark work, 0 differ, 0 are refused\n"
    )  # fmt: skip
    done = CliRunner().invoke(app, ["check", str(tmp_path / "none.py")])
    assert done.exit_code == 1
    assert "cannot be read" in done.output


@pytest.mark.parametrize(
    "call",
    [
        'spark.read.format("orc").load("t")',
        'spark.read.option("a", 1).format("orc").schema("a INT").load("t")',
        'spark.read.load("t", format="orc")',
        'frame.write.mode("append").format("ORC").save("t")',
        'frame.write.save("t", "orc", format="orc")',
        'frame.write.orc("t")',
    ],
)
def test_a_format_that_is_not_read_or_written_is_told_of(call: str) -> None:
    (found,) = (each for each in check(call, "app.py") if each.verdict == "refused")
    assert "orc" in found.what
    assert "Parquet" in found.why


def test_a_format_of_something_else_is_none() -> None:
    assert not check('"{}".format("orc")', "app.py")


def test_functions_that_are_refused_are_told_of() -> None:
    program = (
        "from pyspark.sql import functions as F\n"
        "from pyspark.sql.functions import col, variant_get\n"
        'df.groupBy(F.session_window("ts", "5 minutes")).agg(F.count("*"), F.hll_sketch_agg("a"))\n'
    )
    found = {e.what: e.line for e in check(program, "app.py") if e.verdict == "refused"}
    assert found == {"variant_get": 2, "session_window": 3, "hll_sketch_agg": 3}
