"""The virtual environments of engines that cannot share aflint's own."""

from __future__ import annotations

import subprocess
import venv
from collections.abc import Iterable

from bench.engine import PEERS, Engine


def install(engines: Iterable[Engine]) -> dict[str, str]:
    """Install what the engines need; return why, for each environment that could not be."""
    packages: dict[str, set[str]] = {}
    for engine in engines:
        if engine.venv:
            packages.setdefault(engine.venv, set()).update(engine.packages)
    failed = {}
    for name, needed in packages.items():
        folder = PEERS / name
        if not folder.exists():
            venv.create(folder, with_pip=True)
        pip = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--quiet",
        ]
        done = subprocess.run(
            [*pip, "install", *sorted(needed)], stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            failed[name] = next((line for line in lines if line.startswith("ERROR")), lines[-1])
    return failed
