"""Options of CSV and JSON: what Spark reads by each, or a refusal by name."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from aflint.sql.csv_records import CsvStyle
from aflint.sql.errors import QueryError
from aflint.sql.java_texts import in_javas_order, java_text
from aflint.sql.lenient_json import java_json, strict_json
from tests.sql.differential import Differential
from tests.sql.files import Files


@pytest.fixture(scope="module")
def files(spark: Differential) -> Files:
    return Files(spark)


STYLES = (
    CsvStyle(),
    CsvStyle(escape='"'),
    CsvStyle(quote="'"),
    CsvStyle(escape=""),
    CsvStyle(quote=""),
    CsvStyle(separator="\t"),
    CsvStyle(trims_left=True),
)


def _parser(spark: Differential, style: CsvStyle) -> Any:
    """Return the parser of Spark's for a style."""
    csv = spark.catalyst.jvm.com.univocity.parsers.csv
    settings = csv.CsvParserSettings()
    settings.getFormat().setDelimiter(style.separator)
    settings.getFormat().setQuote(style.quote or "\0")
    settings.getFormat().setQuoteEscape(style.escape or "\0")
    settings.setCommentProcessingEnabled(False)
    settings.setIgnoreLeadingWhitespaces(style.trims_left)
    settings.setIgnoreTrailingWhitespaces(style.trims_right)
    settings.setMaxCharsPerColumn(-1)
    settings.setEmptyValue("")
    settings.setUnescapedQuoteHandling(csv.UnescapedQuoteHandling.STOP_AT_DELIMITER)
    return csv.CsvParser(settings)


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_records_are_cut_as_sparks_own_parser_cuts_them(
    spark: Differential, style: CsvStyle
) -> None:
    parser, dice = _parser(spark, style), random.Random(7)
    marks = [style.separator, style.separator, '"', style.quote or '"', style.escape or "\\"]
    for _ in range(150):
        line = "".join(dice.choice(["a", "b", " ", *marks]) for _ in range(dice.randint(1, 9)))
        if not line.strip() or (line[-1] == " " and (style.trims_left or style.trims_right)):
            continue  # blanks at the end of a text: see `test_options_of_csv...`
        assert style.fields(line)[0] == list(parser.parseLine(line)), line


def test_a_regular_record_is_cut_alike_by_both_ways() -> None:
    style, dice = CsvStyle(), random.Random(3)
    for _ in range(2000):
        text = "".join(dice.choice('a"\\,\n ') for _ in range(dice.randint(0, 12)))
        end = style.fields(text)[1]
        assert style.end(text, 0) == end, text


CSV_TEXTS = {
    "plain": "a,b,c\n1,x,2020-01-01\n2,,y\n",
    "quotes": 'a,b,c\n"x, y","say \\"hi\\"",1\n"a""b",c,2\n"x"y,z,3\nq"r",s",4\n"open,t,5\n',
    "escapes": 'a,b\n"a\\\\b","c\\nd"\na\\,b,c\n"x\\"",y\n\\"z,w\n"e\\\\",f\n',
    "comments": '#top,it\'s\na,b,c\n#no,1\n x#,2\n"#q",3,\n',
    "empties": 'a,b,c\n"",NA,\n,"NA",x\n"N/A",NULL,""\n',
    "blanks": 'a,b,c\n 1 , x ,\n"  q " ," r", s\n\t\n',
    "short": "a,b,c\n1\n1,2\n1,2,3,4\n\n,,\n",
    "line ends": 'a,b,c\r\n1,x,\r\n2,"y",\r\n\r\n3,z,q',
    "many lines": 'a,b,c\n1,"x\ny",z\n2,"p\r\nq",\n"3\n\n",z,\n\n4,w,\n',
    "others": "a|b;c\tx|y;z\n'1, 2'|\"3;\"\n",
    "letters": "a,b,é\n\xfc,\u20ac,1\n",
}
CSV_OPTIONS: tuple[dict[str, str], ...] = (
    {},
    {"header": "true"},
    {"header": "true", "multiLine": "true"},
    {"header": "true", "multiLine": "true", "comment": "#", "escape": '"'},
    {"header": "true", "multiLine": "true", "mode": "DROPMALFORMED"},
    {"header": "true", "quote": "'"},
    {"quote": ""},
    {"header": "true", "escape": '"'},
    {"escape": ""},
    {"sep": "|"},
    {"sep": "\\t"},
    {"delimiter": ";", "quote": "'"},
    {"header": "true", "nullValue": "NA"},
    {"header": "true", "emptyValue": "E"},
    {"nullValue": "NA", "emptyValue": "E"},
    {"header": "true", "comment": "#"},
    {"ignoreLeadingWhiteSpace": "true", "emptyValue": "E", "nullValue": "NA"},
    {"ignoreLeadingWhiteSpace": "true", "ignoreTrailingWhiteSpace": "true"},
    {"header": "true", "encoding": "ISO-8859-1"},
    {"encoding": "UTF-16LE", "multiLine": "true"},
    {"header": "true", "mode": "DROPMALFORMED"},
    {"compression": "gzip", "quoteAll": "true", "nothing": "of Spark's"},
)


@pytest.fixture(scope="module")
def csv_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("csv")
    for name, text in CSV_TEXTS.items():
        (folder / f"{name}.csv").write_bytes(text.encode())
    return folder


@pytest.mark.parametrize("options", CSV_OPTIONS, ids=str)
def test_options_of_csv_do_what_they_do_in_spark(
    files: Files, csv_folder: Path, options: dict[str, str]
) -> None:
    files.read("csv", csv_folder, options, "a STRING, b STRING, c STRING, _corrupt_record STRING")
    files.spark.check("SELECT * FROM source")


VALUES = (
    "1.5", "NaN", "nan", "Inf", "inf", "-Inf", "-inf", "Infinity", "INF", "01/02/2020", "2020-1-2",
    "01/02/2020 03:04", "2020-01-01T10:00:00.123Z", "2020-01-01T10:00:00.123+01:00", "", "x",
)  # fmt: skip
TYPED_OPTIONS: tuple[dict[str, str], ...] = (
    {"nanValue": "nan", "positiveInf": "inf", "negativeInf": "-inf"},
    {"dateFormat": "MM/dd/yyyy", "timestampFormat": "MM/dd/yyyy HH:mm"},
    {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "timestampNTZFormat": "dd/MM/yyyy HH:mm"},
    {"timestampFormat": "dd/MM/yyyy HH:mm", "timeZone": "Asia/Tokyo"},
    {"columnNameOfCorruptRecord": "bad", "dateFormat": "d/M/yyyy"},
)


@pytest.mark.parametrize("options", TYPED_OPTIONS, ids=str)
def test_values_of_csv_and_json_are_read_by_the_options_for_them(
    files: Files, tmp_path: Path, options: dict[str, str]
) -> None:
    (tmp_path / "a.csv").write_text("".join(f"{v},{v},{v},{v},{v}\n" for v in VALUES))
    schema = "a DOUBLE, b FLOAT, c DATE, d TIMESTAMP, e TIMESTAMP_NTZ, bad STRING"
    files.read("csv", tmp_path / "a.csv", options, schema)
    files.spark.check("SELECT * FROM source")
    rows = (f'{{"c": "{v}", "d": "{v}", "e": "{v}", "x": {i}}}\n' for i, v in enumerate(VALUES))
    (tmp_path / "a.json").write_text("".join(rows))
    dates = {name: v for name, v in options.items() if name not in TYPED_OPTIONS[0]}
    files.read("json", tmp_path / "a.json", dates, "c DATE, d TIMESTAMP, e TIMESTAMP_NTZ, x INT")
    files.spark.check("SELECT * FROM source")


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("csv", {"unescapedQuoteHandling": "SKIP_VALUE"}, "unescapedquotehandling"),
        ("csv", {"charToEscapeQuoteEscaping": "!"}, "chartoescapequoteescaping"),
        ("csv", {"enforceSchema": "false"}, "enforceschema"),
        ("csv", {"locale": "de-DE"}, "locale"),
        ("csv", {"encoding": "UTF-16"}, "UTF-16"),
        ("csv", {"ignoreCorruptFiles": "true"}, "ignorecorruptfiles"),
        ("json", {"allowUnquotedFieldNames": "true"}, "allowunquotedfieldnames"),
    ],
)
def test_an_option_that_is_not_heeded_is_refused_by_name(
    files: Files, tmp_path: Path, source: str, options: dict[str, str], said: str
) -> None:
    (tmp_path / "a").write_text("1\n")
    files.read(source, tmp_path, options, "a INT")
    assert said in str(files.spark.refused("SELECT * FROM source"))


LIMITS: tuple[dict[str, str], ...] = (
    {"maxColumns": "2"}, {"maxCharsPerColumn": "3"}, {"mode": "FAILFAST"}
)  # fmt: skip


@pytest.mark.parametrize("options", LIMITS, ids=str)
def test_a_record_past_what_options_allow_fails_as_on_spark(
    files: Files, tmp_path: Path, options: dict[str, str]
) -> None:
    (tmp_path / "a.csv").write_text("a,b\nlong,c,d\n")
    files.read("csv", tmp_path, options, "a STRING, b STRING")
    files.spark.check_fails("SELECT * FROM source")


@pytest.mark.parametrize("end", [";", "\r\n", "\u0001"])
def test_lines_end_where_they_are_told_to(files: Files, tmp_path: Path, end: str) -> None:
    text = end.join(["a,b", '1,"x"', "", "2,y", "#3,z"])
    (tmp_path / "a.csv").write_bytes(text.encode())
    (tmp_path / "b.csv").write_bytes(f"a,b{end}{end}".encode())
    files.read(
        "csv", tmp_path, {"lineSep": end, "header": "true", "comment": "#"}, "a INT, b STRING"
    )
    files.spark.check("SELECT * FROM source")
    files.read("json", tmp_path, {"lineSep": end}, "a STRING, _corrupt_record STRING")
    files.spark.check("SELECT * FROM source")
    files.read("text", tmp_path, {"lineSep": end})
    files.spark.check("SELECT * FROM source")
    (tmp_path / "c.csv").write_bytes(f"a,b{end}1,\n2{end}".encode())
    files.read("csv", tmp_path / "c.csv", {"lineSep": end}, "a INT, b STRING")
    with pytest.raises(QueryError, match=r"UNSUPPORTED_FEATURE.*newline"):
        files.spark.aflint("SELECT * FROM source")


JSONS = (
    *(f'{{"f":{value}, "z":1}}' for value in (
        "1.50", "1e5", "100000000.0", "0.00001", "12345678901234567890", "-0.0", "1.5e300",
        "[1.50,2]", '{"x":1e5, "y":[0.00001]}', '{"a" : 1 , "b":"q\\"\\u00e9\\n/"}', "true", "NaN",
        "'single'", "{'k':'it\\'s \"x\"'}", "[]", '"1.50"', '"2020-01-02"', "[1,null]", '[1,"x"]',
        '{"x":"y"}', "null", "-INF",
    )),
    "nope", "[1]", '{"f":1', '{"f":1,"f":2}', '{"f":1} trailing', '{"f":01}', "{f:1}", '{"f":1,}',
    '[{"f":1},{"f":2}]', '"str"', "5", "", "  ", '{"f":"tab\tin"}', '{"F":1}', "null", '{"f":tru}',
    '{"f":"\\q"}', '{"f":.5}', '[[{"f":1}]]', '{"f":"\\ud83d\\ude00"}',
)  # fmt: skip
"""Texts, most of which are no JSON in the strict sense."""


def test_texts_that_are_hardly_json_are_read_as_spark_reads_them(
    spark: Differential, tmp_path: Path
) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (id INT, j VARCHAR)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(JSONS)))
        connection.execute(f"COPY t TO '{tmp_path}/t.parquet'")
    spark.table("texts", tmp_path / "t.parquet")
    schemas = ("f STRING, z INT", "f DOUBLE", "f DATE", "f ARRAY<INT>", "f STRUCT<x: DOUBLE>",
               "ARRAY<STRUCT<f: INT>>", "MAP<STRING, STRING>", "f DECIMAL(20, 5)")  # fmt: skip
    spark.check_expressions(
        ["get_json_object(j, '$.f')", "get_json_object(j, '$')", "json_array_length(j)",
         "json_object_keys(j)", *(f"from_json(j, '{schema}')" for schema in schemas)],
        table="texts",
    )  # fmt: skip
    spark.check("SELECT id, json_tuple(j, 'f', 'z', 'none') FROM texts")
    outer = "LATERAL VIEW OUTER json_tuple(j, 'z', concat('', 'f')) x AS a, b"
    spark.check(f"SELECT id, a, b FROM texts {outer}")


def test_json_is_made_strict_and_its_numbers_javas() -> None:
    assert strict_json("{'a': 'say \"x\"', \"b\": [NaN, {}]}", True, False) == (
        '{"a":"say \\"x\\"","b":["\\"NaN\\"",{}]}'
    )
    assert strict_json("[" * 5000, True, False) is None
    assert java_json('{"1.5e9":1.5e9,"b":[0.5,1e-9,1e999]}') == (
        '{"1.5e9":1.5E9,"b":[0.5,1.0E-9,"Infinity"]}'
    )


def test_values_of_pythons_have_javas_texts() -> None:
    assert (
        java_text([1, None, True, "x", 2.0, 1e7, -1.5e-5])
        == "[1, null, true, x, 2.0, 1.0E7, -1.5E-5]"
    )
    assert java_text([float("nan"), float("-inf"), -0.0]) == "[NaN, -Infinity, -0.0]"
    assert java_text({2: 1, 2**40: {"x": None}}) == "{1099511627776={x=null}, 2=1}"
    places = (15, 16, 10, 19, 18, 17, 14, 11, 13, 12, 6, 7, 1, 0, 9, 3, 8, 2, 5, 4)
    assert in_javas_order({f"key {i}é😀": 0 for i in range(20)}) == [f"key {i}é😀" for i in places]
