"""A submitted program is run as spark-submit runs it: `python app.py`, with an absolute path."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.pyspark.conftest import RunProgram

PROGRAM = """
import inspect, os, pickle, sys

def function():
    return "the program's own"

print(sys.argv)
print(__file__, sys.path[0], function.__code__.co_filename)
print(open(os.path.dirname(__file__) + "/data/words.txt").read())
print(type(__loader__).__name__, __loader__.name, __loader__.path, __spec__, __name__)
print(__loader__.get_source("__main__") == open(__file__).read())
print(inspect.getsource(function).splitlines()[0], __annotations__)
print(pickle.loads(pickle.dumps(function))())
"""


def test_a_program_finds_itself(tmp_path: Path, run_program: RunProgram) -> None:
    folder = tmp_path / "folder"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "words.txt").write_text("words")
    (folder / "app.py").write_text(textwrap.dedent(PROGRAM))
    app = str(folder / "app.py")
    for given, start in (("app.py", folder), ("folder/app.py", tmp_path), (app, Path("/"))):
        assert run_program(given, "a", "b c", cwd=start).stdout.splitlines() == [
            str([app, "a", "b c"]),
            f"{app} {folder} {app}",
            "words",
            f"SourceFileLoader __main__ {app} None __main__",
            "True",
            "def function(): {}",
            "the program's own",
        ]


def test_modules_beside_a_linked_program_are_found(tmp_path: Path, run_program: RunProgram) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "beside.py").write_text("print('beside')")
    (tmp_path / "there" / "app.py").write_text("import beside; print(__file__)")
    (tmp_path / "link.py").symlink_to(tmp_path / "there" / "app.py")
    done = run_program("link.py", cwd=tmp_path)
    assert done.stdout.splitlines() == ["beside", str(tmp_path / "link.py")]


def test_an_error_of_the_program_shows_its_own_lines(
    tmp_path: Path, run_program: RunProgram
) -> None:
    (tmp_path / "fails.py").write_text("def f():\n    return 1 // 0\nf()\n")
    (tmp_path / "unfinished.py").write_text("x = (")
    failed = run_program("fails.py", cwd=tmp_path, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith(
        f'Traceback (most recent call last):\n  File "{tmp_path / "fails.py"}", line 3, in <module>'
    )
    unfinished = run_program("unfinished.py", cwd=tmp_path, check=False)
    assert unfinished.returncode == 1
    assert unfinished.stderr.startswith(f'  File "{tmp_path / "unfinished.py"}", line 1')


def test_a_command_line_that_names_no_program_is_answered_by_the_usage(
    run_program: RunProgram,
) -> None:
    for words in ((), ("--name", "x"), ("--nonsense",)):
        done = run_program(*words, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Usage: aflint submit" in done.stderr
    assert run_program("--help").stdout.startswith("Usage: aflint submit")
