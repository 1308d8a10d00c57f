"""An object that is overwritten after it was listed: an error that names it, never a mixture."""

from __future__ import annotations

import pytest
from aiobotocore.session import get_session

from aflint.config import Config
from aflint.deploy.options import DeployOptions
from aflint.deploy.up import deploy
from aflint.errors import InputChangedError
from aflint.localcloud import LocalCloud
from tests.cloud.clouds import Deployed, Ended

LINES = b"".join(b"%08d\n" % number for number in range(2000))
OTHER = b"".join(reversed(LINES.splitlines(keepends=True)))


async def test_an_object_overwritten_after_it_was_listed_is_an_error(
    cloud: LocalCloud, config: Config
) -> None:
    async with get_session().create_client("s3") as s3:
        await s3.create_bucket(Bucket="mine")
        options = DeployOptions(reads=["s3://mine/"])
        deployed = Deployed(cloud, config, await deploy(config, options))
        async with deployed.connect() as session:
            await s3.put_object(Bucket="mine", Key="in/a.txt", Body=LINES)
            lines = session.text_file("s3://mine/in", 8)
            assert await lines.count() == 2000
            # It is listed now; a later job reads other bytes, as many, than the first one did.
            await s3.put_object(Bucket="mine", Key="in/a.txt", Body=OTHER)
            ended = Ended(session)
            for action in (lines.count, lines.collect, lines.key_by(len).group_by_key(2).count):
                with pytest.raises(
                    InputChangedError, match=r"s3://mine/in/a.txt was changed.*Create the RDD again"
                ):
                    await action()
            assert {event.id.attempt for event in ended.events} == {0}
            assert await session.text_file("s3://mine/in", 8).count() == 2000
            await s3.put_object(Bucket="mine", Key="in/a.txt", Body=LINES)
            assert await lines.count() == 2000  # the same content is the same version
