"""The blocks of code in README.md, CONTRIBUTING.md and docs/, and what it takes to run them."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
from typer.testing import CliRunner

from aflint.cli import main
from aflint.config import resolve_config

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INCLUDED = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of code."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page as a reader of the site sees them, with files put in."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        indent, language, code = match.groups()
        dedented = "".join(each.removeprefix(indent) for each in code.splitlines(True))
        full = _INCLUDED.sub(lambda found: (ROOT / found[1]).read_text(encoding="utf-8"), dedented)
        yield Block(page.name, text.count("\n", 0, match.start()) + 1, language, full)


def commands(block: Block) -> list[list[str]]:
    """Return the words of each command of a block for a shell, without variables before it."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words:
            found.append(words)
    return found


def _redirected(words: Sequence[str]) -> tuple[list[str], tuple[str, str]]:
    """Return the words of a command, and the files that a shell would connect to it."""
    files = dict(pairwise(words))
    ends = [at for at, word in enumerate(words) if word in "<>"]
    return list(words[: min(ends, default=len(words))]), (files.get("<", ""), files.get(">", ""))


class Reader:
    """Someone who types all that a page says, from its first block to its last, in one folder."""

    def __init__(
        self,
        folder: Path,
        patch: pytest.MonkeyPatch,
        typed: Callable[[Sequence[str]], str],
        status: Callable[[Sequence[str]], int],
    ) -> None:
        self.folder = folder
        self.shown = ""
        """All that was written to standard output and standard error."""
        self._typed = typed
        self._status = status
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._runner = asyncio.Runner()
        # `run`, `submit` and `resume` go on as another program, in place of this process.
        patch.setattr(os, "execve", self._go_on_as)
        patch.setattr(os, "execvpe", self._go_on_as)

    def close(self) -> None:
        """End the event loop that the page's blocks share."""
        self._runner.close()

    def _go_on_as(self, _: str, words: Sequence[str], variables: dict[str, str]) -> NoReturn:
        done = subprocess.run(
            words, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.shown += done.stdout
        raise SystemExit(done.returncode)

    def python(self, block: Block, capture: pytest.CaptureFixture[str]) -> None:
        """Run a block with the names that those before it defined. One of PySpark is a program."""
        if "from pyspark" in block.text:
            (self.folder / "app.py").write_text(block.text)
            self.aflint(["submit", "app.py"])
            return
        if block.text.startswith("%"):
            self._notebook(block.text)
        else:
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            code = compile(block.text, str(block), "exec", flags=flags, dont_inherit=True)
            if code.co_flags & inspect.CO_COROUTINE:
                self._runner.run(eval(code, self._names))
            else:
                exec(code, self._names)
        said = capture.readouterr()
        self.shown += said.out + said.err

    def _notebook(self, cell: str) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        shell = InteractiveShell()
        try:
            shell.run_cell(cell).raise_error()
            assert "_aflint" in shell.user_ns
        finally:
            shell.history_manager.end_session()

    def toml(self, block: Block) -> None:
        """Have a block as the configuration of this folder, for what comes after it, too."""
        (self.folder / "aflint.toml").write_text(block.text)
        resolve_config(None, {})

    def aflint(self, words: Sequence[str]) -> None:
        """Run the command in this process."""
        said, (source, target) = _redirected(words)
        typed = Path(source).read_text() if source else self._typed(said)
        if said[0] == "sql":
            # A JVM stays in the folder that it was started in, and each page has its own.
            self._elsewhere(said, typed, target)
            return
        result = CliRunner().invoke(main.app, said, input=typed)
        if target:
            Path(target).write_text(result.stdout)
        self.shown += result.output
        shown = f"aflint {shlex.join(words)}: {self.shown}"
        assert result.exit_code == self._status(said), f"{shown}\n{result.exception!r}"

    def _elsewhere(self, words: Sequence[str], typed: str, target: str) -> None:
        command = [sys.executable, "-m", "aflint", *words]
        done = subprocess.run(command, input=typed, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        if target:
            Path(target).write_text(done.stdout)
        self.shown += done.stdout

    def make(self, words: Sequence[str]) -> None:
        """Have make say what it would do: each target sets up an environment of its own."""
        done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
