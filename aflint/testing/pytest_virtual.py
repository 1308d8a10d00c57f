"""Virtual time for pytest-asyncio: import both names in the conftest.py of a folder of tests.

    from aflint.testing.pytest_virtual import pytest_asyncio_loop_factories, virtual_time

From then on every async test in the folder runs on a `VirtualLoop`; those that ask for the fixture
`virtual_time` are given its clock.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aflint.testing.clock import VirtualClock, VirtualLoop, virtual_clock


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], VirtualLoop]]:
    """Have pytest-asyncio (1.4 or newer) make VirtualLoops."""
    return {"virtual": VirtualLoop}


@pytest.fixture
async def virtual_time() -> VirtualClock:
    """The clock of the loop that the test runs on: seconds from 0 at the test's beginning."""
    return virtual_clock()
