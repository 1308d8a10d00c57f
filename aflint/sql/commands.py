"""Commands of SQL that compute, such as INSERT and CREATE TABLE AS SELECT: the planner analyses
them and runs none, and the engine writes what they write.

Commands of the catalog (CREATE VIEW, SHOW, DESCRIBE, SET) are the planner's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from aflint.sql.catalyst import Catalyst
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.plan import PlanNode

_MET = re.compile(r"aflint runs command (\d+)")
_SCRIPT = "[UNSUPPORTED_FEATURE.SQL_SCRIPTING]"

_NAMES = {
    "DeleteFromTable": "DELETE",
    "UpdateTable": "UPDATE",
    "MergeIntoTable": "MERGE",
    "SetVariable": "SET VARIABLE to what a query gives",
    "Call": "CALL",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One write of a command, and what the planner does before it and once it is written."""

    plan: PlanNode
    begin: Callable[[], None]
    finish: Callable[[], None]


def met(catalyst: Catalyst, error: Exception) -> Any:
    """Return the command for which the planner raised an error, or None for another error.

    Raises UnsupportedPlanError for a script, which the planner would run whole.
    """
    said = str(error)
    if found := _MET.search(said):
        return catalyst.commands.take(int(found[1]))
    if _SCRIPT in said:
        raise UnsupportedPlanError("an SQL script", instead="Run its statements one by one.")
    return None


def parts(command: Any) -> list[Any]:
    """Return the commands of one statement: several, where it inserts into several tables."""
    if kind(command) != "Union":
        return [command]
    children = command.children()
    return [children.apply(i) for i in range(children.size())]


def kind(command: Any) -> str:
    """Return the name of a command's class."""
    return str(command.getClass().getSimpleName())


def is_cache(command: Any) -> bool:
    """Say whether a command only keeps a table, and counts its rows so that they are computed."""
    return kind(command) in ("CacheTable", "CacheTableAsSelect")


def step(catalyst: Catalyst, session: Any, command: Any) -> Step | None:
    """Return how a command is run, or None where there is nothing to compute: the planner may run
    it. Raises UnsupportedPlanError, before anything runs, for one that aflint does not run.
    """
    commands, name = catalyst.commands, kind(command)
    match name:
        case "InsertIntoHadoopFsRelationCommand":
            if commands.isScattered(session, command):
                raise UnsupportedPlanError("INSERT into a table with partitions in other folders")
            plan = catalyst.plan_command(session, command)
            return Step(plan, _nothing, partial(commands.written, session, command))
        case "InsertIntoDataSourceDirCommand":
            plan = catalyst.plan_command(session, commands.writing(session, command))
            return Step(plan, _nothing, _nothing)
        case "CreateDataSourceTableAsSelectCommand":
            if commands.isSettled(session, command):
                return None
            plan = catalyst.plan_command(session, commands.writing(session, command))
            begin, finish = (
                partial(do, session, command) for do in (commands.begin, commands.written)
            )
            return Step(plan, begin, finish)
    raise refused(command)


def _nothing() -> None:
    """A command of paths alone: the catalog knows nothing of it."""


def refused(command: Any) -> UnsupportedPlanError:
    """Return the error that refuses a command."""
    name = kind(command)
    what = f"the command {_NAMES.get(name, name.removesuffix('Command'))}"
    if name.startswith("Analyze"):
        return UnsupportedPlanError("ANALYZE TABLE", instead="Leave it out, or add NOSCAN.")
    return UnsupportedPlanError(what, instead="Write a query's rows to a new table or path.")
