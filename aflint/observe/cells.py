"""Python that is typed into the page, cell after cell, as in a notebook."""

from __future__ import annotations

import ast
import asyncio
import io
import linecache
import sys
import traceback
from collections.abc import Mapping
from contextlib import redirect_stdout
from contextvars import ContextVar
from inspect import CO_COROUTINE
from types import CodeType
from typing import Any, Final

from aflint.driver.tracebacks import hide_inside
from aflint.errors import CellError
from aflint.observe.tables import cut, shown

_MODULE: Final = "__page__"
"""No such module can be imported: so functions of a cell travel to tasks by value."""
_MOST_PRINTED: Final = 100_000

# What the running cell has printed. Asyncio tasks and threads that it starts inherit it.
_printed: ContextVar[io.StringIO | None] = ContextVar("printed", default=None)


class Cells:
    """One namespace, and the cells that were run in it: one at a time.

    Cells may await at their top level, on the loop of the session. Where there is no `session`
    among the names, as in a PySpark program, calls block, and a cell that awaits nothing runs in a
    thread.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names: dict[str, Any] = {"__name__": _MODULE, **names}
        self._blocking = "session" not in names
        self._turn = asyncio.Lock()
        self._count = 0

    async def run(self, code: str) -> dict[str, Any]:
        """Run a cell, and return what it printed and the value that its last line has, if any.

        Raises CellError, with a traceback of the cell's own lines, for whatever the code raises:
        `exit()`, too, ends nothing but the cell.
        """
        async with self._turn:
            self._count += 1
            name = f"<cell {self._count}>"
            # Tracebacks quote the lines from here. A file without a time is never looked for.
            linecache.cache[name] = (len(code), None, code.splitlines(True), name)
            printed = io.StringIO()
            token = _printed.set(printed)
            try:
                with redirect_stdout(_Stdout(sys.stdout)):
                    found = await shown(await self._value(code, name))
            except asyncio.CancelledError:
                raise
            except SystemExit:
                raise CellError(f"{_said(printed)}exit() ends the cell, not the session") from None
            except BaseException as error:
                raise CellError(_said(printed) + _trace(error)) from None
            finally:
                _printed.reset(token)
            return {**found, "printed": cut(printed.getvalue())}

    async def _value(self, code: str, name: str) -> Any:
        body = ast.parse(code, name)
        last = body.body[-1] if body.body else None
        if not isinstance(last, ast.Expr):
            return await self._run(_compiled(body, name, "exec"))
        body.body.pop()
        await self._run(_compiled(body, name, "exec"))
        return await self._run(_compiled(ast.Expression(last.value), name, "eval"))

    async def _run(self, code: CodeType) -> Any:
        if self._blocking and not code.co_flags & CO_COROUTINE:
            return await asyncio.to_thread(eval, code, self.names)
        value = eval(code, self.names)
        return await value if code.co_flags & CO_COROUTINE else value


def _compiled(body: ast.Module | ast.Expression, name: str, mode: str) -> CodeType:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    found: CodeType = compile(body, name, mode, flags=flags, dont_inherit=True)
    return found


def _said(printed: io.StringIO) -> str:
    return cut(printed.getvalue())


def _trace(error: BaseException) -> str:
    """Return an error as Python shows it, from the cell's own lines on."""
    trace = error.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith("<cell "):
        trace = trace.tb_next
    hide_inside(error.with_traceback(trace))
    return "".join(traceback.format_exception(error)).rstrip()


class _Stdout(io.TextIOBase):
    """Standard output while a cell runs: what it prints is kept, what others print is not."""

    def __init__(self, beneath: Any) -> None:
        self._beneath = beneath

    def write(self, text: str) -> int:
        printed = _printed.get()
        if printed is None:
            return int(self._beneath.write(text))
        return printed.write(text) if printed.tell() < _MOST_PRINTED else len(text)

    def flush(self) -> None:
        self._beneath.flush()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return str(self._beneath.encoding)
