"""`aflint ui`: the page of this user's runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aflint.cli.command import command
from aflint.cli.history import follow_bucket
from aflint.cli.panels import Panel
from aflint.config import Config
from aflint.executor.io_loop import IOLoop

if TYPE_CHECKING:
    from aflint import Session
    from aflint.observe.page import Ask


@contextmanager
def _own_session(config: Config) -> Iterator[Ask]:
    """Yield what runs the code that is typed into the page, in a session that the first of it
    opens.
    """
    import aflint
    from aflint.observe.asking import Asker

    opened: list[Session] = []
    turn = asyncio.Lock()

    async def session() -> Session:
        async with turn:
            if not opened:
                opened.append(await aflint.open(config.replace(progress=False, ui=False)))
            return opened[0]

    with IOLoop() as io:
        asker = Asker(session)
        following: Future[None] | None = None
        if config.backend == "aws" and config.history_mb:
            following = io.submit(follow_bucket(config))

        def ask(language: str, code: str) -> Future[dict[str, Any]]:
            return io.submit(asker.ask(language, code))

        try:
            yield ask
        finally:
            if following is not None:
                following.cancel()
            for each in opened:
                io.run(each.aclose())


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "ui", Panel.SEE)
    def ui(
        config: Config,
        port: Annotated[
            int | None,
            typer.Option(
                "--port", min=0, max=65535, help="Port on this machine; 0: any that is free.",
                show_default="4040, or the next one that is free",
            ),
        ] = None,
    ) -> None:  # fmt: skip
        """Show running and past jobs in a browser on this machine, until Ctrl-C.

        Queries and Python that are typed there run in a session of its own.
        """
        from aflint.observe.opening import new_page

        with _own_session(config) as ask:
            server = new_page(port, ask)
            typer.echo(f"{server.url}\nCtrl-C ends it.")
            server.serve()
