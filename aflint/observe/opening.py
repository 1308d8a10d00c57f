"""The page, opened where a command or a session asks for it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from aflint.config import Config
from aflint.errors import ConfigError

if TYPE_CHECKING:
    from aflint.observe.page import PageServer


def new_page(port: int | None) -> PageServer:
    """Return the page, bound to its port.

    Raises ConfigError where `aflint[ui]` is not installed, or the port is in use.
    """
    try:
        from aflint.observe.page import PageServer
    except ModuleNotFoundError as error:
        raise ConfigError(f"the page needs {error.name}: pip install 'aflint[ui]'") from None
    return PageServer(port)


def open_page(config: Config) -> PageServer:
    """Serve the page of a session, and write its address to standard error.

    Raises as `new_page` does, and ConfigError for a session that keeps no history to show.
    """
    if not config.history_mb:
        raise ConfigError("ui needs a history to show: history_mb is 0")
    page = new_page(config.ui_port)
    page.start()
    print(f"the page of this run: {page.url}", file=sys.stderr)
    return page
