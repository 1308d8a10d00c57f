from __future__ import annotations

import faulthandler
import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from aflint.executor.output_capture import MOST_BYTES, captured_output


def kept(write: Callable[[], Any]) -> str:
    with captured_output(True) as output:
        write()
    return output.text()


def test_both_streams_are_kept_in_order() -> None:
    def write() -> None:
        for number in range(3):
            print("out", number)
            print("error", number, file=sys.stderr)
        print("unfinished", end="")

    assert kept(write) == "out 0\nerror 0\nout 1\nerror 1\nout 2\nerror 2\nunfinished"


def test_they_are_files_as_those_of_any_process() -> None:
    with captured_output(True) as output:
        for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
            assert stream.fileno() == stream.buffer.fileno() == descriptor
            assert stream.encoding == "utf-8"
            assert not stream.isatty()
            assert stream.writable()
            assert not stream.readable()
            assert isinstance(stream, io.TextIOWrapper)
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", write_through=True)
        assert (sys.stdout.name, sys.stderr.name) == ("<stdout>", "<stderr>")
        sys.stdout.buffer.write(b"bytes ")
        print("text é \ud800", flush=True)
    assert output.text() == "bytes text é \\ud800\n"


def test_child_processes_and_faulthandler_take_them(capfd: pytest.CaptureFixture[str]) -> None:
    with captured_output(True):
        subprocess.run(["echo", "of a child"], stdout=sys.stdout, check=True)
        faulthandler.dump_traceback(sys.stderr)
    out, err = capfd.readouterr()
    assert out == "of a child\n"
    assert "test_output_capture.py" in err


def test_a_stream_that_user_code_puts_in_place_is_kept_too() -> None:
    def replace() -> None:
        assert isinstance(sys.stdout, io.TextIOWrapper)
        sys.stdout = io.TextIOWrapper(sys.stdout.detach(), "ascii", "replace")
        print("é, not flushed")

    before = sys.stdout
    assert kept(replace) == "?, not flushed\n"
    assert sys.stdout is before


@pytest.mark.parametrize("wanted", [True, False])
def test_streams_that_user_code_closes_are_new_for_the_next_task(wanted: bool) -> None:
    with captured_output(wanted) as output:
        print("first")
        sys.stdout.close()
        os.fstat(1)  # the descriptor is the process's
    assert output.text() == "first\n" * wanted
    assert kept(lambda: print("second")) == "second\n"


def test_more_than_the_limit_is_dropped() -> None:
    def write() -> None:
        for _ in range(3):
            print("é" * MOST_BYTES)

    text = kept(write)
    assert text.endswith("\n... (more output was dropped)\n")
    assert MOST_BYTES <= len(text.encode()) < MOST_BYTES + 100


def test_nothing_is_kept_unless_it_is_wanted(capfd: pytest.CaptureFixture[str]) -> None:
    with captured_output(False) as output:
        print("dropped")
        print("dropped", file=sys.stderr)
        sys.stdout.buffer.write(b"dropped")
        logging.getLogger("mine").warning("dropped")
    assert output.text() == ""
    assert capfd.readouterr() == ("", "")


def test_streams_are_made_once_and_anew_after_user_code_changed_them() -> None:
    def stdout() -> Any:
        with captured_output(False):
            return sys.stdout

    def reconfigured() -> Any:
        with captured_output(False):
            assert isinstance(sys.stdout, io.TextIOWrapper)
            sys.stdout.reconfigure(encoding="ascii")
            return sys.stdout

    first = stdout()
    assert stdout() is first
    assert reconfigured() is first
    assert stdout() is not first
    assert stdout().encoding == "utf-8"


def test_a_handler_that_a_task_made_writes_into_the_next_tasks_output() -> None:
    handlers = []
    with captured_output(True):
        handlers.append(logging.StreamHandler(sys.stdout))
    record = logging.makeLogRecord({"msg": "of the second"})
    assert kept(lambda: handlers[0].emit(record)) == "of the second\n"
    handlers[0].emit(record)  # outside of a task it goes nowhere


@pytest.mark.parametrize("wanted", [True, False])
def test_debug_logging_is_on_for_the_task_alone(wanted: bool) -> None:
    log = logging.getLogger("aflint.executor")
    before = log.isEnabledFor(logging.DEBUG)
    with captured_output(wanted, debug=True) as output:
        assert log.isEnabledFor(logging.DEBUG)
        log.debug("seen")
    assert output.text() == "DEBUG aflint.executor: seen\n" * wanted
    assert log.isEnabledFor(logging.DEBUG) == before
