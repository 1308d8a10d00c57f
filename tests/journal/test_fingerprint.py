from __future__ import annotations

import functools
import math
import os
import subprocess
import sys
import threading
import tracemalloc
from array import array
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aflint.journal import fingerprint as module
from aflint.journal.fingerprint import fingerprint
from aflint.plan.lineage import HashPartitioner, PerRecord, RecordStep
from aflint.plan.program import Program, ReadSplit, Transform, WriteShuffle
from aflint.task import Blob
from aflint.variables import Broadcast

EVERYTHING = '''
"""A program with about everything that a program has."""
import abc, array, collections, dataclasses, enum, functools, math, operator, typing
import numpy as np
from aflint.journal.fingerprint import fingerprint
from aflint.task import Blob
from aflint.variables import Broadcast

WORDS = {"one", "two", "three", "four", "five"}
T = typing.TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Point:
    """Has a docstring."""

    x: int
    y: int = 0
    tags: set[str] = dataclasses.field(default_factory=set)

    def norm(self) -> float:
        return math.hypot(self.x, self.y)


@dataclasses.dataclass(frozen=True, slots=True)
class Fixed:
    name: str


class Pair(typing.NamedTuple):
    left: int
    right: str = "r"


Old = collections.namedtuple("Old", "a b")


class Shape(abc.ABC, typing.Generic[T]):
    @property
    @abc.abstractmethod
    def area(self) -> float: ...


class Square(Shape[int]):
    __slots__ = ("side",)

    def __init__(self, side):
        self.side = side

    @property
    def area(self):
        return self.side**2

    @classmethod
    def unit(cls):
        return cls(1)

    @staticmethod
    def helper(x):
        return x in WORDS


class Cached:
    def __init__(self):
        self.calls = []

    def __call__(self, x):
        return super().__repr__() + str(x)


@functools.lru_cache
def cached(x):
    return x + 1


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def make(n, *, words=frozenset(WORDS)):
    def inner(x, /, y=1, *more, z=2, **named):
        def innermost():
            nonlocal n
            n += 1
            return x in {"a", "b", "c", "d"} or [w + "!" for w in words if w in WORDS]

        try:
            return innermost() and n
        except (KeyError, ValueError) as error:
            raise RuntimeError(f"{error!r:>{n}}") from error

    return inner


def loop(x):
    class Local:
        """Local."""

        limit = x

        def get(self):
            return loop(self.limit)

    return Local


class Wrapper:
    def __init__(self, function):
        self.function = function

    def __call__(self, split, records):
        return map(self.function, records)


HANDLERS = set()
HANDLERS.add(lambda record: len(HANDLERS))

cycle = [1]
cycle.append({"self": cycle})
default = collections.defaultdict(list, a=[1])
point = Point(1, 2, {"x", "y", "z", "w"})
square = Square(2)
values = {
    "closure": make(3),
    "set": {"a", "b", "c", "d", "e"},
    "frozenset": frozenset(WORDS),
    "mixed set": {"a", 1, None, (1, "x"), Color.RED, frozenset("xyz"), Fixed("q")},
    "set of functions": HANDLERS,
    "large set": {str(i) for i in range(1000)},
    "large mixed set": {*map(str, range(400)), *range(400), None, 0.5, float("nan")},
    "classes": [Point, Fixed, Pair, Old, Shape, Square, Cached, Color, Access, Level, loop(3)],
    "instances": [point, Fixed("a"), Pair(1), Old(1, 2), square, Cached(), Level.LOW],
    "flags": [Access.READ | Access.WRITE],
    "lambdas": [lambda x: x in {"u", "v", "w"}, lambda: WORDS],
    "partials": [functools.partial(make(1), 2, words=WORDS), functools.partial(max)],
    "arrays": [np.arange(1000), np.ones((3, 4))[:, 1:], np.array([{"a"}, None]), np.int32(3)],
    "recursive": [even, loop, math.floor, operator.itemgetter(1), cached],
    "bound": [point.norm, square.helper, Square.unit, [1].append, "x".join, Cached().__call__],
    "cycle": cycle,
    "counters": [default, collections.Counter("hello"), collections.OrderedDict(a=1)],
    "broadcast": Broadcast(Blob("0" * 32, 1), computed=fingerprint({"a", "b", "c", "B"})),
    "wrapper": Wrapper(make(2)),
    "types": [list[int], int | None, T, type(None), type(even), typing.Optional[Point]],
    "many": [(str(i), {str(i), "x", "y"}) for i in range(40_000)],
    "many of a class": [Fixed(str(i)) for i in range(60_000)],
    "many captured": make([(i, i) for i in range(110_000)]),
    "large dict": {str(i): i for i in range(1000)},
    "buffers": [b"ab", bytearray(b"ab"), memoryview(b"ab"), array.array("d", [1.5]), np.zeros(3)],
    "many plain": [(i, str(i), {"k": [i]}) for i in range(40_000)],
    "many with a set": [*((i, str(i)) for i in range(40_000)), {str(i) for i in range(9)}],
}
for name, value in values.items():
    print(name, fingerprint(value))
'''

PROGRAM = """
from aflint.journal.fingerprint import fingerprint
{body}
print(fingerprint({what}))
"""


def run(source: str, folder: Path, seed: int = 0) -> str:
    """Run a program in a process of its own and return what it prints."""
    path = folder / "program.py"
    path.write_text(source)
    environ = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.getcwd()}
    command = [sys.executable, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_process_comes_to_the_same(tmp_path: Path) -> None:
    first, second = (run(EVERYTHING, tmp_path, seed).splitlines() for seed in (1, 2))
    assert first == second
    assert len({line.rpartition(" ")[2] for line in first}) == len(first)


def defined(source: str, name: str = "f") -> Any:
    """Return what a source, as of __main__, defines under a name."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(source, names)
    return names[name]


def of(source: str, name: str = "f") -> str:
    return fingerprint(defined(source, name))


PLAIN = """
def helper(x):
    return x + 1
def f(x):
    return helper(x)
"""


@pytest.mark.parametrize(
    "other",
    [
        "\n\n\n" + PLAIN,
        "# a comment\n" + PLAIN.replace("return h", "# why\n    return h"),
        PLAIN.replace("(x):\n", '(x):\n    """What it does."""\n'),
        PLAIN.replace("x + 1", "(x\n\n + 1)"),
        PLAIN + "\nunrelated = 3\n",
        "unrelated = lambda: 0\n" + PLAIN,
    ],
)
def test_how_it_is_written_does_not_count(other: str) -> None:
    assert of(other) == of(PLAIN)


NOTHING = "def f(x):\n    {doc}print(x)\n"


def test_a_docstring_does_not_count_whatever_is_returned() -> None:
    """Not even where it moves the other constants."""
    assert of(NOTHING.format(doc="")) == of(NOTHING.format(doc="'Print.'; "))
    with_doc = "class f:\n    'A class.'\n    def g(self):\n        'A method.'\n        pass\n"
    assert of(with_doc) == of("class f:\n    def g(self):\n        pass\n")


CHANGES = [
    ("def f(x): return x + 1", "def f(x): return x + 2"),
    ("def f(x): return x + 1", "def f(x): return x - 1"),
    ("def f(x): return x + 1", "def f(x): return x + 1.0"),
    ("def f(x): return x + 1", "def f(x): return x + True"),
    ("def f(x): return x * 0.0", "def f(x): return x * -0.0"),
    ("def f(x): return x < 1", "def f(x): return x <= 1"),
    ("def f(x): return x.a", "def f(x): return x.b"),
    ("def f(x, y=1): return x", "def f(x, y=2): return x"),
    ("def f(x, *, y=1): return x", "def f(x, *, y=2): return x"),
    ("def f(x, y): return x", "def f(x, *, y): return x"),
    ("def f(x, y): return x", "def f(x, y, /): return x"),
    ("def f(x): return x in {'a', 'b'}", "def f(x): return x in {'a', 'c'}"),
    ("def f(x): return x in ('a', 'b')", "def f(x): return x in ('b', 'a')"),
    ("def f(x): return x in (1, 2)", "def f(x): return x in (True, 2)"),
    ("def f(x): 'a'; return 'a'", "def f(x): 'b'; return 'b'"),
    ("def f(x): return [y + 'a' for y in x]", "def f(x): return [y + 'b' for y in x]"),
    ("def f(x): return list(y + 'a' for y in x)", "def f(x): return list(y + 'b' for y in x)"),
    ("def f(x): return (lambda: 'a')()", "def f(x): return (lambda: 'b')()"),
    ("def f(x): return f'{x:>2}'", "def f(x): return f'{x:>3}'"),
    ("def f(x): return x(a=1)", "def f(x): return x(b=1)"),
    ("f = lambda x: 'a'", "f = lambda x: 'b'"),
    ("k = 1\ndef f(x): return x + k", "k = 2\ndef f(x): return x + k"),
    ("k = 1\ndef f(x): return lambda: k", "k = 2\ndef f(x): return lambda: k"),
    (
        "k = 1\ndef f(x):\n def g():\n  global k\n  k += 1\n return g",
        "k = 2\ndef f(x):\n def g():\n  global k\n  k += 1\n return g",
    ),
    (
        "k = 1\ndef f(x):\n class A:\n  y = k\n return A",
        "k = 2\ndef f(x):\n class A:\n  y = k\n return A",
    ),
    (
        "def a(x): return x\ndef b(x): return a(x)\ndef f(x): return b(x)",
        "def a(x): return -x\ndef b(x): return a(x)\ndef f(x): return b(x)",
    ),
    (
        "def m(n):\n def g(x): return n\n return g\nf = m(1)",
        "def m(n):\n def g(x): return n\n return g\nf = m(2)",
    ),
    (
        "def f(x):\n try:\n  x.a(); x.b()\n except KeyError: return 1",
        "def f(x):\n x.a()\n try: x.b()\n except KeyError: return 1",
    ),
    ("class f:\n x = 1", "class f:\n x = 2"),
    ("class f:\n def g(self): return 1", "class f:\n def g(self): return 2"),
    (
        "class f:\n @property\n def g(self): return 1",
        "class f:\n @property\n def g(self): return 2",
    ),
    (
        "class f:\n @staticmethod\n def g(): return 1",
        "class f:\n @staticmethod\n def g(): return 2",
    ),
    (
        "class f:\n @classmethod\n def g(cls): return 1",
        "class f:\n @classmethod\n def g(cls): return 2",
    ),
    ("class A: x = 1\nclass f(A): pass", "class A: x = 2\nclass f(A): pass"),
    (
        "class M(type):\n x = 1\nclass f(metaclass=M): pass",
        "class M(type):\n x = 2\nclass f(metaclass=M): pass",
    ),
    (
        "def m(n):\n class C:\n  def g(self): return n\n return C\nf = m(1)",
        "def m(n):\n class C:\n  def g(self): return n\n return C\nf = m(2)",
    ),
    ("class A: x = 1\nf = A()", "class A: x = 2\nf = A()"),
    ("class A: pass\nf = A(); f.x = 1", "class A: pass\nf = A(); f.x = 2"),
    ("def f(): return f.limit\nf.limit = 1", "def f(): return f.limit\nf.limit = 2"),
    (
        "import functools\n@functools.lru_cache\ndef g(x): return 1\ndef f(x): return g(x)",
        "import functools\n@functools.lru_cache\ndef g(x): return 2\ndef f(x): return g(x)",
    ),
    (
        "from dataclasses import make_dataclass as m\nf = m('P', ['a'], namespace={'k': 1})",
        "from dataclasses import make_dataclass as m\nf = m('P', ['a'], namespace={'k': 2})",
    ),
    (
        "import math\ndef f(x): return math.log(x)",
        "import cmath as math\ndef f(x): return math.log(x)",
    ),
    (
        "from math import log as g\ndef f(x): return g",
        "from cmath import log as g\ndef f(x): return g",
    ),
]


@pytest.mark.parametrize(("one", "other"), CHANGES, ids=range(len(CHANGES)))
def test_what_changes_the_answer_counts(one: str, other: str) -> None:
    assert of(one) != of(other)
    assert of(one) == of(one)


DIFFERENT: list[tuple[Any, Any]] = [
    (1, True),
    (1, 1.0),
    (0.0, -0.0),
    ("1", 1),
    (b"", ""),
    (b"a", bytearray(b"a")),
    (b"a", memoryview(b"a")),
    (bytearray(b"a"), bytearray(b"b")),
    (memoryview(b"ab"), memoryview(b"ab").cast("b")),
    (memoryview(bytes(4)), memoryview(bytes(4)).cast("B", (2, 2))),
    (memoryview(b"abcd")[::2], memoryview(b"abcd")[1::2]),
    (array("b", b"a"), array("B", b"a")),
    (array("d", [1.0]), array("d", [2.0])),
    (np.array([1, 2])[::-1], np.array([1, 2])),
    ("a:1:b", "a:1:c"),
    ((1, 2), (2, 1)),
    ((1, 2), [1, 2]),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({1}, frozenset({1})),
    ({1}, {True}),
    (None, "None"),
    (["a,b"], ["a", "b"]),
    ([["a"], "b"], [["a", "b"]]),
    (10**5000, 10**5000 + 1),
    (np.zeros(3), np.zeros(3, "f4")),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (np.array([1, 2]), np.array([2, 1])),
    (Counter("ab"), Counter("abb")),
    (defaultdict(list), defaultdict(set)),
    (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
    (functools.partial(max, 1), functools.partial(max, 2)),
    ([1].append, [2].append),
    (math.floor, math.ceil),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_different_values_are_told_apart(one: Any, other: Any) -> None:
    for wrap in (lambda x: x, lambda x: [x], lambda x: (x, x), lambda x: {"k": x}):
        assert fingerprint(wrap(one)) != fingerprint(wrap(other))


@pytest.mark.parametrize("size", [10, 1000])
@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0.0, -0.0), ("1", 1), ("", b"")])
def test_different_values_are_told_apart_among_many(size: int, one: Any, other: Any) -> None:
    rest = [str(i) for i in range(size)]
    assert fingerprint([*rest, one]) != fingerprint([*rest, other])
    assert fingerprint((*rest, one)) != fingerprint((*rest, other))
    assert fingerprint({*rest, one}) != fingerprint({*rest, other})
    assert fingerprint(dict.fromkeys(rest, one)) != fingerprint(dict.fromkeys(rest, other))


def test_whether_equal_constants_are_one_object_does_not_count() -> None:
    one = (1, "a", (2,))
    same = eval("(1, 'a', (2,))")
    assert one is not same
    assert fingerprint((one, one)) == fingerprint((one, same))
    assert fingerprint([frozenset("a")] * 2) == fingerprint([frozenset("a"), frozenset("a")])
    one_line, two = "f = [lambda x: x, lambda x: x]", "f = [lambda x: x,\n lambda x: x]"
    assert of(one_line) == of(two)


def test_whether_lists_are_one_object_counts() -> None:
    one: list[int] = []
    assert fingerprint([one, one]) != fingerprint([[], []])


def test_tuples_that_hold_each_other_many_times_take_no_time() -> None:
    value: Any = ()
    for _ in range(60):
        value = (value, value)
    assert len(fingerprint(value)) == 32


def test_it_is_the_same_after_use() -> None:
    """Classes note the slots of pickled instances, flags their compounds; code specializes."""
    source = (
        "import enum, pickle\n"
        "class C:\n def __init__(self): self.x = 1\n"
        "class F(enum.Flag):\n A = 1\n B = 2\n"
        "def g(x): return x + 1.5\n"
        "def f(x): return [C, F, g, x]\n"
    )
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(source, names)
    before = fingerprint(names["f"])
    names["C"]().__reduce_ex__(5)
    names["F"].A | names["F"].B
    for number in range(2000):
        names["g"](float(number))
    assert fingerprint(names["f"]) == before


def test_an_attribute_that_is_called_like_a_global_is_not_one() -> None:
    of_lock = "import threading\nsession = threading.Lock()\ndef f(x): return x.session"
    assert of(of_lock) == of("def f(x): return x.session")


def test_what_cannot_be_taken_apart_raises() -> None:
    class Refuses:
        def __reduce_ex__(self, protocol: Any) -> Any:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fingerprint([Refuses()])
    with pytest.raises(TypeError):
        fingerprint({"lock": threading.Lock()})


def test_an_object_may_say_what_counts() -> None:
    class Says:
        def __init__(self, value: Any) -> None:
            self.value, self.lock = value, threading.Lock()

        def __fingerprint__(self) -> Any:
            return self.value

    assert fingerprint(Says({"a"})) == fingerprint(Says({"a"})) != fingerprint(Says({"b"}))


def test_a_program_counts_by_all_that_is_in_it() -> None:
    """Programs are taken apart by a shorter way than other objects."""

    def program(step: RecordStep, function: Any, partitions: int) -> Program:
        steps = (PerRecord(step, function),)
        return Program(
            Transform(ReadSplit(0), steps), WriteShuffle(HashPartitioner(partitions), None)
        )

    programs = [
        program(step, function, partitions)
        for step in (RecordStep.MAP, RecordStep.FILTER)
        for function in (lambda x: x, lambda x: x + 1)
        for partitions in (3, 4)
    ]
    prints = [fingerprint(each) for each in programs]
    assert len(set(prints)) == len(programs)
    assert [fingerprint(each) for each in programs] == prints


def test_a_broadcast_counts_by_its_value() -> None:
    def broadcast(value: Any, digest: str) -> Any:
        return Broadcast(Blob(digest, 1), computed=fingerprint(value))

    assert fingerprint(broadcast({"a"}, "0")) == fingerprint(broadcast({"a"}, "1"))
    assert fingerprint(broadcast({"a"}, "0")) != fingerprint(broadcast({"b"}, "0"))


def test_iterables_are_not_used_up_nor_taken_in_any_order() -> None:
    """A state that happens to be iterable is a value, unlike the iterators of items."""

    class WithSet:
        def __init__(self, words: str) -> None:
            self.words = set(words)

        def __reduce__(self) -> Any:
            return (object, (), self.words, iter([1, 2]), iter([(1, 2)]))

    assert fingerprint(WithSet("abc")) == fingerprint(WithSet("cba"))
    assert fingerprint(WithSet("abc")) != fingerprint(WithSet("abd"))
    assert fingerprint(WithSet("abc")) != fingerprint((object, (), set("abc")))


def test_many_objects_are_told_apart_by_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 100)

    def many(last: Any = 0) -> list[Any]:
        return [{number} for number in range(200)] + [last]

    assert fingerprint(many()) == fingerprint(many())
    assert fingerprint(many()) != fingerprint(many(1))
    assert fingerprint(many({1, 2})) != fingerprint(many({1, 3}))


@pytest.mark.parametrize(
    "make",
    [
        lambda data: data,
        bytearray,
        memoryview,
        lambda data: array("d", data),
        lambda data: np.frombuffer(data, "f8"),
        lambda data: [data],
        lambda data: {"k": (np.frombuffer(data, "f8"),)},
    ],
)
def test_buffers_are_not_copied(make: Callable[[bytes], Any]) -> None:
    value = make(os.urandom(8 << 20))
    fingerprint(make(bytes(8)))  # what is looked up once is held
    tracemalloc.start()
    try:
        fingerprint(value)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_what_is_plain_data_all_through() -> None:
    cycle: list[Any] = [1]
    cycle.append({"k": (cycle, cycle)})
    shared: Any = ()
    for _ in range(60):
        shared = (shared, shared)
    for plain_data in (1, "a", [], cycle, shared, {(1, "x"): [b"", bytearray(b"y"), None, 1.5]}):
        assert module._is_plain_data(plain_data)
    others: list[Any] = [{1}, [{1}], {"k": ((frozenset(),),)}, [print], Counter(), [np.int32(1)]]
    for other in others:
        assert not module._is_plain_data(other)


def test_code_is_taken_apart_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = defined("def f(n):\n def g(x):\n  return [k + n for k in x]\n return g")
    before = fingerprint(made(1))
    monkeypatch.setattr("dis.get_instructions", lambda code: pytest.fail("taken apart again"))
    assert fingerprint(made(1)) == before
    assert fingerprint(made(2)) != before


def test_functions_among_many_objects_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 10)
    data = "data = [[i] for i in range(20)]\n"
    captured = data + "def f(x): return f if x else (data, 1)"
    assert of(captured) == of(captured) == of("\n\n" + captured)
    assert of(captured) != of(captured.replace("1)", "2)"))
    assert of(captured) != of(captured.replace("20", "21"))
    within = data + "data.append(lambda x: x + 1)\nf = [data, data]"
    assert of(within) == of("\n" + within) != of(within.replace("+ 1", "+ 2"))
    of_class = (
        "class A:\n k = 1\n def __init__(s, x): s.x = {x}\nf = [A(str(i)) for i in range(20)]"
    )
    assert of(of_class) == of(of_class) != of(of_class.replace("k = 1", "k = 2"))


MODULES = {
    "top.py": "import middle\n\ndef call(x):\n    return middle.call(x)\n",
    "middle.py": "import spaced.deep\n\ndef call(x):\n    return spaced.deep.call(x)\n",
    "spaced/deep.py": "def call(x):\n    return x + 1\n",
}
USES = [
    ("import top", "lambda x: top.call(x)"),
    ("from top import call", "lambda x: call(x)"),
    ("from top import call", "call"),
    ("import spaced.deep", "lambda x: spaced.deep.call(x)"),
]


@pytest.mark.parametrize(("body", "what"), USES)
def test_modules_of_the_user_count_by_what_is_in_them(tmp_path: Path, body: str, what: str) -> None:
    for name, source in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    program = PROGRAM.format(body=body, what=what)
    before = run(program, tmp_path)
    assert run(program, tmp_path, 1) == before  # from its .pyc this time
    (tmp_path / "spaced" / "deep.py").write_text("def call(x):\n    return x + 22\n")
    assert run(program, tmp_path) != before


def test_a_program_without_a_file_has_fingerprints(tmp_path: Path) -> None:
    source = "import __main__\n" + PROGRAM.format(body="", what="lambda: __main__")
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, check=True, text=True
    )
    assert len(done.stdout.strip()) == 32


plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.binary(max_size=3),
)
hashable = st.recursive(
    plain, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=4
)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.sets(hashable, max_size=4)
    ),
    max_leaves=12,
)


def rebuilt(value: Any) -> Any:
    """Return an equal value of other objects, sets and all filled in another order."""
    match value:
        case list() | tuple():
            return type(value)([rebuilt(each) for each in value])
        case set() | frozenset():
            return type(value)(reversed([rebuilt(each) for each in value]))
        case dict():
            return {rebuilt(key): rebuilt(each) for key, each in value.items()}
        case str():
            return "".join(list(value))
        case bytes():
            return bytes(bytearray(value))
    return value


def exactly(value: Any) -> Any:
    """Return what is equal for exactly the same values, types included."""
    match value:
        case list() | tuple():
            return (type(value), tuple(map(exactly, value)))
        case set() | frozenset():
            return (type(value), frozenset(map(exactly, value)))
        case dict():
            return (dict, tuple((exactly(k), exactly(v)) for k, v in value.items()))
    return (type(value), repr(value))


@given(values)
def test_equal_values_have_equal_fingerprints(value: Any) -> None:
    assert fingerprint(value) == fingerprint(rebuilt(value))


@given(values, values)
def test_distinct_values_have_distinct_fingerprints(one: Any, other: Any) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (exactly(one) == exactly(other))


@settings(max_examples=20)
@given(st.lists(plain, min_size=300, max_size=310), st.integers(0, 299), plain)
def test_large_values_are_told_apart_as_well(rows: list[Any], place: int, put: Any) -> None:
    other = [*rows[:place], put, *rows[place + 1 :]]
    makers: list[Callable[[list[Any]], Any]] = [list, tuple, set, frozenset]
    for make in makers:
        one, changed = make(rows), make(other)
        assert fingerprint(one) == fingerprint(rebuilt(one))
        same = exactly(one) == exactly(changed)
        assert (fingerprint(one) == fingerprint(changed)) == same
