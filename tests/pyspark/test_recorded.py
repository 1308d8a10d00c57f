"""What PySpark 4.3 itself answered to these programs."""

from __future__ import annotations

import enum
import math
import operator
import os
import zlib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("py4j.protocol")


class Counting:
    """Gives how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Any) -> int:
        self.calls += 1
        return self.calls


def test_a_sample_is_the_same_in_both_branches_of_a_task(sc: Any) -> None:
    sampled = sc.parallelize(range(4), 1).sample(False, 0.5, 21)
    assert sampled.zip(sampled).collect() == [(0, 0), (2, 2), (3, 3)]


def test_each_pipeline_of_a_task_has_functions_of_its_own(sc: Any) -> None:
    numbers = sc.parallelize(range(8), 4)
    assert numbers.map(Counting()).coalesce(1).collect() == [1, 2] * 4
    assert numbers.coalesce(1).map(Counting()).collect() == [1, 2, 3, 4, 5, 6, 7, 8]
    count = Counting()
    assert sc.parallelize(range(3), 1).map(count).map(count).collect() == [2, 4, 6]
    counted = numbers.coalesce(2).map(Counting())
    assert counted.zip(counted).collect() == [(n, n) for n in (1, 2, 3, 4)] * 2
    assert counted.union(counted).coalesce(1).collect() == [1, 2, 3, 4] * 4


def test_pipelines_that_are_placed_alike_have_functions_of_their_own(sc: Any) -> None:
    numbers = sc.parallelize(range(8), 4)
    pairs = numbers.coalesce(1).map(lambda x: (x % 2, x)).partitionBy(1)
    counted = pairs.mapValues(Counting())
    grouped = counted.groupWith(counted, counted).collect()
    assert sorted((key, [sorted(each) for each in groups]) for key, groups in grouped) == [
        (0, [[1, 3, 5, 7]] * 3),
        (1, [[2, 4, 6, 8]] * 3),
    ]
    once = [(0, 1), (1, 2), (0, 3), (1, 4), (0, 5), (1, 6), (0, 7), (1, 8)]
    assert counted.union(counted).collect() == once + once


class Letter(enum.Enum):
    A = "a"


def test_classes_functions_and_enums_are_keys(sc: Any) -> None:
    mixed = sc.parallelize([1, "a", 2.0, 1, Counting(), "b"], 3)
    assert set(mixed.map(type).distinct().collect()) == {int, str, float, Counting}
    assert mixed.map(lambda x: (type(x), 1)).reduceByKey(operator.add, 2).collectAsMap() == {
        int: 2,
        str: 2,
        float: 1,
        Counting: 1,
    }
    for key in (len, os.path.join, Letter.A, math):
        assert mixed.map(lambda x, key=key: key).distinct(2).collect() == [key]


def test_stop_iteration_of_a_function_fails_the_task(sc: Any) -> None:
    def stop(x: int, y: int = 0) -> int:
        raise StopIteration("mine")

    numbers = sc.parallelize(range(4), 1)
    pairs = numbers.keyBy(lambda x: 0)
    for run in (
        numbers.map(stop).collect,
        numbers.filter(stop).collect,
        numbers.flatMap(lambda x: [stop(x)]).collect,
        numbers.mapPartitions(lambda records: [stop(x) for x in records]).collect,
        # Of these two, PySpark loses the records without a word.
        numbers.mapPartitions(lambda records: map(stop, records)).collect,
        numbers.mapPartitionsWithIndex(lambda _, records: filter(stop, records)).collect,
        pairs.mapValues(stop).collect,
        pairs.reduceByKey(stop).collect,
        pairs.partitionBy(2, stop).collect,
        numbers.sortBy(stop).collect,
        lambda: numbers.foreach(stop),
        lambda: numbers.reduce(stop),
        lambda: numbers.fold(0, stop),
        lambda: numbers.top(2, key=stop),
        lambda: numbers.max(key=stop),
    ):
        with pytest.raises(Exception, match="StopIteration"):
            run()


MIXED_ENDS = b"\n\n\r\n\r\r\na\r\n\nbb\r\n\r\nccc\n\r"


@pytest.mark.parametrize(
    ("content", "pieces", "expected"),
    [
        (b"%07d\n", 2, [5, 3]),
        (b"%07d\n", 3, [3, 3, 2]),
        (b"%07d\n", 4, [3, 2, 2, 1]),
        (b"%07d\n", 5, [2, 2, 1, 2, 1, 0]),
        (b"%07d\n", 6, [2, 1, 1, 2, 1, 1, 0]),
        (b"%07d\n", 8, [2, 1, 1, 1, 1, 1, 1, 0]),
        (b"%07d\n", 9, [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]),
        (b"%06d\r\n", 5, [2, 2, 1, 2, 1, 0]),
        (b"%06d\r", 5, [2, 2, 1, 2, 1]),
        (b"%06d\r", 9, [1, 1, 1, 1, 1, 1, 1, 0, 1, 0]),
    ],
)
def test_a_line_between_two_splits_belongs_to_the_first(
    sc: Any, tmp_path: Path, content: bytes, pieces: int, expected: list[int]
) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"".join(content % number for number in range(8)))
    found = sc.textFile(str(path), pieces).glom().collect()
    assert [len(part) for part in found] == expected
    assert [int(line) for part in found for line in part] == list(range(8))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (1, [["", "", "", "", "", "a", "", "bb", "", "ccc", ""]]),
        (2, [["", "", "", "", "", "a", "", "bb"], ["", "ccc", ""]]),
        (3, [["", "", "", "", "", "a"], ["", "bb"], ["", "ccc", ""], []]),
        (4, [["", "", "", "", ""], ["a", ""], ["bb", ""], ["ccc"], [""]]),
        (5, [["", "", "", ""], ["", "a"], ["", "bb"], [""], ["ccc"], [""]]),
        (6, [["", "", ""], ["", ""], ["a"], ["", "bb"], [""], ["ccc"], [""], []]),
        (8, [["", "", ""], [""], [""], ["a"], [""], ["bb"], [], [""], ["ccc"], [], [""]]),
    ],
)
def test_ends_of_lines_at_the_ends_of_splits(
    sc: Any, tmp_path: Path, pieces: int, expected: list[list[str]]
) -> None:
    path = tmp_path / "mixed.txt"
    path.write_bytes(MIXED_ENDS)
    assert sc.textFile(str(path), pieces).glom().collect() == expected


def test_empty_files_are_no_partitions(sc: Any, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "one.txt").write_text("x")
    (tmp_path / "lines.txt").write_bytes(b"".join(b"%07d\n" % number for number in range(8)))
    assert sc.textFile(str(tmp_path / "empty.txt")).getNumPartitions() == 0
    assert sc.textFile(str(tmp_path / "empty.txt")).collect() == []
    assert sc.textFile(str(tmp_path / "one.txt"), 3).glom().collect() == [["x"]]
    names = ",".join(str(tmp_path / name) for name in ("empty.txt", "one.txt", "lines.txt"))
    assert [len(part) for part in sc.textFile(names, 3).glom().collect()] == [1, 3, 3, 2]


def test_samples_of_files_are_sparks(sc: Any, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"".join(b"%07d\n" % number for number in range(8)))
    assert sc.textFile(str(path), 3).takeSample(False, 3, 42) == ["0000003", "0000004", "0000006"]


@pytest.mark.slow
def test_large_files_are_cut_and_sampled_as_sparks(sc: Any, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"".join(b"%019d\n" % number for number in range(4_000_000)))

    def sizes(rdd: Any) -> Any:
        return rdd.mapPartitions(lambda lines: [sum(1 for _ in lines)]).collect()

    assert sizes(sc.textFile(str(path))) == [1677722, 1677722, 644556]
    lines = sc.textFile(str(path), 7)
    assert sizes(lines) == [571429, 571429, 571428, 571429, 571428, 571429, 571428]
    assert [int(line) for line in lines.takeSample(False, 3, 42)] == [2686790, 2623277, 694838]


def folders(root: Path) -> Path:
    for name in ("a.txt", "sub/b.txt", "sub/deep/c.txt", "_no/d.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name}\n")
    return root


def test_a_folder_within_a_folder_is_an_error_for_lines_alone(sc: Any, tmp_path: Path) -> None:
    root = folders(tmp_path / "in")
    for path in (root, f"{root}/*"):
        with pytest.raises(
            Exception, match=r"Path: .*sub.* is a directory, which is not supported"
        ):
            sc.textFile(str(path)).collect()
    assert sc.textFile(f"{root}/*/[bc]*").collect() == ["sub/b.txt"]
    for read in (sc.wholeTextFiles, sc.binaryFiles):
        assert [Path(path).name for path, _ in read(str(root)).collect()] == ["a.txt"]
        assert [Path(path).name for path, _ in read(f"{root}/*").collect()] == ["a.txt", "b.txt"]


def test_folders_within_a_folder_are_read_where_hadoops_setting_says_so(
    sc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from aflint.pyspark.unheeded import warn_of_unheeded

    root = folders(tmp_path / "in")
    key = "spark.hadoop.mapreduce.input.fileinputformat.input.dir.recursive"
    sc._conf.set(key, "true")
    try:
        warn_of_unheeded(dict(sc._conf.getAll()))
        lines = sc.textFile(str(root)).collect()
        whole = sc.wholeTextFiles(str(root)).keys().collect()
    finally:
        sc._conf._conf.pop(key)
    assert lines == ["a.txt", "sub/b.txt", "sub/deep/c.txt"]
    assert [Path(path).name for path in whole] == ["a.txt", "b.txt", "c.txt"]
    assert key not in caplog.text


def test_a_quoted_character_of_a_glob_is_itself(sc: Any, tmp_path: Path) -> None:
    for name in ("br[1].txt", "a{b}.txt", "st*r.txt", "q?.txt"):
        (tmp_path / name).write_text(name)
    for quoted in (r"br\[1\].txt", r"a\{b\}.txt", r"st\*r.txt", r"q\?.txt"):
        assert sc.textFile(f"{tmp_path}/{quoted}").collect() == [quoted.replace("\\", "")]


def test_deflate_files_are_read(sc: Any, tmp_path: Path) -> None:
    lines = "".join(f"line {number}\n" for number in range(1000))
    (tmp_path / "x.deflate").write_bytes(zlib.compress(lines.encode()))
    read = sc.textFile(str(tmp_path / "x.deflate"))
    assert (read.count(), read.first(), read.getNumPartitions()) == (1000, "line 0", 1)
    assert sc.wholeTextFiles(str(tmp_path)).values().collect() == [lines]
    (tmp_path / "x.deflate").write_bytes(zlib.compress(lines.encode())[2:-4])
    with pytest.raises(Exception, match="incorrect header check"):
        sc.textFile(str(tmp_path / "x.deflate")).collect()
