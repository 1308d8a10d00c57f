"""An object of a shuffle that is not what was written: its map is run again, and nothing else."""

from __future__ import annotations

from aiobotocore.session import get_session

from tests.cloud.clouds import Deployed, Ended
from tests.engine.shuffles import HARMS


async def test_a_damaged_object_is_made_again(deployed: Deployed) -> None:
    bucket = deployed.deployment.bucket
    async with (
        get_session().create_client("s3") as s3,
        deployed.connect(transport="s3") as session,
    ):
        ran = session.accumulator(0)

        def pair(x: int) -> tuple[int, str]:
            ran.add(1)
            return x, "x" * x

        groups = session.range(60, num_slices=3).map(pair).group_by_key(2)
        total = groups.values().map(lambda group: len(group[0]))
        assert (await total.sum(), ran.value) == (1770, 60)
        for name, harm in HARMS.items():
            (key,) = [k for k in deployed.cloud.snapshot().buckets[bucket] if "/1-" in k]
            found = await s3.get_object(Bucket=bucket, Key=key)
            await s3.put_object(Bucket=bucket, Key=key, Body=harm(await found["Body"].read()))
            ended = Ended(session)
            assert await total.sum() == 1770, name
            accepted = sorted((e.id.stage, e.id.partition) for e in ended.events if e.accepted)
            assert accepted == [(0, 1), (1, 0), (1, 1)], name
            await s3.delete_object(Bucket=bucket, Key=key)
    deployed.assert_empty()
