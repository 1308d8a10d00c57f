"""`RDD.pipe`: the records of a partition through an external command."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any


def pipe(
    command: str | Sequence[str],
    env: Mapping[str, str] | None,
    check: bool,
    partition: int,
    records: Iterator[Any],
) -> Iterator[str]:
    """Write each record as a line to a command, and give the lines it prints: see `piped`."""
    arguments = shlex.split(command) if isinstance(command, str) else list(command)
    for line in piped(arguments, {**os.environ, **(env or {})}, check, records):
        yield line.rstrip(b"\r\n").decode()


def piped(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    check: bool,
    records: Iterator[Any],
) -> Iterator[bytes]:
    """Write each record as a line to a command, and give the lines it prints, ends and all.

    Raises what making the records raised, RuntimeError when `check` is set and the command's exit
    status is not 0, and FileNotFoundError where there is no such command. The command is killed
    when the lines are not read to their end.
    """
    process = subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,  # so that what a shell starts is killed with it, and leaves the pipe
    )
    assert process.stdout is not None
    failures: list[BaseException] = []
    feeder = threading.Thread(
        target=_feed, args=(process, records, failures), name="aflint-pipe", daemon=True
    )
    feeder.start()
    try:
        yield from process.stdout
        feeder.join()  # before the status is asked for: it may have killed the command
        status = process.wait()
        if failures:
            raise failures[0]
        if check and status:
            raise RuntimeError(f"pipe: {shlex.join(arguments)} ended with exit status {status}")
    finally:
        _kill(process)
        process.wait()
        process.stdout.close()
        feeder.join()


def _feed(
    process: subprocess.Popen[bytes], records: Iterator[Any], failures: list[BaseException]
) -> None:
    assert process.stdin is not None
    try:
        for record in records:
            line = str(record).rstrip("\n").encode() + b"\n"
            try:
                process.stdin.write(line)
            except BrokenPipeError:  # The command has read all it wants.
                break
    except BaseException as error:
        failures.append(error)
        _kill(process)  # What it would print is of no use, and it may never end by itself.
    with suppress(BrokenPipeError):
        process.stdin.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:  # else its number may be another's by now
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
