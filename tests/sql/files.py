"""Writes and reads files by Spark's own engine and by aflint, each what the other wrote."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aflint.sql.writing import Write, compiled_write, run
from tests.sql.differential import Differential, exact


class Files:
    """Both engines over files."""

    def __init__(self, spark: Differential) -> None:
        self.spark = spark

    def read(
        self,
        source: str,
        path: Path | str,
        options: Mapping[str, str] | None = None,
        schema: str = "",
    ) -> None:
        """Make the view `source` of files."""
        reader = self.spark.catalyst.session.read().format(source)
        for name, value in (options or {}).items():
            reader = reader.option(name, value)
        if schema:
            reader = reader.schema(schema)
        reader.load(str(path)).createOrReplaceTempView("source")

    def writer(
        self,
        sql: str,
        source: str,
        mode: str = "error",
        options: Mapping[str, str] | None = None,
        by: tuple[str, ...] = (),
    ) -> Any:
        """Return Spark's writer of a query."""
        writer = self.spark.frame(sql).write().format(source).mode(mode)
        for name, value in (options or {}).items():
            writer = writer.option(name, value)
        if by:
            writer = writer.partitionBy(self.spark.catalyst.jvm.PythonUtils.toSeq(list(by)))
        return writer

    def write(self, writer: Any, path: Path | str) -> None:
        """Write by aflint what a writer of Spark's says."""
        catalyst = self.spark.catalyst
        command = writer.saveCommand(catalyst.jvm.scala.Option.apply(str(path)))
        self.run(catalyst.plan_command(catalyst.session, command))

    def run(self, plan: Any) -> None:
        """Run the plan of a write."""

        async def save() -> None:
            jobs = self.spark._session._opened().jobs
            write: Write = compiled_write(plan, jobs, self.spark.settings)
            await run(write, jobs)

        self.spark._runner.run(save())

    def same_when_written(
        self,
        tmp_path: Path,
        sql: str,
        source: str,
        options: Mapping[str, str] | None = None,
        by: tuple[str, ...] = (),
        reading: Mapping[str, str] | None = None,
        schema: str = "",
    ) -> tuple[list[str], list[str]]:
        """Write a query by both; assert that Spark reads the same rows of both, in the same schema,
        and aflint as well. Return the names of both's files.
        """
        theirs, ours = tmp_path / "theirs", tmp_path / "ours"
        self.writer(sql, source, options=options, by=by).save(str(theirs))
        self.write(self.writer(sql, source, options=options, by=by), ours)
        self.same_rows(source, theirs, ours, reading, schema)
        return names(theirs), names(ours)

    def same_rows(
        self,
        source: str,
        theirs: Path,
        ours: Path,
        reading: Mapping[str, str] | None = None,
        schema: str = "",
    ) -> None:
        """Assert that Spark reads the same of two folders, and aflint what Spark does."""
        answers = []
        for path in (theirs, ours):
            self.read(source, path, reading, schema)
            found = self.spark.spark("SELECT * FROM source")
            kind = self.spark.frame("SELECT * FROM source").schema().json()
            answers.append((kind, Counter(map(exact, found))))
            self.spark.check("SELECT * FROM source", expected=found)
        assert answers[0] == answers[1]


def names(folder: Path) -> list[str]:
    """Return the names of the files in a folder, without what no two jobs have in common."""
    found = (str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    return sorted(
        re.sub(r"-[0-9a-f]{8}-[0-9a-f-]{27}", "-UUID", name)
        for name in found
        if not name.endswith(".crc")
    )
