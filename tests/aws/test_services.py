"""What SQS and S3 are to aflint: the same for the driver's client and for that of tasks, at each
of the emulators.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from moto.server import ThreadedMotoServer

from aflint import errors
from aflint.aws.bare.signing import Credentials
from aflint.aws.clients import Aws
from aflint.localcloud import LocalCloud
from tests.aws.clouds import BUCKET, as_tasks_do, make_bucket
from tests.cloud import ministack

ODD_KEYS = ["plain", "a b/ü%/+&=?#", "//", "./x", "tail/", "a'\"<>~!*()"]
TEST_KEYS = Credentials("test", "test")


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        with ministack.running(tmp_path_factory.mktemp("ministack")) as url:
            yield url
    except ministack.NotThereError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["localcloud", "moto", "ministack"])
async def cloud(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, Credentials]]:
    """An emulator: its URL, and keys for it."""
    if request.param != "localcloud":
        yield request.getfixturevalue(f"{request.param}_url"), TEST_KEYS
        return
    async with LocalCloud(functions=False, verify_signatures=True) as running:
        yield running.endpoint_url, Credentials(*running.credentials)


@pytest.fixture(params=["driver", "task"])
async def aws(request: pytest.FixtureRequest, cloud: tuple[str, Credentials]) -> AsyncIterator[Aws]:
    """Clients of an emulator that has one empty bucket."""
    url, keys = cloud
    driver = Aws("us-east-1", url, credentials=keys)
    try:
        await make_bucket(driver)
        s3 = driver.s3()
        await s3.delete_many(BUCKET, [each.key for each in (await s3.list_all(BUCKET, "")).objects])
        if request.param == "driver":
            yield driver
        else:
            async with as_tasks_do(driver, keys) as bare:
                yield bare
    finally:
        await driver.aclose()


async def test_objects_are_read_as_they_were_written(aws: Aws) -> None:
    s3 = aws.s3()
    for number, key in enumerate(ODD_KEYS):
        await s3.put(BUCKET, key, b"%d" % number * 10)
    for number, key in enumerate(ODD_KEYS):
        assert await s3.get(BUCKET, key) == b"%d" % number * 10
        found = await s3.head(BUCKET, key)
        assert found is not None
        assert (found.key, found.size) == (key, 10)
        assert found in (await s3.list_all(BUCKET, "")).objects
    assert {each.key for each in (await s3.list_all(BUCKET, "")).objects} == set(ODD_KEYS)
    assert (s3.counts.s3_puts, s3.counts.s3_gets) == (2 * len(ODD_KEYS) + 1, 2 * len(ODD_KEYS))
    await s3.delete(BUCKET, ODD_KEYS[0])
    await s3.delete_many(BUCKET, ODD_KEYS[1:])
    assert (await s3.list_all(BUCKET, "")).objects == []


async def test_ranges_end_with_the_object(aws: Aws) -> None:
    s3 = aws.s3()
    await s3.put(BUCKET, "k", bytes(range(10)))
    assert await s3.get(BUCKET, "k", 3, 5) == b"\3\4"
    assert await s3.get(BUCKET, "k", 8, 99) == b"\x08\x09"
    assert await s3.get(BUCKET, "k", 8) == b"\x08\x09"
    assert await s3.get(BUCKET, "k", 5, 5) == b""
    with pytest.raises(errors.ObjectNotFoundError) as raised:
        await s3.get(BUCKET, "k", 10)
    assert raised.value.code == "InvalidRange"


async def test_only_the_object_of_an_etag_is_read(aws: Aws) -> None:
    s3 = aws.s3()
    await s3.put(BUCKET, "k", b"0123456789")
    before = await s3.head(BUCKET, "k")
    assert before is not None
    assert await s3.get(BUCKET, "k", 3, 5, before.etag) == b"34"
    await s3.put(BUCKET, "k", b"9876543210")
    for start, end in ((0, None), (3, 5), (20, 30)):
        with pytest.raises(errors.BackendError) as raised:
            await s3.get(BUCKET, "k", start, end, before.etag)
        assert raised.value.code == "PreconditionFailed"
    await s3.put(BUCKET, "k", b"0123456789")
    assert await s3.get(BUCKET, "k", etag=before.etag) == b"0123456789"


async def test_what_is_not_there(aws: Aws) -> None:
    s3 = aws.s3()
    with pytest.raises(errors.ObjectNotFoundError, match=f"s3://{BUCKET}/nothing"):
        await s3.get(BUCKET, "nothing")
    assert await s3.head(BUCKET, "nothing") is None
    await s3.delete(BUCKET, "nothing")
    await s3.abort_upload(BUCKET, "nothing", "no-such-upload")
    with pytest.raises(errors.BucketNotFoundError, match="aflint deploy"):
        await s3.put("no-such-bucket", "k", b"")


async def test_a_new_object_overwrites_none(aws: Aws) -> None:
    s3 = aws.s3()
    await s3.put(BUCKET, "k", b"1", new=True)
    with pytest.raises(errors.BackendError) as raised:
        await s3.put(BUCKET, "k", b"2", new=True)
    assert raised.value.code == "PreconditionFailed"
    assert await s3.get(BUCKET, "k") == b"1"


async def test_uploads_in_parts(aws: Aws) -> None:
    s3, part = aws.s3(), bytes(5 * 2**20)
    upload = await s3.begin_upload(BUCKET, "big ü")
    assert await s3.uploads(BUCKET, "big") == [("big ü", upload)]
    tags = [await s3.put_part(BUCKET, "big ü", upload, 1, part)]
    tags.append(await s3.put_part(BUCKET, "big ü", upload, 2, b"end"))
    await s3.finish_upload(BUCKET, "big ü", upload, tags)
    assert await s3.get(BUCKET, "big ü", len(part) - 1) == b"\0end"
    given_up = await s3.begin_upload(BUCKET, "other")
    await s3.abort_upload(BUCKET, "other", given_up)
    assert await s3.uploads(BUCKET, "") == []


async def test_listings_by_folder_and_page(aws: Aws) -> None:
    s3 = aws.s3()
    for key in ("a/1", "a/2", "b c/1", "top"):
        await s3.put(BUCKET, key, b"x")
    found = await s3.list_all(BUCKET, "", delimiter="/")
    assert [(each.key, each.size) for each in found.objects] == [("top", 1)]
    assert found.folders == ["a/", "b c/"]
    first = await s3.page(BUCKET, "", most=3)
    rest = await s3.page(BUCKET, "", after=first.next)
    assert [each.key for each in first.objects + rest.objects] == ["a/1", "a/2", "b c/1", "top"]
    await s3.copy(BUCKET, "copy of ü", BUCKET, "b c/1")
    assert await s3.get(BUCKET, "copy of ü") == b"x"


async def test_messages_come_until_they_are_deleted(aws: Aws) -> None:
    sqs = aws.sqs()
    url = await sqs.create_queue("services-1", {"aflint": "test"})
    try:
        assert await sqs.send(url, [b"YQ==", b"Yg=="]) == []
        first = await sqs.receive(url, wait_s=1, visibility_s=30)
        while len(first) < 2:
            first += await sqs.receive(url, wait_s=1, visibility_s=30)
        assert sorted(message.body for message in first) == ["YQ==", "Yg=="]
        assert await sqs.receive(url, wait_s=0, visibility_s=30) == []
        await sqs.change_visibility(url, [message.receipt for message in first], 0)
        again = await sqs.receive(url, wait_s=1, visibility_s=30)
        while len(again) < 2:
            again += await sqs.receive(url, wait_s=1, visibility_s=30)
        await sqs.delete(url, [message.receipt for message in again])
        assert await sqs.receive(url, wait_s=0, visibility_s=0) == []
        assert await sqs.max_message_bytes(url) >= 256 * 1024
        assert await sqs.list_queues("services-") == [url]
    finally:
        await sqs.delete_queue(url)
    with pytest.raises(errors.QueueDeletedError, match="queue services-1"):
        await sqs.send(url, [b"YQ=="])
    with pytest.raises(errors.QueueDeletedError, match="queue services-1"):
        await sqs.receive(url, wait_s=0, visibility_s=1)


async def test_many_at_once(aws: Aws) -> None:
    s3 = aws.s3()
    bodies = [bytes([number]) * 1000 for number in range(40)]
    await asyncio.gather(*(s3.put(BUCKET, f"n/{i}", body) for i, body in enumerate(bodies)))
    found = await asyncio.gather(*(s3.get(BUCKET, f"n/{i}") for i in range(40)))
    assert found == bodies
