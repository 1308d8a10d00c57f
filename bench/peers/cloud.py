"""The local cloud in a process of its own, so that its CPU is not counted with that of its callers.

`python -m bench.peers.cloud BUCKET LIMIT_BYTES` prints its URL and keys as JSON, and serves until
its input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys

from aflint.aws.bare.signing import Credentials
from aflint.aws.clients import Aws
from aflint.localcloud import LocalCloud


async def _serve(bucket: str, limit_bytes: int) -> None:
    # Signatures are made, as always, but not checked: the emulator's work is not what is measured.
    async with LocalCloud(
        functions=False, message_limit_bytes=limit_bytes, verify_signatures=False
    ) as cloud:
        keys = cloud.credentials
        aws = Aws(cloud.region, cloud.endpoint_url, credentials=Credentials(*keys))
        await aws.call("s3", "CreateBucket", f"bucket {bucket}", Bucket=bucket)
        await aws.aclose()
        print(json.dumps({"url": cloud.endpoint_url, "keys": keys}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
