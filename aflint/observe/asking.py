"""What is typed into the page: run in its session, and shown up to so many rows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from aflint.errors import InvalidArgumentError
from aflint.observe.cells import Cells
from aflint.observe.tables import MOST_ROWS, shown, table

if TYPE_CHECKING:
    from aflint import Session
    from aflint.sql.batches import Batches

_READS: Final = re.compile(r"\s*(select|with|from|values|table)\b", re.IGNORECASE)


class Asker:
    """Runs queries and Python in a session, which `session` returns, or opens when first asked."""

    def __init__(self, session: Callable[[], Awaitable[Session]]) -> None:
        self._session = session
        self._cells: Cells | None = None

    async def ask(self, language: str, code: str) -> dict[str, Any]:
        """Run code and return what to show of its result, as JSON has it.

        Raises InvalidArgumentError for a language that is neither `sql` nor `python`, CellError for
        what the code raises, and what a query raises.
        """
        session = await self._session()
        if self._cells is None:
            self._cells = Cells(await asyncio.to_thread(session.names))
        match language:
            case "python":
                return await self._cells.run(code)
            case "sql" if (spark := self._cells.names.get("spark")) is not None:
                # It knows the program's own views.
                return await shown(await asyncio.to_thread(spark.sql, limited(code)))
            case "sql":
                return await answer(session.sql, code)
            case _:
                raise InvalidArgumentError(f"the page runs sql and python, not {language!r}")


async def answer(sql: Callable[[str], Awaitable[Batches]], query: str) -> dict[str, Any]:
    """Run a query, and return its first rows; of more, only that there are. Raises what `sql` does.

    A query that only reads is limited, so that a million rows never come to the driver.
    """
    return table(await sql(limited(query)))


def limited(query: str) -> str:
    """Return a query that gives one row more than is shown, at most, if it only reads."""
    query = query.strip().rstrip(";")
    if _READS.match(query):
        return f"SELECT * FROM (\n{query}\n) LIMIT {MOST_ROWS + 1}"
    return query
