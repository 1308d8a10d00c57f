"""How the planner's JVM starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aflint.sql import catalyst
from aflint.sql.catalyst import OPTIONS, Catalyst, jars, java_home


def started_with(memory: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the options that a JVM would be started with."""
    commands: list[list[str]] = []

    def start(command: list[str], **given: object) -> None:
        commands.append(command)
        raise OSError("not started")

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(catalyst, "_java", None)
    settings = {"spark.driver.memory": memory} if memory else {}
    with pytest.raises(OSError, match="not started"):
        Catalyst(settings)
    return commands[0]


@pytest.mark.parametrize(("memory", "option"), [("", "-Xmx1g"), ("3g", "-Xmx3g")])
def test_the_heap_grows_to_the_drivers_memory(
    memory: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = started_with(memory, monkeypatch)
    assert [each for each in command if each.startswith("-Xmx")] == [option]


@pytest.mark.slow  # it loads Spark's classes twice
def test_an_archive_of_classes_is_one_that_java_takes(tmp_path: Path) -> None:
    archive = tmp_path / "classes.jsa"
    write = (
        "from pathlib import Path; from aflint.sql.startup import share_classes; "
        f"share_classes(Path({str(archive)!r}))"
    )
    subprocess.run([sys.executable, "-c", write], check=True)
    assert [file.name for file in tmp_path.iterdir()] == ["classes.jsa"]
    taken = [f"{java_home()}/bin/java", *OPTIONS, "-Xshare:on", f"-XX:SharedArchiveFile={archive}"]
    # With -Xshare:on Java ends with an error where it cannot use the archive
    said = subprocess.run([*taken, "-cp", f"{jars()}/*", "-version"], capture_output=True)
    assert said.returncode == 0, said.stdout
