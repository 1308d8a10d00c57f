"""The page, opened where a command or a session asks for it."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from aflint.errors import ConfigError
from aflint.observe.asking import Asker

if TYPE_CHECKING:
    from aflint import Session
    from aflint.observe.page import Ask, PageServer


def new_page(port: int | None, ask: Ask) -> PageServer:
    """Return the page, bound to its port.

    Raises ConfigError where `aflint[ui]` is not installed, or the port is in use.
    """
    try:
        from aflint.observe.page import PageServer
    except ModuleNotFoundError as error:
        raise ConfigError(f"the page needs {error.name}: pip install 'aflint[ui]'") from None
    return PageServer(port, ask)


def open_page(session: Session) -> PageServer:
    """Serve the page of a session, and write its address to standard error.

    Raises as `new_page` does, and ConfigError for a session that keeps no history to show.
    """
    config = session.config
    if not config.history_mb:
        raise ConfigError("ui needs a history to show: history_mb is 0")
    loop = asyncio.get_running_loop()

    async def this() -> Session:
        return session

    asker = Asker(this)

    def ask(language: str, code: str) -> Future[dict[str, Any]]:
        return asyncio.run_coroutine_threadsafe(asker.ask(language, code), loop)

    page = new_page(config.ui_port, ask)
    page.start()
    print(f"the page of this run: {page.url}", file=sys.stderr)
    return page
