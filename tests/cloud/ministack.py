"""An emulator of AWS that others wrote, in an environment and a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = "1.5.33"
"""It pins its dependencies exactly, so that it cannot share our environment."""

_FOLDER = Path(__file__).parents[2] / ".cache" / f"ministack-{VERSION}"
_START_S = 60.0
_LOOK_S = 0.05


class NotThereError(Exception):
    """It could not be installed or started; says why."""


def install() -> Path:
    """Return its Python, in a folder that is made once. Raises NotThereError."""
    python = _FOLDER / "bin" / "python"
    if python.exists():
        return python
    scratch = _FOLDER.with_name(f"{_FOLDER.name}-{os.getpid()}")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    venv = [sys.executable, "-m", "venv", "--without-pip", str(scratch)]
    into = [*pip, "--python", str(scratch), "install", f"ministack=={VERSION}"]
    try:
        for command in (venv, into):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        scratch.rename(_FOLDER)
    except subprocess.SubprocessError as error:
        raise NotThereError(f"{error}: {getattr(error, 'stderr', '')}") from error
    except OSError:
        if not python.exists():  # else another process was faster
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return python


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run it, with its files in `folder`, and give its URL. Raises NotThereError."""
    python = install()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", "ministack"], cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait(process, port, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until it listens: another process says nothing when it is ready."""
    until = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                said = log.read_text(errors="replace")[-2000:]
                raise NotThereError(f"ministack did not start: {said}") from None
            time.sleep(_LOOK_S)
        else:
            return
