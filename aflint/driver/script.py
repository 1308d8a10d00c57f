"""A program as this process's main module: `python -m aflint.driver.script app.py [arguments]`.

It runs as Python runs a script, but may await at its top level, and an error of aflint's that ends
it is shown with the program's own lines alone.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import inspect
import os
import sys
import types
from collections.abc import Callable, Sequence
from functools import partial
from importlib.machinery import SourceFileLoader

from aflint.driver.tracebacks import hide_inside_at_exit
from aflint.errors import AflintError, ConfigError


class Script:
    """A program that was read and compiled, but not yet run.

    Raises ConfigError where there is no such program, and SyntaxError.
    """

    def __init__(self, app: str) -> None:
        path = os.path.abspath(app)  # as spark-submit makes it
        if os.path.isdir(path):
            raise ConfigError(f"{app} is a folder: name the program in it, such as {app}/main.py")
        if not os.path.isfile(path):
            raise ConfigError(f"there is no program {app}")
        loader = SourceFileLoader("__main__", path)
        self.path = path
        self.module = types.ModuleType("__main__")
        vars(self.module).update(
            __file__=path,
            __loader__=loader,
            __builtins__=builtins,
            __cached__=None,
            __annotations__={},
        )
        # Before the program is compiled: a SyntaxError is shown as Python shows it, too.
        sys.excepthook = partial(_show, path, sys.excepthook)
        self._code = compile(
            loader.get_data(path),
            path,
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )

    def become_main(self, arguments: Sequence[str]) -> None:
        """Make it this process's main module. Its functions are those of `__main__` even after its
        end, when threads and exit handlers may still call them.
        """
        sys.modules["__main__"] = self.module
        sys.argv = [self.path, *arguments]
        sys.path[0] = os.path.dirname(os.path.realpath(self.path))

    def run(self) -> None:
        """Run it to its end; what it raises, SystemExit too, is raised."""
        if self._code.co_flags & inspect.CO_COROUTINE:  # it awaits at its top level
            asyncio.run(eval(self._code, self.module.__dict__))
        else:
            exec(self._code, self.module.__dict__)


def _show(
    path: str,
    hook: Callable[..., object],
    kind: type[BaseException],
    error: BaseException,
    trace: types.TracebackType | None,
) -> None:
    """Print an error that ended the program as Python does for a script: from its own lines on."""
    while trace is not None and trace.tb_frame.f_code.co_filename != path:
        trace = trace.tb_next
    hook(kind, error.with_traceback(trace), trace)


def main(words: Sequence[str]) -> None:
    """Run the program that a command line names."""
    app, *arguments = words
    hide_inside_at_exit()
    try:
        script = Script(app)
    except AflintError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None
    script.become_main(arguments)
    script.run()


if __name__ == "__main__":
    # By its own name: as `__main__`, this module would be taken for the user's program.
    from aflint.driver.script import main as run_main

    run_main(sys.argv[1:])
