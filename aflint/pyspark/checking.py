"""What of a PySpark program works on aflint, differs or is refused, found without running it.

By the names of what the program calls and imports, looked up in the tables by which the calls
themselves are refused. Python does not say what type a name has: a method of the program's own that
is called as one of Spark's is taken for it. What is reached by `getattr` is not found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pyspark.sql import DataFrame, SparkSession

from aflint.errors import InvalidArgumentError
from aflint.pyspark import names
from aflint.pyspark.making import ReadsHadoop, WritesHadoop
from aflint.pyspark.refusals import AREAS
from aflint.pyspark.session import LATER
from aflint.pyspark.unheeded import unheeded_reason
from aflint.pyspark.writing import REFUSED

Verdict = Literal["works", "differs", "refused"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a program calls in a line, and what becomes of it here."""

    line: int
    what: str
    verdict: Verdict
    why: str = ""


def _public(*classes: Any) -> Iterable[str]:
    return {name for each in classes for name in dir(each) if not name.startswith("_")}


_SPARKS: Final = frozenset(_public(names.RDD, names.SparkContext, SparkSession, DataFrame))
_JVM: Final = ("_jvm", "_jsc", "_gateway", "_jrdd", "_jsparkSession")
_REFUSED: Final = {
    **dict.fromkeys(
        _public(ReadsHadoop, WritesHadoop),
        "Hadoop's formats are not read or written: use textFile, pickleFile or binaryFiles",
    ),
    **dict.fromkeys(_JVM, "there is no JVM to reach into"),
    **REFUSED,
    "writeTo": "use df.write",
    "writeStream": "run a job for each batch of new files",
    "allGather": "the tasks of a stage start one by one: none can wait for all",
    "withResources": "all tasks have the same CPUs and memory",
}
_REFUSED_SQL: Final = ("DELETE", "UPDATE", "MERGE", "ANALYZE", "BEGIN", "CALL")
"""What a statement begins with that is refused."""
_REFUSED_FORMATS: Final = ("orc", "xml", "avro", "jdbc", "kafka", "delta", "iceberg", "hudi")
_FORMATS_INSTEAD: Final = "use Parquet, CSV, JSON or text, or set spark.aflint.fallback=spark"

_REFUSED_FUNCTIONS: Final = (
    "aes_decrypt", "aes_encrypt", "count_min_sketch", "from_xml", "histogram_numeric",
    "hll_sketch_agg", "java_method", "kll_sketch_agg_bigint", "kll_sketch_agg_double",
    "kll_sketch_agg_float", "make_dt_interval", "make_interval", "make_ym_interval", "parse_json",
    "session_window", "theta_sketch_agg", "to_xml", "try_parse_json", "variant_get",
)  # fmt: skip
"""Functions of pyspark.sql's that are refused whatever they are given."""

_DIFFERS: Final = {
    **dict.fromkeys(("countApprox", "sumApprox", "meanApprox"), "it waits for the exact answer"),
    **dict.fromkeys(
        ("saveAsPickleFile", "pickleFile"), "the files are aflint's own, not Spark's sequence files"
    ),
    "getExecutorInfos": "it is empty: executors come and go with their tasks",
    "uiWebUrl": "it is None without spark.aflint.ui=true",
}
_LINALG: Final = ("pyspark.ml.linalg", "pyspark.mllib.linalg")
_UNREAD: Final = ("pyspark.sql", "pyspark.pandas", "pyspark")
"""Areas that are refused by what is called of them, and not for being imported."""


def check(source: str, name: str) -> list[Finding]:
    """Return what a program calls of PySpark's, by line.

    Raises InvalidArgumentError where it is no Python.
    """
    try:
        tree = ast.parse(source, name)
    except (SyntaxError, ValueError) as error:
        raise InvalidArgumentError(f"{name} cannot be read as Python: {error}") from None
    reader = _Reader()
    reader.visit(tree)
    return sorted(reader.found, key=lambda finding: finding.line)


@dataclass
class _Reader(ast.NodeVisitor):
    """Walks a program."""

    found: list[Finding] = field(default_factory=list)
    # The names that hold a SparkSession.
    sessions: set[str] = field(default_factory=lambda: {"spark"})

    def _add(self, node: ast.AST, what: str, verdict: Verdict, why: str = "") -> None:
        self.found.append(Finding(getattr(node, "lineno", 0), what, verdict, why))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._imported(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if module.startswith("pyspark.sql.functions"):
            for alias in node.names:
                if alias.name in _REFUSED_FUNCTIONS:
                    self.visit_Attribute(ast.copy_location(_named(alias.name), node))
        for alias in node.names:
            whole = f"{module}.{alias.name}"
            self._imported(node, whole if whole in _LINALG else module)
            break

    def _imported(self, node: ast.AST, module: str) -> None:
        if f"{module}.".startswith(tuple(f"{each}." for each in _LINALG)):
            return
        for area in AREAS:
            if area.modules[0] not in _UNREAD and f"{module}.".startswith(
                tuple(f"{each}." for each in area.modules)
            ):
                self._add(node, module, "refused", area.instead)
                return

    def visit_Assign(self, node: ast.Assign) -> None:
        if _is_session(node.value):
            self.sessions |= {each.id for each in node.targets if isinstance(each, ast.Name)}
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value
        # Of an RDD, barrier() is the beginning of a stage; alone in a line it is a task's.
        if isinstance(call, ast.Call) and _attribute(call.func) == "barrier":
            self._add(call, "barrier", "refused", _REFUSED["allGather"])
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _attribute(node.func) in ("set", "config") and len(node.args) == 2:
            key, value = node.args
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                text = str(value.value) if isinstance(value, ast.Constant) else ""
                if why := unheeded_reason(key.value, text):
                    self._add(node, key.value, "differs", why)
        if _attribute(node.func) == "sql" and node.args and isinstance(node.args[0], ast.Constant):
            words = str(node.args[0].value).split()
            if words and words[0].upper() in _REFUSED_SQL:
                why = "write a query's rows to a new table or path"
                self._add(node, words[0].upper(), "refused", why)
        for given in _formats(node):
            self._add(node, f'format("{given}")', "refused", _FORMATS_INSTEAD)
        if _attribute(node.func) in ("persist", "cache") and (node.args or node.keywords):
            why = "every level writes files, or to S3 on aws; those with memory hold records, too"
            self._add(node, "persist", "differs", why)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = node.attr
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if name in _REFUSED:
            self._add(node, name, "refused", _REFUSED[name])
        elif name in _REFUSED_FORMATS and _attribute(node.value) in ("read", "write"):
            self._add(node, name, "refused", _FORMATS_INSTEAD)
        elif name in _REFUSED_FUNCTIONS:
            why = "aflint has no such function: set spark.aflint.fallback=spark"
            self._add(node, name, "refused", why)
        elif name in LATER and owner in self.sessions:
            self._add(node, f"{owner}.{name}", "refused", "it needs what aflint does not run")
        elif name in _DIFFERS:
            self._add(node, name, "differs", _DIFFERS[name])
        elif name in _SPARKS:
            self._add(node, name, "works")
        self.generic_visit(node)


def _named(name: str) -> ast.Attribute:
    return ast.Attribute(ast.Name("functions", ast.Load()), name, ast.Load())


def _formats(call: ast.Call) -> list[str]:
    """Return the refused formats that a call names: `format("orc")`, `load(path, format="orc")`."""
    named = [each.value for each in call.keywords if each.arg == "format"]
    if _attribute(call.func) == "format" and _attribute_of_reader(call.func):
        named += call.args[:1]
    texts = [str(each.value).lower() for each in named if isinstance(each, ast.Constant)]
    return [each for each in texts if each in _REFUSED_FORMATS]


def _attribute_of_reader(node: ast.AST) -> bool:
    """Say whether a method is called of something that `read` or `write` is part of."""
    while isinstance(node, ast.Attribute | ast.Call):
        if isinstance(node, ast.Attribute) and node.attr in ("read", "write"):
            return True
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return False


def _attribute(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def _is_session(value: ast.AST) -> bool:
    """Say whether an expression is `SparkSession.builder...getOrCreate()`."""
    if not isinstance(value, ast.Call) or _attribute(value.func) != "getOrCreate":
        return False
    return "SparkSession" in ast.dump(value)
