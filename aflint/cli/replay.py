"""`aflint replay`: runs a failed task again in this process, under a debugger if asked to."""

from __future__ import annotations

import os
import pdb
import sys
import tempfile
import traceback
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from aflint.cli.command import Json, console, write_json
from aflint.cli.panels import Panel
from aflint.errors import InvalidArgumentError
from aflint.executor.failure import users_part

if TYPE_CHECKING:
    from aflint.executor.keeping import KeptTask

_FAILED: Final = 1


def run_kept(kept: KeptTask, breaks: list[str], *, debug: bool) -> int:
    """Run a kept task and return the exit status: 1 where its code raises, as it did.

    With `debug`, a debugger opens where it was raised; at `breaks`, FILE:LINE, before that.
    """
    from aflint.executor.replaying import replay
    from aflint.storage.router import open_storage

    sys.path += [each for each in kept.path if each not in sys.path]
    debugger = None
    if breaks:
        debugger = pdb.Pdb()
        for each in breaks:
            _set_break(debugger, each)
        # The debugger stops at the first line that it sees, which is none of the user's.
        debugger.rcLines.append("continue")
    with tempfile.TemporaryDirectory(prefix="aflint-replay-") as scratch:
        try:
            if debugger is None:
                replay(kept, open_storage(), Path(scratch))
            else:
                debugger.runcall(replay, kept, open_storage(), Path(scratch))
        except (Exception, SystemExit) as error:
            users = users_part(error)
            traceback.print_exception(type(error), error, users)
            if debug:
                pdb.post_mortem(users)
            return _FAILED
    typer.echo("The task ended without an error.")
    return 0


def _set_break(debugger: pdb.Pdb, place: str) -> None:
    file, colon, line = place.rpartition(":")
    if not colon or not line.isdecimal():
        raise InvalidArgumentError(f"--break {place}: write it as FILE:LINE")
    if problem := debugger.set_break(os.path.abspath(file), int(line)):
        raise InvalidArgumentError(f"--break {place}: {problem}")


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @app.command("replay", rich_help_panel=Panel.SEE)
    def replay_command(
        task: Annotated[
            str | None,
            typer.Argument(
                metavar="JOB/STAGE/PARTITION", help="The task.", show_default="list them all"
            ),
        ] = None,
        debug: Annotated[
            bool, typer.Option("--pdb", help="Open a debugger where the error is raised.")
        ] = False,
        breaks: Annotated[
            list[str] | None,
            typer.Option("--break", "-b", help="FILE:LINE to stop at; can be repeated."),
        ] = None,
        as_json: Json = False,
    ) -> None:
        """Run a failed task again here, over what it read: keep_failed = true keeps them."""
        from aflint.driver.failed import FailedTasks
        from aflint.observe.history import failed_folder

        failed = FailedTasks(failed_folder())
        if task is not None:
            raise typer.Exit(run_kept(failed.read(task), breaks or [], debug=debug))
        found = list(failed.names())
        if as_json:
            write_json([{"task": name, "kept": since} for name, since in found])
        elif not found:
            typer.echo("No failed task is kept: keep_failed = true keeps them.")
        for name, since in [] if as_json else found:
            console().print(f"{name}  {datetime.fromtimestamp(since):%Y-%m-%d %H:%M}")
