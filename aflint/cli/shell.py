"""`aflint shell`: a prompt with a session, and top-level await."""

from __future__ import annotations

import ast
import asyncio
import code
import inspect
import os
import sys
import types
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

import typer

from aflint.cli.command import Given, command
from aflint.cli.panels import Panel
from aflint.config import Config
from aflint.driver.calls import Calls
from aflint.driver.tracebacks import hide_inside_in_cells, show_in_cell
from aflint.errors import AflintError
from aflint.executor.io_loop import IOLoop

T = TypeVar("T")

_INTERRUPT = "KeyboardInterrupt"
_HASHES = "PYTHONHASHSEED"
_WITHOUT = "IPython is not installed (pip install 'aflint[shell]'): this is Python's own prompt."


def prompt(names: dict[str, Any], banner: str, io: IOLoop | None = None) -> None:
    """Read and run what is typed, with IPython where it is installed, until the end of input.

    What awaits runs on the loop of `io`, which goes on while the user thinks: sessions are not cut
    off from their workers.
    """
    try:
        from IPython.terminal.ipapp import TerminalIPythonApp
        from traitlets.config import Config as Traits
    except ModuleNotFoundError:
        _Console(names, io).interact(f"{_WITHOUT}\n{banner}", exitmsg="")
        return
    traits = Traits()
    traits.TerminalInteractiveShell.banner1 = f"{banner}\n"
    traits.TerminalInteractiveShell.confirm_exit = False
    app = TerminalIPythonApp.instance(user_ns=names, config=traits)
    app.initialize(argv=[])
    if io is not None:
        app.shell.loop_runner = partial(run_until_interrupted, io)
        app.shell.set_custom_exc((asyncio.CancelledError, AflintError), _show_end)
    else:
        hide_inside_in_cells()
    app.start()


@dataclass(frozen=True)
class _Ending:
    """What ends a process, on its way to the main thread."""

    error: BaseException


def run_until_interrupted(io: IOLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop; Ctrl-C cancels it, and its end is waited for.

    A second Ctrl-C leaves it to itself and is raised.
    """

    async def guarded() -> T | _Ending:
        try:
            return await coroutine
        except (SystemExit, KeyboardInterrupt) as error:  # which would end the loop
            return _Ending(error)

    call = Calls(io.loop).call(guarded)
    try:
        call.start()
        result = call.result()
    except KeyboardInterrupt:
        call.cancel()
        result = call.result()
    if isinstance(result, _Ending):
        raise result.error
    return result


def _show_end(shell: Any, kind: type, error: Any, trace: Any, tb_offset: Any = None) -> None:
    if issubclass(kind, AflintError):
        show_in_cell(shell, kind, error, trace, tb_offset)
    else:
        typer.echo(_INTERRUPT, err=True)


class _Console(code.InteractiveConsole):
    """Python's own prompt, where a statement may await."""

    def __init__(self, names: dict[str, Any], io: IOLoop | None) -> None:
        super().__init__(names)
        self._io = io
        if io is not None:
            self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def runcode(self, code: types.CodeType) -> None:
        """Run a statement; show its error, and go on, with Ctrl-C as well."""
        if self._io is None or not code.co_flags & inspect.CO_COROUTINE:
            super().runcode(code)
            return
        statement = types.FunctionType(code, self.locals)
        try:
            run_until_interrupted(self._io, statement())
        except SystemExit:
            raise
        except (asyncio.CancelledError, KeyboardInterrupt):
            self.write(f"{_INTERRUPT}\n")
        except BaseException:
            self.showtraceback()


def run_shell(config: Config) -> None:
    """Open a session, prompt until the end of input, and close it."""
    import aflint

    with IOLoop() as io:
        session = io.run(aflint.open(config))
        try:
            banner = (
                f"aflint {aflint.__version__} on {config.backend}: `session` is open, and await "
                "works. Ctrl-D ends."
            )
            prompt({"aflint": aflint, "session": session}, banner, io)
        finally:
            io.run(session.aclose())


def run_pyspark_shell() -> None:
    """Make a context and a session of PySpark's, and prompt until the end of input."""
    from aflint.pyspark.install import install

    install()
    from pyspark.sql import SparkSession

    import aflint

    spark = SparkSession.builder.appName("aflint shell").getOrCreate()
    try:
        banner = f"PySpark on aflint {aflint.__version__}: `spark` and `sc` are there. Ctrl-D ends."
        prompt({"spark": spark, "sc": spark.sparkContext}, banner)
    finally:
        spark.stop()


def _again_with(environment: dict[str, str]) -> None:
    """Start this process again with variables that Python reads only when it starts."""
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **environment})


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    def as_given(given: Given) -> Given:
        return given

    @command(app, "shell", Panel.RUN, as_given)
    def shell(
        given: Given,
        pyspark: Annotated[
            bool, typer.Option("--pyspark", help="Have `sc` and `spark` in place of a session.")
        ] = False,
    ) -> None:
        """Open a prompt with a session and top-level await; IPython's where it is installed."""
        environment = given.environment()
        if not pyspark:
            run_shell(given.config())
            return
        if _HASHES not in os.environ:  # as spark-submit does: the driver hashes as tasks do
            _again_with({_HASHES: "0"})
        os.environ.update(environment)
        run_pyspark_shell()
