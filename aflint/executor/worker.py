"""A local worker process: tasks in over a socket, results out, one at a time.

Started by `aflint.invoker.local` as `python -m aflint.executor.worker FD`. Messages are bytes
behind their length: the session's secret, then sealed tasks, and sealed lists of what is not to be
held any more; and back, packed wire values, each a TaskResult, or {"refused"} with a reason. The
worker ends when the driver closes its end of the socket, or ends in any way, even in the middle of
a task: a second thread waits for that.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

from aflint.codec.sealed import Opener, asks_to_drop, open_drop, open_task
from aflint.codec.secret import Secret
from aflint.errors import PayloadRefusedError, RecordTooLargeError
from aflint.executor.failure import describe
from aflint.executor.io_loop import IOLoop
from aflint.executor.memory import collect_seldom
from aflint.executor.runner import Executor
from aflint.storage.router import open_storage
from aflint.task import TaskResult
from aflint.transport import create_transport
from aflint.wire import pack

LENGTH = struct.Struct("<Q")
_PR_SET_PDEATHSIG = 1


def receive(channel: socket.socket) -> bytes | None:
    """Return the next message, or None at the end."""
    head = _exactly(channel, LENGTH.size)
    return None if head is None else _exactly(channel, LENGTH.unpack(head)[0])


def send(channel: socket.socket, message: Any) -> None:
    """Send a message whole."""
    _send_packed(channel, pack(message))


def answer(channel: socket.socket, result: TaskResult) -> None:
    """Send a result, or that it cannot be sent."""
    try:
        body = pack(result)
    except (ValueError, TypeError, OverflowError) as error:
        failure = describe(
            RecordTooLargeError(
                f"the result of partition {result.id.partition} of stage {result.id.stage} cannot "
                f"be sent to the driver: {error}. Use more partitions, or save the records"
            ),
            result.id,
        )
        body = pack(TaskResult(result.id, failure=failure))
    _send_packed(channel, body)


def _send_packed(channel: socket.socket, body: bytes) -> None:
    channel.sendall(LENGTH.pack(len(body)) + body)  # at once: the driver wakes once


def _exactly(channel: socket.socket, size: int) -> bytes | None:
    buffer = bytearray(size)
    view = memoryview(buffer)
    while view:
        count = channel.recv_into(view)
        if not count:
            return None
        view = view[count:]
    return bytes(buffer)


def _die_with(lifeline: int) -> None:
    """End this process, and what it started, as soon as the other end of a pipe is closed."""
    while os.read(lifeline, 1):
        pass
    # As the leader of its group it takes along what the task started.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _go_on_when_orphaned() -> None:
    """Have a worker that is stopped when its driver ends go on, so that it ends, too.

    SIGCONT and not SIGKILL: by the lifeline what the worker has started is ended, as well.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)


def main() -> None:
    """Serve tasks until the driver is gone."""
    faulthandler.enable(all_threads=False)
    _go_on_when_orphaned()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which then ends us.
    channel = socket.socket(fileno=int(sys.argv[1]))
    threading.Thread(target=_die_with, args=(int(sys.argv[2]),), daemon=True).start()
    scratch = Path(sys.argv[3])
    # The driver checks the version before it sends the secret.
    send(channel, ("ready", sys.version_info[:2], os.getpid()))
    secret = receive(channel)
    if secret is None:
        return  # the driver ended meanwhile
    opener = Opener(Secret(secret))
    with IOLoop() as io:
        executor = Executor(
            io, open_storage(), create_transport, scratch, opener.secret, name=scratch.name
        )
        collect_seldom()
        while (sealed := receive(channel)) is not None:
            try:
                if asks_to_drop(sealed):
                    executor.held.drop(open_drop(opener, sealed))
                    continue
                task = open_task(opener, sealed)
            except PayloadRefusedError as error:
                send(channel, {"refused": str(error)})
            else:
                answer(channel, executor.run(task))
        executor.close()


if __name__ == "__main__":
    main()
