from __future__ import annotations

import pytest

from aflint.storage.formats import compression_of, is_splittable
from aflint.storage.patterns import expand_braces, is_glob, split_paths


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a, b ,", ["a", "b"]),
        ("x/{a,b}.csv,y", ["x/{a,b}.csv", "y"]),
        ("{a,{b,c}},d", ["{a,{b,c}}", "d"]),
        ("a},b", ["a}", "b"]),
        ("s3://b/k,file:///x", ["s3://b/k", "file:///x"]),
        ("", []),
    ],
)
def test_splits_paths_at_commas_outside_braces(paths: str, expected: list[str]) -> None:
    assert split_paths(paths) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", ["a"]),
        ("{a,b}", ["a", "b"]),
        ("x{a,b}y{1,2}", ["xay1", "xay2", "xby1", "xby2"]),
        ("20{09,1{0,1}}.csv", ["2009.csv", "2010.csv", "2011.csv"]),
        ("a{,.gz}", ["a", "a.gz"]),
        ("{a", ["{a"]),
        ("a}b", ["a}b"]),
        ("{x{a,b}", ["{xa", "{xb"]),
        ("{one}", ["one"]),
    ],
)
def test_expands_braces_as_hadoop_does(pattern: str, expected: list[str]) -> None:
    assert list(expand_braces(pattern)) == expected


def test_knows_a_glob() -> None:
    assert [is_glob(p) for p in ("a", "a*", "a?", "[ab]", "{a,b}")] == [
        False,
        True,
        True,
        True,
        True,
    ]


def test_knows_compression_by_name() -> None:
    names = ["a.gz", "a.GZ", "a.bz2", "a.zst", "a.zstd", "a.txt", "gz", "a.gz.txt"]
    assert [compression_of(name) for name in names] == [
        "gzip", "gzip", "bz2", "zstd", "zstd", None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "latin-1", "cp1252", "ascii", "gb18030"])
def test_cuts_encodings_whose_bytes_show_line_ends(encoding: str) -> None:
    assert is_splittable(encoding)


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-32", "utf-7", "cp037", "hz", "punycode"]
)
def test_leaves_other_encodings_whole(encoding: str) -> None:
    assert not is_splittable(encoding)
