"""A program of PySpark's on aflint, and with no JVM."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from bench.peers.pyspark_client import Pyspark


class PysparkOnAflint(Pyspark):
    """The same program of PySpark's, on aflint's local backend with two workers."""

    name = "PySpark program on aflint"

    @staticmethod
    def available() -> bool:
        """Tell whether PySpark's Python part is there; no Java is needed."""
        return find_spec("pyspark") is not None

    def command(self) -> tuple[str, ...]:
        """Return what runs the program on aflint, under this Python."""
        file = Path(__file__).with_name(f"{self._program}.py")
        return sys.executable, "-m", "aflint.pyspark", str(file)

    def environment(self) -> dict[str, str]:
        """Return an environment in which no Java is looked for."""
        return {**super().environment(), "JAVA_HOME": os.environ.get("JAVA_HOME", "none")}
