"""Every block of code in README.md and docs/: run, or checked as what it is."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from aflint.cli.main import app
from aflint.config import Config
from aflint.pyspark.launch import read_options
from aflint.testing import check_transport
from examples.folder_transport import FolderTransport

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SUBMIT = "submit"


class Block(NamedTuple):
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            indent, language, code = match.groups()
            line = text.count("\n", 0, match.start()) + 1
            dedented = "".join(each.removeprefix(indent) for each in code.splitlines(True))
            found.append(Block(page.name, line, language, dedented))
    return [each for each in found if each.language in languages]


def test_every_block_is_of_a_language_that_is_checked_here() -> None:
    languages = {block.language for block in blocks("")} | {
        match[2] for page in PAGES for match in _FENCE.finditer(page.read_text(encoding="utf-8"))
    }
    assert languages <= {"python", "toml", "sh", "mermaid", "json"}


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    lines = block.text.splitlines()
    # What the site puts there from a file, and what only IPython reads.
    code = "\n".join(line for line in lines if not line.startswith(("--8<--", "%")))
    compile(code, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_toml_is_a_configuration(block: Block) -> None:
    Config(**tomllib.loads(block.text))


def _commands() -> list[tuple[Block, list[str]]]:
    found = []
    for block in blocks("sh"):
        text = block.text.replace("\\\n", " ")
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words[:1] == ["aflint"]:
                found.append((block, words[1:]))
    return found


@pytest.mark.parametrize(("block", "words"), _commands(), ids=str)
def test_commands_and_their_options_are_there(block: Block, words: list[str]) -> None:
    group = typer.main.get_command(app)
    if words[0].startswith("--"):
        assert words[0] in {opt for each in group.params for opt in each.opts}
        return
    command = group.commands[words[0]]  # type: ignore[attr-defined]
    if words[0] == _SUBMIT:
        read_options(words[1:])
        return
    known = {opt for each in command.params for opt in (*each.opts, *each.secondary_opts)}
    for word in words[1:]:
        if words[0] == "run" and word.endswith(".py"):
            break  # what follows is the program's
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in known, f"{block}: aflint {words[0]} has no {word}"


def test_targets_of_make_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = {
        match
        for page in PAGES
        for match in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))
    } | {line.split()[1] for block in blocks("sh") for line in block.text.splitlines()
         if line.startswith("make ")}  # fmt: skip
    assert named <= targets


@pytest.mark.parametrize("page", ["README.md", "start.md"])
def test_the_first_program_runs(page: str, tmp_path: Path) -> None:
    (program,) = (b for b in blocks("python") if b.page == page and "take_ordered" in b.text)
    (tmp_path / "words.py").write_text(program.text)
    (tmp_path / "README.md").write_text("to be or not to be\n")
    done = subprocess.run(
        [sys.executable, "-m", "aflint", "run", "--set", "workers=1", "words.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "('to', 2)" in done.stdout, done.stderr


async def test_the_transport_of_the_documentation_keeps_every_promise(tmp_path: Path) -> None:
    await check_transport(FolderTransport(str(tmp_path)))


@pytest.mark.slow
def test_the_site_builds_and_no_link_is_broken(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in (tmp_path / "site").glob("*.html")} >= pages
