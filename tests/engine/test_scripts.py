"""Programs of a newcomer, run as scripts of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_examples_of_a_newcomer_run_as_scripts(tmp_path: Path) -> None:
    """Classes of `__main__`, in functions and out of them, come back as what they are."""
    script = tmp_path / "program.py"
    script.write_text(
        """
import asyncio, collections, dataclasses, enum
import aflint

@dataclasses.dataclass(frozen=True)
class Trip:
    miles: float

class Plain:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return type(other) is Plain and other.x == self.x
    def __hash__(self): return hash(self.x)

Point = collections.namedtuple("Point", "x y")
class Colour(enum.Enum):
    RED = 1

def helper(x): return Plain(x)

class MyError(Exception):
    pass

def fail(x): raise MyError("no", x)

async def main():
    class Local:
        pass
    async with aflint.connect(workers=2, progress=False) as session:
        made = [Trip(1.5), Plain(3), Point(1, 2), Colour.RED, Local()]
        back = await session.parallelize(made, 3).map(lambda x: x).collect()
        assert [type(x) for x in back] == [type(x) for x in made], back
        assert back[:4] == made[:4] and back[3] is Colour.RED
        assert all(type(x) is Plain for x in await session.range(3).map(helper).collect())
        trips = session.parallelize([Trip(1.0), Trip(2.0), Trip(1.0)], 2)
        assert await trips.count_by_value() == {Trip(1.0): 2, Trip(2.0): 1}
        assert await trips.map(lambda t: (t, 1)).reduce_by_key(lambda a, b: a + b).count() == 2
        assert await session.parallelize([Plain(1), Plain(1)], 2).distinct().collect() == [Plain(1)]
        assert {type(x) for x in await trips.distinct().cache().collect()} == {Trip}
        try:
            await session.range(1).map(fail).collect()
        except aflint.TaskError as error:
            assert type(error.__cause__) is MyError, error.__cause__
            assert error.__cause__.args == ("no", 0)
    print("fine")

asyncio.run(main())
"""
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("fine\n", "")
