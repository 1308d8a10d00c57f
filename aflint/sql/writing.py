"""Writes a DataFrame as files: from the physical plan of Spark's own command to a saving job."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aflint.driver.commit import Mode
from aflint.driver.jobs import JobRunner
from aflint.events import PlanInfo
from aflint.plan.lineage import Node
from aflint.plan.program import Return
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.sinks import lines, parquet
from aflint.sql.sinks.files import BUCKET, FOLDER, FileSink, WriteFile, folder_name
from aflint.sql.sinks.options import Options
from aflint.sql.stages import Compiler, Relation, Settings, Stage
from aflint.sql.types import quoted
from aflint.task import StagedPart

_MODES: dict[str, Mode] = {
    "ErrorIfExists": "new",
    "Ignore": "new",
    "Append": "append",
    "Overwrite": "overwrite",
}


@dataclass(frozen=True, slots=True)
class Write:
    """A write that is ready to run: the RDD of its parts, and where they go."""

    node: Node
    target: str
    mode: Mode
    plan: PlanInfo
    skips: bool = False
    """Nothing is to be written where anything is there."""
    within: str = ""
    """Of what an overwrite replaces, the folder of the target that it is in: by default all."""


def compiled_write(plan: PlanNode, runner: JobRunner, settings: Settings) -> Write:
    """Return a write for the plan of a command. Raises UnsupportedPlanError, before anything
    runs.
    """
    if plan.kind != "DataWritingCommandExec" or "path" not in plan.fields:
        raise UnsupportedPlanError(
            f"the command {plan.fields.get('command', plan)}", instead="Write files by a path."
        )
    compiler = Compiler.of(plan, runner, settings)
    stage = Stage(compiler)
    child = plan.child.child if plan.child.kind == "WriteFilesExec" else plan.child
    relation = stage.relation(child)
    query, sink = _sink(plan, child, relation, stage)
    target = sink.target
    mode = _MODES[plan.fields["mode"]]
    if mode == "overwrite" and plan.fields["dynamic"]:
        mode = "overwrite_partitions"
    node = compiler.adapted(stage.lineage(f"write {target}", query, sink=sink))
    skips, within = plan.fields["mode"] == "Ignore", _replaced(plan.fields["static"], sink.placed)
    return Write(node, target, mode, plan.info, skips, within)


def _replaced(static: Mapping[str, str], placed: tuple[str, ...]) -> str:
    """Return the folder of the partition that an INSERT names, as far as it names one."""
    named = tuple(itertools.takewhile(lambda column: column in static, placed))
    return folder_name(named, [static[column] for column in named]).rstrip("/")


def _sink(
    plan: PlanNode, child: PlanNode, relation: Relation, stage: Stage
) -> tuple[str, FileSink]:
    """Return what a task's query selects, and what becomes of it."""
    fields = plan.fields
    options = Options(fields["options"])
    placed = {each.id: each for each in plan.expressions("partitions")}
    named = list(zip(fields["columnNames"], child.output, strict=True))
    data = [(name, each) for name, each in named if each.id not in placed]
    items, write_file = _written(fields, options, data, stage)
    names = {each.id: name for name, each in named}
    if placed:
        values = ", ".join(_folder_value(each, stage) for each in placed.values())
        items.append(f"CAST(to_json([{values}]) AS VARCHAR) AS {FOLDER}")
    if "buckets" in fields:
        items.append(f"{_bucket(fields['buckets'], named, stage)} AS {BUCKET}")
    sink = FileSink(
        target=fields["path"].removeprefix("file:"),
        extension=fields["extension"],
        write_file=write_file,
        placed=tuple(names[id] for id in placed),
        most_records=int(options.get("maxRecordsPerFile", fields["mostRecords"])),
        bucketed="buckets" in fields,
    )
    return f"SELECT {', '.join(items)} FROM ({relation.sql})", sink


def _written(
    fields: Any, options: Options, data: list[tuple[str, Expression]], stage: Stage
) -> tuple[list[str], WriteFile]:
    """Return the columns of a file, and what writes them. Raises UnsupportedPlanError."""
    kind = fields["format"]
    if kind == "ParquetFileFormat":
        items = [f"{each.column} AS {quoted(name)}" for name, each in data]
        metadata = {
            "org.apache.spark.version": fields["version"],
            "org.apache.spark.sql.parquet.row.metadata": fields["schema"],
        }
        codec = parquet.codec_of(fields["extension"])
        return items, parquet.WriteParquet(codec, tuple(metadata.items()))
    if kind in lines.FORMATS:
        line, head = lines.FORMATS[kind](data, options, stage.emit)
        compression = lines.compression_of(fields["extension"])
        return [f"{line} AS {lines.LINE}"], lines.WriteLines(compression, head)
    raise UnsupportedPlanError(f"writing files of {kind.removesuffix('FileFormat')}")


def _bucket(buckets: Mapping[str, Any], named: list[tuple[str, Expression]], stage: Stage) -> str:
    """The number of a row's bucket, by the hash that exchanges place rows by."""
    columns = {name.lower(): each for name, each in named}
    by = tuple(columns[name.lower()] for name in buckets["columns"])
    hashed, count = (
        stage.emit(Expression("Murmur3Hash", by, {"seed": 42}, "integer")),
        buckets["count"],
    )
    return f"({hashed} % {count} + {count}) % {count}"


def _folder_value(column: Expression, stage: Stage) -> str:
    """A partition value as the text that stands in a folder's name."""
    from aflint.sql.expressions.casts import converted
    from aflint.sql.types import STRING

    return converted(column, stage.emit, column.column, column.type, STRING)


async def run(write: Write, runner: JobRunner) -> None:
    """Run a write. Raises OutputExistsError where something is there that may not be."""
    begun = runner.past.saving(f"save to {write.target}")
    if write.skips and not begun and await runner.storage.exists(write.target):
        return
    with runner.query(f"save to {write.target}", write.plan) as query:
        await runner.save(write.node, Return(_parts), write.target, write.mode, query, write.within)


def _parts(partition: int, parts: Iterator[StagedPart]) -> list[StagedPart]:
    return list(parts)
