"""The same promises, and a whole job, against emulators that others wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from operator import add
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from aflint.aws.bare.signing import Credentials
from aflint.aws.clients import Aws
from aflint.backend import Backend
from aflint.backend.base import policy_of
from aflint.codec.secret import Secret
from aflint.config import load_config
from aflint.invoker.local import LocalInvoker
from aflint.limits import KIB
from aflint.plan.planner import TaskSettings
from aflint.session import Session
from aflint.storage.local import LocalStorage
from aflint.storage.router import RoutedStorage
from aflint.storage.s3 import S3Storage
from aflint.testing.transport_checks import (
    TRANSPORT_CHECKS,
    Check,
    every_frame_arrives,
    reading_stops_early,
    strays_do_no_harm,
)
from aflint.transport.base import Transport
from aflint.transport.hybrid import HybridTransport
from aflint.transport.s3 import S3Transport
from aflint.transport.sqs import SqsTransport
from tests.aws.clouds import make_bucket
from tests.cloud import ministack

BUCKET = "bucket"
LIMIT = 256 * KIB

Maker = Callable[[Aws], SqsTransport | S3Transport | HybridTransport]

MAKERS: dict[str, Maker] = {
    "sqs": lambda aws: SqsTransport(aws, "test", LIMIT, visibility_s=1),
    "s3": lambda aws: S3Transport(aws, BUCKET, "test"),
    "hybrid": lambda aws: HybridTransport(aws, BUCKET, "test", LIMIT, visibility_s=1),
}


@pytest.fixture(scope="module")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        with ministack.running(tmp_path_factory.mktemp("ministack")) as url:
            yield url
    except ministack.NotThereError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def connection(url: str) -> Aws:
    return Aws("us-east-1", url, credentials=Credentials("test", "test"))


@pytest.fixture
async def aws(ministack_url: str) -> AsyncIterator[Aws]:
    """A connection to ministack, which has one bucket."""
    aws = connection(ministack_url)
    await make_bucket(aws)
    yield aws
    assert await aws.sqs().list_queues("test") == []
    assert (await aws.s3().list_all(BUCKET, "test/")).objects == []
    await aws.aclose()


@pytest.mark.parametrize("check", TRANSPORT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS.keys())
async def test_ministack_carries_shuffles(maker: Maker, check: Check, aws: Aws) -> None:
    await check(maker(aws))


@pytest.mark.parametrize("check", [every_frame_arrives, strays_do_no_harm, reading_stops_early])
async def test_moto_carries_shuffles(check: Check, moto_url: str) -> None:
    aws = connection(moto_url)
    try:
        transport: Transport = SqsTransport(aws, "test", LIMIT, visibility_s=1)
        await check(transport)
        assert await aws.sqs().list_queues("test") == []
    finally:
        await aws.aclose()


class ElsewhereSession(Session):
    """A session whose tasks run in local workers, and whose shuffles and files are in a cloud."""

    def __init__(self, aws: Aws, maker: Maker) -> None:
        super().__init__(load_config(workers=2, progress=False))
        self._aws = aws
        self._maker = maker

    async def _open_backend(self, scratch: Path, stack: AsyncExitStack) -> Backend:
        transport = self._maker(self._aws)
        storage = RoutedStorage({"": LocalStorage, "s3": lambda: S3Storage(self._aws)})
        secret = Secret.fresh()
        invoker = LocalInvoker(2, scratch / "workers", secret)
        stack.push_async_callback(invoker.aclose)
        await invoker.start()
        folder = f"s3://{BUCKET}/test/jobs/{self.id}"
        stack.push_async_callback(storage.delete, folder)
        settings = TaskSettings(transport.config, folder, fetch_timeout_s=60.0, max_result_bytes=99)
        policy = policy_of(self.config, transport)
        return Backend(
            *(invoker, transport, storage, policy, settings, folder, 2),
            estimated=False,
            secret=secret,
        )


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS.keys())
async def test_a_whole_job(
    maker: Maker, aws: Aws, ministack_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    text = "to be or not to be\nthat is the question\n" * 200
    await S3Storage(aws).write(f"s3://{BUCKET}/in/hamlet.txt", text.encode())
    async with ElsewhereSession(aws, maker) as session:
        words = session.text_file(f"s3://{BUCKET}/in/*.txt").flat_map(str.split)
        counts = words.map(lambda word: (word, 1)).reduce_by_key(add, 3)
        found = dict(await counts.collect())
        joined = counts.join(words.distinct(2).map(lambda word: (word, len(word))), 2)
        lengths = sorted(await joined.sort_by_key().collect())
    expected = {word: text.split().count(word) for word in text.split()}
    assert found == expected
    assert lengths == sorted((word, (n, len(word))) for word, n in expected.items())
