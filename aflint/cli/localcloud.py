"""`aflint localcloud`: the emulator on its own, until Ctrl-C."""

from __future__ import annotations

import asyncio
import shlex
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from aflint.cli.command import Json, write_json
from aflint.cli.panels import Panel

if TYPE_CHECKING:
    from aflint.localcloud import LocalCloud

_KIB = 1024


async def serve(cloud: LocalCloud, *, as_json: bool = False) -> None:
    """Run a cloud and print its environment; returns, all cleaned up, on SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Leaving the cloud ends its processes: a signal may not end this one before.
        loop.add_signal_handler(number, stop.set)
    async with cloud:
        if as_json:
            write_json(dict(cloud.environment()))
        else:
            for name, value in cloud.environment().items():
                typer.echo(f"export {name}={shlex.quote(value)}")
        # To standard error: standard output is for `eval $(aflint localcloud)` and the like.
        typer.echo(f"# localcloud serves {cloud.endpoint_url}; Ctrl-C ends it.", err=True)
        await stop.wait()


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @app.command("localcloud", rich_help_panel=Panel.RUN)
    def localcloud(
        port: Annotated[
            int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1; 0 for any free one.")
        ] = 0,
        message_limit_kib: Annotated[
            int, typer.Option(min=1, max=1024, help="SQS message and batch limit: 256 or 1024.")
        ] = 1024,
        concurrency: Annotated[
            int, typer.Option(min=1, help="Lambda invocations at once; each is a process.")
        ] = 10,
        region: Annotated[str, typer.Option(help="The region that it plays.")] = "us-east-1",
        faults: Annotated[
            str,
            typer.Option(help='Chances, such as "duplicate=0.05,kill=0.01"; none by default.'),
        ] = "",
        seed: Annotated[int, typer.Option(help="What the faults are drawn from.")] = 0,
        verify_signatures: Annotated[
            bool, typer.Option(help="Check every request's signature, not only its key.")
        ] = True,
        as_json: Json = False,
    ) -> None:
        """Run an emulator of SQS, S3 and Lambda here, and print the variables that select it."""
        from aflint.localcloud import Faults, LocalCloud

        asyncio.run(
            serve(
                LocalCloud(
                    port=port,
                    message_limit_bytes=message_limit_kib * _KIB,
                    concurrency=concurrency,
                    region=region,
                    faults=Faults.parse(faults, seed),
                    verify_signatures=verify_signatures,
                ),
                as_json=as_json,
            )
        )
