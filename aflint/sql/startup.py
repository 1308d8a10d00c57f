"""Has the planner's JVM start in half the CPU: `python -m aflint.sql.startup`, run once.

Most of a JVM's start is loading Spark's classes. Here they are loaded once, and what became of them
is written beside Spark's own files, from where later JVMs map it into memory.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from aflint.errors import ConfigError
from aflint.sql.catalyst import OPTIONS, Catalyst, archive, jars, java, java_home

_QUERY = "SELECT id % 3 AS k, count(*) AS n FROM range(9) GROUP BY id % 3 ORDER BY n"


def share_classes(target: Path) -> None:
    """Write an archive of the classes that planning a query loads.

    Raises ConfigError where Java does not write it.
    """
    with tempfile.TemporaryDirectory(prefix="aflint-startup-") as folder:
        classes, part = Path(folder, "classes"), target.with_suffix(".part")
        process = java(options=[f"-XX:DumpLoadedClassList={classes}"])
        catalyst = Catalyst({})
        catalyst.plan(catalyst.session.sql(_QUERY))
        catalyst.close()
        process.close()
        written = subprocess.run(
            [
                f"{java_home()}/bin/java",
                *OPTIONS,
                "-Xshare:dump",
                f"-XX:SharedClassListFile={classes}",
                f"-XX:SharedArchiveFile={part}",
                "-cp",
                f"{jars()}/*",
            ],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if written.returncode or not part.is_file():
            part.unlink(missing_ok=True)
            raise ConfigError(f"Java did not write {part}: {written.stdout[-500:].strip()}")
        part.replace(target)


if __name__ == "__main__":
    share_classes(archive())
