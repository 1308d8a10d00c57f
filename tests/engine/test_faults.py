"""What goes wrong in tasks and around them, and what is left behind."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import pytest_asyncio

import aflint
from aflint import (
    AflintError,
    AttemptsExhaustedError,
    ConfigError,
    DiskFullError,
    Session,
    TaskError,
    UnportableKeyError,
)
from aflint.events import Event, StageEnded, TaskEnded
from tests.engine.shuffles import HARMS, harm_output, removed

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(scratch: Path) -> AsyncIterator[Session]:
    async with aflint.connect(
        workers=2, progress=False, scratch_dir=str(scratch), max_attempts=2
    ) as session:
        yield session


def once(marker: Path, act: Callable[[], Any]) -> Callable[[int], int]:
    """Return a function that does something the first time that 5 is seen."""
    name = str(marker)

    def function(x: int) -> int:
        if x == 5 and not os.path.exists(name):
            open(name, "w").close()
            act()
        return x

    return function


def kill_me() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def test_a_killed_worker_costs_an_attempt_and_not_the_job(
    session: Session, tmp_path: Path
) -> None:
    numbers = session.range(20, num_slices=4).map(once(tmp_path / "killed", kill_me))
    assert await numbers.collect() == list(range(20))
    assert session.last_job is not None
    assert (session.last_job.attempts, session.last_job.failed_attempts) == (5, 1)


async def test_a_reduce_task_that_is_killed_reads_again(session: Session, tmp_path: Path) -> None:
    pairs = session.range(20, num_slices=4).map(lambda x: (x % 10, 1)).group_by_key(3)
    killed = pairs.keys().map(once(tmp_path / "killed", kill_me))
    assert sorted(await killed.collect()) == list(range(10))


async def test_a_task_that_always_loses_its_worker(session: Session) -> None:
    with pytest.raises(AttemptsExhaustedError, match=r"lost 2 times.*signal SIGKILL.*memory"):
        await session.range(2).map(lambda _: kill_me()).collect()
    with pytest.raises(AttemptsExhaustedError, match="exit status 7"):
        await session.range(1).map(lambda _: os._exit(7)).collect()
    with pytest.raises(AttemptsExhaustedError, match=r"SIGSEGV(.|\n)*Segmentation fault"):
        await session.range(1).map(lambda _: os.kill(os.getpid(), signal.SIGSEGV)).collect()
    assert await session.range(4, num_slices=4).count() == 4


async def test_a_child_of_a_killed_worker_holds_up_nobody(session: Session, tmp_path: Path) -> None:
    def fork_and_die() -> None:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
        kill_me()

    numbers = session.range(8, num_slices=2).map(once(tmp_path / "killed", fork_and_die))
    async with asyncio.timeout(60):
        assert await numbers.collect() == list(range(8))


async def test_leaving_a_program_is_an_error_of_its_task(session: Session) -> None:
    for leave in (lambda: sys.exit(3), lambda: sys.exit("bye"), exit):
        with pytest.raises(TaskError, match="SystemExit"):
            await session.range(3).map(lambda _, leave=leave: leave()).collect()  # type: ignore[misc]
    with pytest.raises(TaskError, match="KeyboardInterrupt"):
        await session.range(3).map(lambda _: (_ for _ in ()).throw(KeyboardInterrupt)).collect()


def stop(x: int) -> int:
    if x == 3:
        raise StopIteration
    return x


JOBS: dict[str, Callable[[Any], Any]] = {
    "map": lambda rdd: rdd.map(stop).collect(),
    "filter": lambda rdd: rdd.filter(stop).count(),
    "flat_map": lambda rdd: rdd.flat_map(lambda x: [stop(x)]).collect(),
    "flat_map of a map": lambda rdd: rdd.flat_map(lambda x: map(stop, [x, 9])).collect(),
    "flat_map_values": lambda rdd: rdd.key_by(str).flat_map_values(lambda x: [stop(x)]).collect(),
    "flat_map_values of a map": (
        lambda rdd: rdd.key_by(str).flat_map_values(lambda x: map(stop, [x, 9])).count()
    ),
    "map_partitions": lambda rdd: rdd.map_partitions(lambda it: (stop(x) for x in it)).collect(),
    "map_partitions with a map": lambda rdd: rdd.map_partitions(lambda it: map(stop, it)).count(),
    "map_partitions with a filter": (
        lambda rdd: rdd.map_partitions(lambda it: filter(stop, it)).count()
    ),
    "foreach": lambda rdd: rdd.foreach(stop),
    "reduce": lambda rdd: rdd.reduce(lambda a, b: stop(b)),
    "aggregate": lambda rdd: rdd.aggregate(0, lambda a, b: stop(b), lambda a, b: a),
    "reduce_by_key": lambda rdd: rdd.key_by(bool).reduce_by_key(lambda a, b: stop(b)).collect(),
    "group_by": lambda rdd: rdd.group_by(stop).collect(),
    "sort_by": lambda rdd: rdd.sort_by(stop).collect(),
    "sort_by_key": lambda rdd: rdd.key_by(int).sort_by_key(key_func=stop).collect(),
    "partition_by": lambda rdd: rdd.key_by(int).partition_by(2, stop).collect(),
    "top": lambda rdd: rdd.top(3, stop),
    "max": lambda rdd: rdd.max(stop),
    "cached": lambda rdd: rdd.map(stop).cache().collect(),
    "count_by_value": lambda rdd: rdd.map(stop).count_by_value(),
}


@pytest.mark.parametrize("name", JOBS)
async def test_stop_iteration_is_an_error_and_no_end(session: Session, name: str) -> None:
    with pytest.raises(TaskError, match="StopIteration"):
        await JOBS[name](session.range(10, num_slices=2))


async def test_errors_that_cannot_be_pickled_or_shown(session: Session) -> None:
    class BadError(Exception):
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __str__(self) -> str:
            raise ValueError("cannot be shown")

    class OddError(Exception):
        def __init__(self, code: int, text: str) -> None:
            super().__init__(f"{code}: {text}")

    def fail(error: type[Exception], *arguments: Any) -> Callable[[int], NoReturn]:
        def function(x: int) -> NoReturn:
            raise error(*arguments)

        return function

    with pytest.raises(TaskError, match="BadError") as caught:
        await session.range(1).map(fail(BadError)).collect()
    assert caught.value.__cause__ is None
    assert "raise error(*arguments)" in caught.value.remote_traceback
    with pytest.raises(TaskError, match="OddError: 3: text"):
        await session.range(1).map(fail(OddError, 3, "text")).collect()
    with pytest.raises(
        TaskError, match=r"ValueError: first \(in partition \d of stage 0, attempt 0\)"
    ):
        await session.range(1).map(fail(ValueError, "first\nsecond")).collect()
    with pytest.raises(TaskError, match="ValueError"):
        await session.range(1).map(fail(ValueError, "\udcff")).collect()


async def test_the_traceback_is_the_users_own(session: Session) -> None:
    def inner(x: int) -> float:
        return 1 / x

    with pytest.raises(TaskError) as caught:
        await session.range(1).map(lambda x: inner(x)).collect()
    shown = str(caught.value)
    assert shown.startswith(
        "ZeroDivisionError: division by zero (in partition 1 of stage 0, attempt 0)"
    )
    assert "return 1 / x" in shown
    assert "aflint/executor" not in shown
    with pytest.raises(TaskError, match="RecursionError"):
        await session.range(1).map(lambda x: (f := lambda g: g(g))(f)).collect()


async def test_an_error_of_a_built_in_function_shows_the_record_and_no_line_of_aflints(
    session: Session,
) -> None:
    words: Any = session.parallelize(["1", "one"], 2)
    with pytest.raises(TaskError, match=r"invalid literal(.|\n)*The record is 'one'\.") as caught:
        await words.map(int).collect()
    assert "map at test_faults.py:" in str(caught.value)
    assert "aflint/executor" in caught.value.remote_traceback, "for those who work on aflint"
    for job in (words.sum(), words.stats(), words.map(int).collect()):
        with pytest.raises(
            TaskError, match=r"Its stage runs: parallelize at test_faults"
        ) as caught:
            await job
        assert "Traceback" not in str(caught.value)


async def test_what_functions_must_return(session: Session) -> None:
    numbers = session.range(4, num_slices=2)
    nothing: Any = lambda x: None  # noqa: E731
    with pytest.raises(TaskError, match=r"partitions must\s+return an iterable"):
        await numbers.map_partitions(nothing).collect()
    with pytest.raises(
        TaskError, match=r"function must return something to iterate over(.|\n)*record is"
    ):
        await numbers.flat_map(nothing).collect()


@pytest.mark.parametrize("record", [1, "abc", None, (1, 2, 3)])
async def test_a_record_that_is_no_pair_is_named_with_the_programs_line(
    session: Session, record: Any
) -> None:
    mixed: Any = session.parallelize([(0, 0), record], 2)
    made = {
        "reduce_by_key": mixed.reduce_by_key(max),
        "group_by_key": mixed.group_by_key(1),
        "map_values": mixed.map_values(str),
        "cogroup": mixed.join(mixed, 1),
        "combine_by_key": mixed.combine_by_key(str, max, max, 3),
    }
    for name, rdd in made.items():
        with pytest.raises(TaskError, match=r"\(key, value\) pairs") as caught:
            await rdd.collect()
        said = str(caught.value)
        assert f"The record is {record!r}." in said
        assert f"{name} at test_faults.py:" in said


async def test_of_a_large_record_that_is_no_pair_a_little_is_shown(session: Session) -> None:
    for record in ("x" * 1_000_000, list(range(100_000))):
        wrong: Any = session.parallelize([record], 1)
        for job in (wrong.reduce_by_key(max).collect(), wrong.collect_as_map()):
            with pytest.raises(AflintError, match=r"xxx\.\.\.xxx|, 3, ") as caught:
                await job
            assert len(str(caught.value)) < 1000
    with pytest.raises(TaskError, match=r"record is 7\.(.|\n)*count_by_key at test_faults.py"):
        await wrong.map(lambda x: 7).count_by_key()
    with pytest.raises(TaskError, match=r"record is 7\.(.|\n)*lookup at test_faults.py"):
        await wrong.map(lambda x: 7).lookup(7)
    with pytest.raises(TaskError, match=r"record is 7\.(.|\n)*sort_by_key"):
        await wrong.map(lambda x: 7).sort_by_key().collect()


async def test_keys_that_cannot_be_hashed(session: Session) -> None:
    for partitions in (1, 3):
        lists: Any = session.parallelize([([1], 2), ([3], 4)], 2)
        for rdd in (
            lists.group_by_key(partitions),
            lists.reduce_by_key(max, partitions),
            lists.join(lists, partitions),
            lists.keys().distinct(partitions),
        ):
            said = r"\[[13]\] .*unhashable type: 'list'(.|\n)*tuple(.|\n)* at test_faults.py:\d"
            with pytest.raises(UnportableKeyError, match=said):
                await rdd.collect()
    nested: Any = session.parallelize([((1, ["x"]), 2)], 2)
    with pytest.raises(UnportableKeyError, match=r"\['x'\] .*, in the key \(1, \['x'\]\)"):
        await nested.reduce_by_key(max).collect()
    with pytest.raises(UnportableKeyError, match="its hash is its address"):
        await session.range(3).map(lambda x: (object(), x)).group_by_key(2).collect()
    bad: Any = lambda a, b: {[]: a}  # noqa: E731
    with pytest.raises(TaskError, match="TypeError: unhashable"):
        await session.range(4).map(lambda x: (1, x)).reduce_by_key(bad).collect()


async def test_only_lost_map_output_is_made_again(session: Session, scratch: Path) -> None:
    await removed(session, 0)  # what earlier tests left
    lost: list[str] = []

    def remove_one(event: Event) -> None:
        if isinstance(event, StageEnded) and not lost:
            lost.extend(map(str, scratch.glob("aflint-*/shuffle/*/1-*")))
            for path in lost:
                os.remove(path)

    seen = session.accumulator(0)

    def pair(x: int) -> tuple[int, int]:
        seen.add(1)
        return x % 3, 1

    session.add_listener(remove_one)
    pairs = session.range(999, num_slices=4).map(pair)
    assert sorted(await pairs.reduce_by_key(int.__add__, 2).collect()) == [
        (0, 333),
        (1, 333),
        (2, 333),
    ]
    assert len(lost) == 1
    assert seen.value == 999
    assert session.last_job is not None
    assert 4 + 2 + 1 < session.last_job.attempts <= 4 + 2 + 1 + 2


@pytest.mark.parametrize("harm", HARMS)
async def test_damaged_map_output_is_made_again(session: Session, scratch: Path, harm: str) -> None:
    await removed(session, 0)  # what earlier tests left
    ran = session.accumulator(0)

    def pair(x: int) -> tuple[int, str]:
        ran.add(1)
        return x, "x" * x

    groups = session.range(100, num_slices=4).map(pair).group_by_key(2)
    total = groups.values().map(lambda group: len(group[0]))
    assert (await total.sum(), ran.value) == (4950, 100)
    harm_output(session, 1, HARMS[harm])
    attempts: list[tuple[int, int]] = []
    session.add_listener(
        lambda event: (
            attempts.append((event.id.stage, event.id.partition))
            if isinstance(event, TaskEnded) and event.accepted
            else None
        )
    )
    assert await total.sum() == 4950
    assert sorted(attempts) == [(0, 1), (1, 0), (1, 1)]
    assert await total.sum() == 4950


async def test_a_full_disk_while_spilling(tmp_path: Path) -> None:
    def fill_the_disk(x: int) -> int:
        from aflint.executor.spill import SpillFile

        class FullFile(io.BytesIO):
            def write(self, data: Any) -> NoReturn:
                raise OSError(errno.ENOSPC, "No space left on device")

        real: Any = SpillFile.__init__

        def full(self: Any, folder: Any) -> None:
            real(self, folder)
            self._file = FullFile()

        setattr(SpillFile, "__init__", full)  # noqa: B010 - only in this worker
        return x

    async with aflint.connect(
        workers=1, progress=False, scratch_dir=str(tmp_path), worker_memory_mb=64
    ) as small:
        await small.range(1).map(fill_the_disk).collect()
        data = small.range(60_000, num_slices=2).map(lambda x: (x, bytes(1000)))
        with pytest.raises(DiskFullError, match=r"No room(.|\n)*scratch_dir") as caught:
            await data.group_by_key(1).count()
        assert str(tmp_path) in str(caught.value)
    assert os.listdir(tmp_path) == []


async def test_a_full_disk_while_shuffling(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that is full."""

    def limit(x: int) -> int:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        return x

    async with aflint.connect(workers=1, progress=False, scratch_dir=str(tmp_path)) as small:
        await small.range(1).map(limit).collect()
        with pytest.raises(aflint.AflintError, match="cannot be written: File too large"):
            await small.range(1000).map(lambda x: (x, os.urandom(1000))).group_by_key().count()
    assert os.listdir(tmp_path) == []


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and "pytest" not in line:
            found.append(line)
    return found


SCRIPT = """
import asyncio, subprocess, sys, time
import aflint

folder = sys.argv[1]

def hang(x):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", folder])
    open(folder + "/flag", "w").write("!")
    time.sleep(600)

async def main():
    scratch = folder + "/scratch"
    async with aflint.connect(workers=2, progress=False, scratch_dir=scratch) as session:
        pairs = session.range(4, num_slices=4).map(lambda x: (x, hang(x)))
        await pairs.group_by_key().collect()

asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at /proc")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_a_stopped_driver_leaves_no_process(tmp_path: Path, signal_number: int) -> None:
    (tmp_path / "program.py").write_text(SCRIPT)
    os.mkfifo(tmp_path / "flag")
    driver = await asyncio.create_subprocess_exec(
        sys.executable,
        str(tmp_path / "program.py"),
        str(tmp_path),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        await asyncio.to_thread((tmp_path / "flag").read_text)
        driver.send_signal(signal_number)
        _, errors = await driver.communicate()
    if signal_number != signal.SIGKILL:
        assert (b"KeyboardInterrupt" in errors) == (signal_number == signal.SIGINT)
        assert b"never retrieved" not in errors
        assert not (tmp_path / "scratch").exists()
        assert processes_of(tmp_path) == []
    else:
        async with asyncio.timeout(30):
            while processes_of(tmp_path):  # noqa: ASYNC110 - they end by themselves
                await asyncio.sleep(0.01)


async def test_a_session_leaves_no_file_descriptor(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(2):
        async with aflint.connect(workers=2, progress=False, scratch_dir=str(tmp_path)) as brief:
            await brief.range(10).map(lambda x: (x, x)).group_by_key().count()
            with pytest.raises(TaskError):
                await brief.range(2).map(lambda x: 1 // x).collect()
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1
    assert processes_of(tmp_path) == []


async def test_an_error_that_leaves_a_session_shows_the_users_lines_and_where_it_was(
    tmp_path: Path,
) -> None:
    def divide(x: int) -> int:
        return 1 // x

    async def main() -> None:
        async with aflint.connect(workers=1, progress=False, scratch_dir=str(tmp_path)) as session:
            pairs = session.range(2, num_slices=1).key_by(divide)
            await pairs.group_by_key(1).collect()

    with pytest.raises(TaskError) as caught:
        await main()
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert {Path(frame.filename).name for frame in frames} == {"test_faults.py"}
    lines = str(caught.value).splitlines()
    where = "(in partition 0 of stage 0, attempt 0)"
    assert lines[0] == f"ZeroDivisionError: integer division or modulo by zero {where}"
    assert "return 1 // x" in lines[4]
    error = caught.value
    assert (error.partition, error.stage, error.attempt) == (0, 0, 0)


async def test_a_session_that_cannot_start_shows_where_it_was_entered(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError) as caught:
        async with aflint.connect(scratch_dir=str(tmp_path / "file")):
            pass
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[1:] == ["__aenter__"]
