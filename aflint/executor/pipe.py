"""`RDD.pipe`: the records of a partition through an external command."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any


def pipe(
    command: str | Sequence[str],
    env: Mapping[str, str] | None,
    check: bool,
    partition: int,
    records: Iterator[Any],
) -> Iterator[str]:
    """Write each record as a line to a command, and give the lines it prints.

    Raises RuntimeError when `check` is set and the command's exit status is not 0, and
    FileNotFoundError where there is no such command. The command is killed when the lines are not
    read to their end.
    """
    arguments = shlex.split(command) if isinstance(command, str) else list(command)
    process = subprocess.Popen(
        arguments, env={**os.environ, **(env or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    failures: list[BaseException] = []
    feeder = threading.Thread(
        target=_feed, args=(process.stdin, records, failures), name="aflint-pipe", daemon=True
    )
    feeder.start()
    try:
        for line in process.stdout:
            yield line.rstrip(b"\r\n").decode()
        feeder.join()
        status = process.wait()
        if failures:
            raise failures[0]
        if check and status:
            raise RuntimeError(f"pipe: {shlex.join(arguments)} ended with exit status {status}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        feeder.join()


def _feed(stdin: IO[bytes], records: Iterator[Any], failures: list[BaseException]) -> None:
    try:
        with stdin:
            for record in records:
                stdin.write(str(record).rstrip("\n").encode() + b"\n")
    except BrokenPipeError:
        return  # The command has read all it wants.
    except BaseException as error:
        failures.append(error)
