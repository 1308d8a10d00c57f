from __future__ import annotations

import inspect
import pickle
from copy import copy
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from aflint.frozen import changed, quick


@quick
@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)


def test_quick_dataclasses_are_made_as_others_are() -> None:
    assert Point(1) == Point(x=1, y=2, tags=[])
    assert replace(Point(1), y=3) == changed(Point(1), y=3) == Point(1, 3)
    assert Point(1).tags is not Point(1).tags
    assert type(Point(1)) is Point
    assert repr(Point(1)) == "Point(x=1, y=2, tags=[])"
    assert list(inspect.signature(Point).parameters) == ["x", "y", "tags"]
    assert pickle.loads(pickle.dumps(Point(4))) == copy(Point(4)) == Point(4)
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_quick_dataclasses_are_frozen() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x
    with pytest.raises((AttributeError, TypeError)):
        point.z = 2  # type: ignore[attr-defined]


def test_a_name_that_is_no_fields_changes_nothing() -> None:
    with pytest.raises(KeyError, match="z"):
        changed(Point(1), z=3)
