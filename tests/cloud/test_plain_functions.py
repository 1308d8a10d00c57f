"""Plain functions as tasks in the cloud, where there is less installed than beside the driver."""

from __future__ import annotations

from tests.cloud.clouds import Deployed


async def test_map_and_as_completed_run_where_only_the_executor_is_installed(
    deployed: Deployed,
) -> None:
    async with deployed.connect() as session:
        assert await session.map(abs, [-1, 2, -3]) == [1, 2, 3]
        found = [value async for value in session.as_completed(lambda n: n * n, [3, 1, 2])]
        assert sorted(found) == [1, 4, 9]
