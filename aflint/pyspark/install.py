"""Puts aflint under PySpark's classes."""

from __future__ import annotations

import importlib.util
import os
import re
import warnings
from typing import Any

from aflint.driver.callsite import add_front
from aflint.driver.tracebacks import hide_inside_at_exit, hide_inside_in_cells
from aflint.errors import ConfigError

OLDEST, NEWEST = (3, 5), (4, 3)
"""The releases of PySpark that the tests run on."""

_installed = False


def install() -> None:
    """Have PySpark's SparkContext, RDD and SparkSession run on aflint, in this process.

    May be called again. Raises ConfigError where PySpark is not installed. Warns, once, of a
    release of PySpark that was not tested.
    """
    global _installed
    if _installed:
        return
    if importlib.util.find_spec("pyspark") is None:
        raise ConfigError("PySpark is not installed: pip install 'aflint[pyspark]'")
    import pyspark

    from aflint.pyspark import names

    _installed = True
    # Jobs and errors name the line that called PySpark, and none within it.
    add_front(os.path.dirname(__file__), os.path.dirname(pyspark.__file__))
    hide_inside_at_exit()
    hide_inside_in_cells()
    check_release(names.VERSION)
    _install_rdd(names)
    _install_context(names)
    from aflint.pyspark.session import install_session

    install_session()


def check_release(version: str) -> None:
    """Warn of a release outside of the tested ones."""
    found = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if not OLDEST <= found <= NEWEST:
        warnings.warn(
            f"aflint is tested with PySpark {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}, "
            f"and this is {version}: what it calls inside of PySpark may have moved",
            stacklevel=2,
        )


def _install_rdd(names: Any) -> None:
    from aflint.pyspark import keyed
    from aflint.pyspark.acting import Acting
    from aflint.pyspark.errors import staying
    from aflint.pyspark.making import WritesHadoop
    from aflint.pyspark.narrow import Narrow, Pipelined, given

    for members in (Narrow, keyed.Keyed, Acting, WritesHadoop):
        names.replace_members(names.RDD, members)
    names.remove_members(
        names.PipelinedRDD, "getNumPartitions", "_jrdd", "id", "_is_barrier", "_is_pipelinable"
    )
    names.replace_members(names.PipelinedRDD, Pipelined)
    names.RDD.__getnewargs__ = staying(names.RDD.__getnewargs__)
    names.rdd_module.python_cogroup = keyed.python_cogroup
    failing = names.rdd_module.fail_on_stopiteration
    names.rdd_module.fail_on_stopiteration = lambda function: failing(given(function, None))


def _install_context(names: Any) -> None:
    from aflint.pyspark import context, planner, threads
    from aflint.pyspark.errors import staying
    from aflint.pyspark.making import Making, ReadsHadoop
    from aflint.pyspark.refusals import JvmOf
    from aflint.pyspark.shared import reduce_accumulator

    for members in (
        context.Life,
        context.Sharing,
        context.Grouping,
        context.Asking,
        Making,
        ReadsHadoop,
    ):
        names.replace_members(names.SparkContext, members)
    for part in ("_jvm", "_jsc", "_gateway"):
        jvm = JvmOf(f"sc.{part}", planner.available, planner.planner_of)
        setattr(names.SparkContext, part, jvm)
    names.SparkContext.__getnewargs__ = staying(names.SparkContext.__getnewargs__)
    names.Accumulator.__reduce__ = reduce_accumulator
    names.SparkFiles.getRootDirectory = classmethod(lambda cls: cls._root_directory)
    names.replace_members(names.InheritableThread, threads.Inheriting)
    names.replace_in_modules("inheritable_thread_target", threads.inheritable_thread_target)
    _install_conf(names.SparkConf, context.system_properties)


def _install_conf(conf: Any, system_properties: Any) -> None:
    from aflint.pyspark.launch import submitted_settings

    original = conf.__init__

    def __init__(
        self: Any, loadDefaults: bool = True, _jvm: Any = None, _jconf: Any = None
    ) -> None:
        original(self, loadDefaults, _jvm, _jconf)
        if loadDefaults and self._conf is not None:
            for key, value in {**submitted_settings(), **system_properties()}.items():
                # What the program sets goes over what its command line says.
                self._conf.setdefault(key, value)

    conf.__init__ = __init__
