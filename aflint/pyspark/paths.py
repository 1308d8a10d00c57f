"""Spark's paths and codecs as aflint's."""

from __future__ import annotations

import os
import re
from typing import Literal

from aflint.pyspark.refusals import unsupported

Compression = Literal["gzip", "bz2", "zstd"]

RECURSIVE = (
    "spark.hadoop.mapreduce.input.fileinputformat.input.dir.recursive",
    "spark.hadoop.mapred.input.dir.recursive",
)
"""Settings by which files in folders within a folder are read."""

_CODECS: dict[str, Compression] = {
    "GzipCodec": "gzip",
    "BZip2Codec": "bz2",
    "ZStandardCodec": "zstd",
}


def engine_path(path: str) -> str:
    """Return a path, or a comma-separated list of them, as aflint writes it: `file:` is left out,
    `s3a:` and `s3n:` are `s3:`.

    Raises PySparkRuntimeError for another file system, such as hdfs.
    """
    return ",".join(_one(part) for part in str(path).split(","))


def _one(path: str) -> str:
    path = path.strip()
    scheme, colon, rest = path.partition(":")
    # A single letter before the colon is a drive or a name, and no file system.
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) or len(scheme) == 1:
        return path
    if scheme in ("s3", "s3a", "s3n"):
        return f"s3:{rest}"
    if scheme == "file":
        return "/" + rest.lstrip("/") if rest.startswith("/") else rest
    # Such as `12:30.txt`: a colon within a name.
    if "/" not in rest[:1]:
        return path
    raise unsupported(f"The file system {scheme}: of {path}", "Use a local path or s3://.")


def absolute(path: str) -> str:
    """Return where a path leads from the working directory of now."""
    return path if "://" in path else os.path.abspath(path)


def spark_path(path: str) -> str:
    """Return a path as Spark gives it back: with its scheme."""
    return path if "://" in path else f"file:{path}"


def codec_named(name: str | None) -> Compression | None:
    """Return aflint's compression for a codec class of Hadoop's."""
    if name is None:
        return None
    compression = _CODECS.get(name.rpartition(".")[2])
    if compression is None:
        raise unsupported(f"The codec {name}", f"There are {', '.join(_CODECS)}.")
    return compression
