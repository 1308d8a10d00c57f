"""Files in S3: planned by the driver's storage, read by ranges and written in tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import aflint
from aflint.errors import OutputExistsError
from aflint.localcloud import LocalCloud
from aflint.sql.objects import Objects, children, status
from aflint.storage.base import FileInfo
from tests.aws.clouds import BUCKET, connect, make_bucket
from tests.sql.differential import Differential
from tests.sql.files import Files

HOME = f"s3://{BUCKET}"
WIDE = "SELECT id, " + ", ".join(f"hash(id, {i}) AS c{i}" for i in range(9)) + " FROM range(40000)"


class Cloud:
    """A session whose S3 is an emulator, beside Spark, which reads local files."""

    def __init__(self, runner: asyncio.Runner, session: Any, storage: Any, files: Files) -> None:
        self.runner, self.session, self.storage, self.files = runner, session, storage, files
        self.spark = files.spark

    def upload(self, folder: Path, prefix: str) -> None:
        """Put the files of a local folder into S3."""
        for path in folder.rglob("*"):
            if path.is_file():
                key = f"{HOME}/{prefix}/{path.relative_to(folder)}"
                self.runner.run(self.storage.write(key, path.read_bytes()))

    def download(self, prefix: str, folder: Path) -> Path:
        """Take what is in S3 into a local folder."""
        for file in self.runner.run(self.storage.list(f"{HOME}/{prefix}", "read")):
            path = folder / file.path.removeprefix(f"{HOME}/{prefix}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.runner.run(self.storage.read(file.path)))
        return folder


@pytest.fixture(scope="module")
def cloud(spark: Differential, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        emulator = LocalCloud(functions=False, verify_signatures=True)
        runner.run(emulator.__aenter__())
        key, secret = emulator.credentials[:2]
        patch.setenv("AWS_ACCESS_KEY_ID", key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        patch.setenv("AWS_ENDPOINT_URL", emulator.endpoint_url)
        patch.setenv("AWS_DEFAULT_REGION", emulator.region)
        try:
            aws = connect(emulator)
            runner.run(make_bucket(aws))
            runner.run(aws.aclose())
            session = runner.run(
                aflint.open(
                    workers=1,
                    progress=False,
                    scratch_dir=str(tmp_path_factory.mktemp("scratch")),
                )
            )
            storage = session._opened().jobs.storage
            spark.catalyst.see(Objects(storage, lambda make: runner.run(make())))
            both = Differential(spark.catalyst, session, runner)
            yield Cloud(runner, session, storage, Files(both))
            runner.run(session.aclose())
        finally:
            runner.run(emulator.__aexit__(None, None, None))


def test_parquet_in_s3_is_planned_and_read(cloud: Cloud, tmp_path: Path) -> None:
    sql = "SELECT id, id % 3 AS k, 'a b' AS `t é` FROM range(100)"
    cloud.files.writer(sql, "parquet", by=("k", "t é")).save(f"{tmp_path}/table")
    cloud.upload(tmp_path / "table", "read me/table")
    cloud.files.read("parquet", tmp_path / "table")
    queries = ("SELECT * FROM source", "SELECT count(*), max(id) FROM source WHERE k = 1")
    expected = [cloud.spark.spark(query) for query in queries]
    for path in ("s3://", "s3a://"):
        cloud.files.read("parquet", f"{path}{BUCKET}/read me/table")
        for query, rows in zip(queries, expected, strict=True):
            cloud.spark.check(query, expected=rows)
    based = {"basePath": f"{HOME}/read me/table"}
    cloud.files.read("parquet", f"{HOME}/read me/table/k=[12]", based)
    cloud.spark.check(queries[1], expected=expected[1])


def test_only_the_columns_that_are_used_are_read(cloud: Cloud, tmp_path: Path) -> None:
    cloud.files.writer(WIDE, "parquet").save(f"{tmp_path}/wide")
    cloud.upload(tmp_path / "wide", "wide")
    size = sum(path.stat().st_size for path in (tmp_path / "wide").glob("*.parquet"))
    cloud.files.read("parquet", f"{HOME}/wide")
    cloud.spark.check(
        "SELECT sum(c2), sum(c7) FROM source",
        expected=cloud.spark.spark(f"SELECT sum(c2), sum(c7) FROM ({WIDE})"),
    )
    read = sum(stage.metrics.input_bytes for stage in cloud.session.last_job.stages)
    assert size / 10 < read < size / 3


def test_a_large_object_is_read_in_parts_of_whole_row_groups(cloud: Cloud, tmp_path: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT range AS id, md5(range::VARCHAR) AS h FROM range(150000)) "
            f"TO '{tmp_path}/large.parquet' (FORMAT parquet, ROW_GROUP_SIZE 8192)"
        )
    cloud.upload(tmp_path, "large")
    cloud.files.read("parquet", f"{HOME}/large")
    whole = cloud.spark.settings
    cloud.spark.settings = replace(whole, split_bytes=1 << 20)
    try:
        cloud.spark.check(
            "SELECT count(*) AS n, sum(id) AS s FROM source",
            expected=cloud.spark.spark("SELECT 150000L AS n, 11249925000L AS s"),
        )
        assert cloud.session.last_job.stages[0].tasks > 4
    finally:
        cloud.spark.settings = whole


def test_csv_in_s3_is_read(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,x\n2,y\n")
    cloud.upload(tmp_path, "csv")
    cloud.files.read("csv", tmp_path, {"header": "true", "inferSchema": "true"})
    expected = cloud.spark.spark("SELECT * FROM source")
    cloud.files.read("csv", f"{HOME}/csv", {"header": "true", "inferSchema": "true"})
    cloud.spark.check("SELECT * FROM source", expected=expected)


def test_what_is_written_to_s3_is_what_spark_reads(cloud: Cloud, tmp_path: Path) -> None:
    sql = "SELECT id, id % 3 AS k, 'x' AS t FROM range(0, 50, 1, 2)"
    cloud.files.write(cloud.files.writer(sql, "parquet", by=("k",)), f"{HOME}/out")
    with pytest.raises(OutputExistsError):
        cloud.files.write(cloud.files.writer(sql, "parquet", by=("k",)), f"{HOME}/out")
    cloud.files.write(cloud.files.writer(sql, "parquet", "append", by=("k",)), f"{HOME}/out")
    cloud.files.write(cloud.files.writer(sql, "parquet", "overwrite"), f"{HOME}/flat")
    cloud.files.read("parquet", cloud.download("out", tmp_path / "out"))
    once = f"SELECT id, t, CAST(k AS INT) AS k FROM ({sql})"
    twice = cloud.spark.spark(f"{once} UNION ALL {once}")
    cloud.spark.check("SELECT * FROM source", expected=twice)
    cloud.files.read("parquet", f"{HOME}/out")
    cloud.spark.check("SELECT * FROM source", expected=twice)
    cloud.files.read("parquet", cloud.download("flat", tmp_path / "flat"))
    cloud.spark.check("SELECT * FROM source", expected=cloud.spark.spark(sql))
    left = cloud.runner.run(cloud.storage.exists(f"{HOME}/out/_temporary"))
    assert not left


def test_what_is_directly_in_a_folder_is_told_from_what_lies_below() -> None:
    files = [FileInfo("s3://b/in/a", 1, "v"), FileInfo("s3://b/in/k=1/b", 2, "w")]
    assert children("s3a://b/in", files) == [("a", 1, "v"), ("k=1", None, "")]
    assert status("s3://b/in", files) == [(None, None, "")]
    assert status("s3n://b/in/a", files[:1]) == [(None, 1, "v")]
    assert status("s3://b/in", files[:1]) == [(None, None, "")]
