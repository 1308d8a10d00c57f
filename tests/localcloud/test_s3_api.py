from __future__ import annotations

import base64
import gzip
import io
import zlib
from typing import Any

import pytest
from aiohttp import ClientSession
from botocore.config import Config
from botocore.exceptions import ClientError
from yarl import URL

from aflint.localcloud import Faults, LocalCloud
from aflint.localcloud.s3.headers import decode_body
from aflint.localcloud.wire import Request, ServiceError

MIB = 1024 * 1024


@pytest.fixture
async def bucket(s3: Any) -> str:
    await s3.create_bucket(Bucket="bucket")
    return "bucket"


async def put(s3: Any, key: str, body: bytes = b"", **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await s3.put_object(Bucket="bucket", Key=key, Body=body, **more)
    return answer


async def get(s3: Any, key: str, **more: Any) -> bytes:
    body: bytes = await (await s3.get_object(Bucket="bucket", Key=key, **more))["Body"].read()
    return body


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    "key", ["a", "a/b//c", "ü €/+%25 &=?#", "..", "a/../b", "x" * 1024, "a\tb"]
)
async def test_keys_of_every_kind(s3: Any, key: str) -> None:
    await put(s3, key, key.encode())
    assert await get(s3, key) == key.encode()
    listed = await s3.list_objects_v2(Bucket="bucket")
    assert [found["Key"] for found in listed["Contents"]] == [key]
    await s3.delete_object(Bucket="bucket", Key=key)
    with pytest.raises(s3.exceptions.NoSuchKey):
        await s3.get_object(Bucket="bucket", Key=key)


@pytest.mark.usefixtures("bucket")
async def test_metadata_encoding_and_tags_are_given_back(s3: Any) -> None:
    body = gzip.compress(b"text")
    await put(
        s3, "k", body, ContentType="text/csv", ContentEncoding="gzip", Metadata={"a": "1"},
        Tagging="job=1",
    )  # fmt: skip
    head = await s3.head_object(Bucket="bucket", Key="k")
    assert (head["ContentType"], head["ContentEncoding"]) == ("text/csv", "gzip")
    assert (head["Metadata"], head["ContentLength"]) == ({"a": "1"}, len(body))
    tags = (await s3.get_object_tagging(Bucket="bucket", Key="k"))["TagSet"]
    assert tags == [{"Key": "job", "Value": "1"}]
    await s3.put_object_tagging(
        Bucket="bucket", Key="k", Tagging={"TagSet": [{"Key": "b", "Value": "2"}]}
    )
    tags = (await s3.get_object_tagging(Bucket="bucket", Key="k"))["TagSet"]
    assert tags == [{"Key": "b", "Value": "2"}]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("size", [10, 3 * MIB])
async def test_ranges(s3: Any, size: int) -> None:
    body = bytes(n % 251 for n in range(size))
    await put(s3, "k", io.BytesIO(body))  # type: ignore[arg-type]
    assert await get(s3, "k", Range="bytes=2-4") == body[2:5]
    assert await get(s3, "k", Range="bytes=7-") == body[7:]
    assert await get(s3, "k", Range="bytes=-3") == body[-3:]
    assert await get(s3, "k", Range=f"bytes=5-{size + 10}") == body[5:]
    with pytest.raises(ClientError) as caught:
        await get(s3, "k", Range=f"bytes={size}-")
    assert caught.value.response["Error"]["Code"] == "InvalidRange"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416


@pytest.mark.usefixtures("bucket")
async def test_conditions(s3: Any) -> None:
    etag = (await put(s3, "k", b"1", IfNoneMatch="*"))["ETag"]
    with pytest.raises(ClientError) as caught:
        await put(s3, "k", b"2", IfNoneMatch="*")
    assert caught.value.response["Error"]["Code"] == "PreconditionFailed"
    await put(s3, "k", b"3", IfMatch=etag)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        await put(s3, "k", b"4", IfMatch=etag)
    with pytest.raises(s3.exceptions.NoSuchKey):
        await put(s3, "absent", b"5", IfMatch=etag)
    with pytest.raises(ClientError) as caught:
        await get(s3, "k", IfNoneMatch=(await s3.head_object(Bucket="bucket", Key="k"))["ETag"])
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304
    assert await get(s3, "k") == b"3"


@pytest.mark.usefixtures("bucket")
async def test_copies(s3: Any) -> None:
    await put(s3, "a b/ü", b"body", Metadata={"m": "1"})
    source = {"Bucket": "bucket", "Key": "a b/ü"}
    await s3.copy_object(Bucket="bucket", Key="copy", CopySource=source)
    assert await get(s3, "copy") == b"body"
    assert (await s3.head_object(Bucket="bucket", Key="copy"))["Metadata"] == {"m": "1"}
    with pytest.raises(ClientError, match="InvalidRequest"):
        await s3.copy_object(Bucket="bucket", Key="a b/ü", CopySource=source)
    with pytest.raises(s3.exceptions.NoSuchKey):
        await s3.copy_object(
            Bucket="bucket", Key="x", CopySource={"Bucket": "bucket", "Key": "absent"}
        )


@pytest.mark.usefixtures("bucket")
async def test_multipart(s3: Any, cloud: LocalCloud) -> None:
    upload = (await s3.create_multipart_upload(Bucket="bucket", Key="big"))["UploadId"]
    names = {"Bucket": "bucket", "Key": "big", "UploadId": upload}
    first = await s3.upload_part(**names, PartNumber=1, Body=io.BytesIO(b"a" * 5 * MIB))
    last = await s3.upload_part(**names, PartNumber=3, Body=b"tail")
    assert cloud.snapshot().uploads == {"bucket": ("big",)}
    listed = (await s3.list_parts(**names))["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in listed] == [(1, 5 * MIB), (3, 4)]
    parts = [{"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 3, "ETag": last["ETag"]}]
    with pytest.raises(ClientError, match="InvalidPartOrder"):
        await s3.complete_multipart_upload(**names, MultipartUpload={"Parts": parts[::-1]})
    with pytest.raises(ClientError, match="InvalidPart"):
        await s3.complete_multipart_upload(
            **names, MultipartUpload={"Parts": [{"PartNumber": 2, "ETag": "x"}]}
        )
    done = await s3.complete_multipart_upload(**names, MultipartUpload={"Parts": parts})
    assert done["ETag"].endswith('-2"')
    assert await get(s3, "big", Range="bytes=-5") == b"atail"
    with pytest.raises(s3.exceptions.NoSuchUpload):
        await s3.abort_multipart_upload(**names)


@pytest.mark.usefixtures("bucket")
async def test_small_parts_and_aborted_uploads(s3: Any, cloud: LocalCloud) -> None:
    upload = (await s3.create_multipart_upload(Bucket="bucket", Key="k"))["UploadId"]
    names = {"Bucket": "bucket", "Key": "k", "UploadId": upload}
    parts = []
    for number in (1, 2):
        answer = await s3.upload_part(**names, PartNumber=number, Body=b"small")
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    with pytest.raises(ClientError, match="EntityTooSmall"):
        await s3.complete_multipart_upload(**names, MultipartUpload={"Parts": parts})
    await s3.abort_multipart_upload(**names)
    assert cloud.snapshot().uploads == {}


@pytest.mark.usefixtures("bucket")
async def test_listing_by_page_and_delimiter(s3: Any) -> None:
    for key in ("a/1", "a/2", "b", "c/1", "c/x/y", "ü"):
        await put(s3, key)
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="bucket", Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    keys, prefixes = [], []
    async for page in pages:
        keys += [found["Key"] for found in page.get("Contents", [])]
        prefixes += [found["Prefix"] for found in page.get("CommonPrefixes", [])]
    assert (keys, prefixes) == (["b", "ü"], ["a/", "c/"])
    after = await s3.list_objects_v2(Bucket="bucket", StartAfter="b")
    assert [found["Key"] for found in after["Contents"]] == ["c/1", "c/x/y", "ü"]


@pytest.mark.usefixtures("bucket")
async def test_many_objects_are_deleted_at_once(s3: Any, cloud: LocalCloud) -> None:
    for key in ("a", "b", "c"):
        await put(s3, key)
    answer = await s3.delete_objects(
        Bucket="bucket", Delete={"Objects": [{"Key": "a"}, {"Key": "c"}, {"Key": "absent"}]}
    )
    assert [found["Key"] for found in answer["Deleted"]] == ["a", "c", "absent"]
    assert cloud.snapshot().buckets == {"bucket": ("b",)}


async def test_buckets_live_and_end(s3: Any, cloud: LocalCloud) -> None:
    with pytest.raises(s3.exceptions.NoSuchBucket):
        await s3.list_objects_v2(Bucket="absent")
    with pytest.raises(ClientError) as caught:
        await s3.head_bucket(Bucket="absent")
    assert caught.value.response["Error"]["Code"] == "404"
    with pytest.raises(ClientError, match="InvalidBucketName"):
        await s3.create_bucket(Bucket="1.2.3.4")
    await s3.create_bucket(Bucket="bucket")
    await s3.create_bucket(Bucket="bucket")
    await put(s3, "k")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        await s3.delete_bucket(Bucket="bucket")
    await s3.delete_object(Bucket="bucket", Key="k")
    await s3.delete_bucket(Bucket="bucket")
    assert cloud.snapshot().buckets == {}


async def test_another_region_creates_by_its_location(connect: Any) -> None:
    async with LocalCloud(region="eu-west-1", functions=False) as cloud:
        s3 = await connect(cloud, "s3")
        with pytest.raises(ClientError, match="IllegalLocationConstraintException"):
            await s3.create_bucket(Bucket="bucket")
        place = {"LocationConstraint": "eu-west-1"}
        await s3.create_bucket(Bucket="bucket", CreateBucketConfiguration=place)
        with pytest.raises(s3.exceptions.BucketAlreadyOwnedByYou):
            await s3.create_bucket(Bucket="bucket", CreateBucketConfiguration=place)
        found = await s3.get_bucket_location(Bucket="bucket")
        assert found["LocationConstraint"] == "eu-west-1"


@pytest.mark.usefixtures("bucket")
async def test_what_a_deploy_puts_on_its_bucket(s3: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        await s3.get_bucket_lifecycle_configuration(Bucket="bucket")
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "p/"}, "Expiration": {"Days": 1}}
    await s3.put_bucket_lifecycle_configuration(
        Bucket="bucket", LifecycleConfiguration={"Rules": [rule]}
    )
    found = await s3.get_bucket_lifecycle_configuration(Bucket="bucket")
    assert found["Rules"] == [rule]
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    await s3.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration=encryption)
    await s3.get_bucket_encryption(Bucket="bucket")
    block = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    await s3.put_public_access_block(Bucket="bucket", PublicAccessBlockConfiguration=block)
    kept = await s3.get_public_access_block(Bucket="bucket")
    assert kept["PublicAccessBlockConfiguration"] == block
    await s3.put_bucket_tagging(Bucket="bucket", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert (await s3.get_bucket_tagging(Bucket="bucket"))["TagSet"][0]["Value"] == "b"


@pytest.mark.usefixtures("bucket")
async def test_counted_by_class_and_slowed_down_by_fault(s3: Any, cloud: LocalCloud) -> None:
    before = cloud.snapshot()
    await put(s3, "k", b"12345")
    await get(s3, "k", Range="bytes=0-1")
    await s3.list_objects_v2(Bucket="bucket")
    await s3.delete_object(Bucket="bucket", Key="k")
    after = cloud.snapshot()
    assert after.s3_class_a - before.s3_class_a == 2
    assert after.s3_class_b - before.s3_class_b == 1
    assert after.s3_bytes_in == 5
    cloud.set_faults(Faults(s3_503=1.0))
    with pytest.raises(ClientError) as caught:
        await put(s3, "k")
    assert caught.value.response["Error"]["Code"] == "SlowDown"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


@pytest.mark.usefixtures("bucket")
async def test_presigned_urls(cloud: LocalCloud, connect: Any, s3: Any) -> None:
    await put(s3, "a b", b"body")
    v4 = await connect(cloud, "s3", config=Config(signature_version="s3v4"))
    url = await v4.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "a b"})
    async with ClientSession() as session:
        async with session.get(URL(url, encoded=True)) as response:
            assert (response.status, await response.read()) == (200, b"body")
        async with session.get(URL(url + "0", encoded=True)) as response:
            assert response.status == 403


def chunked(body: bytes, trailer: str) -> bytes:
    return b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(body), body, trailer.encode())


def test_chunked_bodies_with_a_checksum_behind() -> None:
    body = b"hello"
    good = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "5",
    }

    def request(framed: bytes) -> Request:
        return Request("PUT", "/b/k", {}, headers, framed, "id")

    found = decode_body(request(chunked(body, f"x-amz-checksum-crc32:{good}")))
    assert found == (body, {"crc32": good})
    signed = b"5;chunk-signature=abc\r\nhello\r\n0;chunk-signature=def\r\n\r\n"
    assert decode_body(request(signed))[0] == body
    with pytest.raises(ServiceError, match="BadDigest"):
        decode_body(request(chunked(body, "x-amz-checksum-crc32:AAAAAA==")))
    with pytest.raises(ServiceError, match="IncompleteBody"):
        decode_body(request(chunked(b"hell", "")))
    with pytest.raises(ServiceError, match="IncompleteBody"):
        decode_body(request(b"5\r\nhel"))
