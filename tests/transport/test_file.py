from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from aflint.errors import (
    ConfigError,
    DiskFullError,
    FetchFailedError,
    InternalError,
    RecordTooLargeError,
)
from aflint.task import Manifest, MapOutput, ShuffleHandle
from aflint.transport import file as file_module
from aflint.transport.file import FileTransport
from aflint.transport.frame_file import RUN_BYTES, FrameFile, read_batch
from aflint.transport.frame_run import plan_runs

MIB = 1024 * 1024


@pytest.fixture
def transport(tmp_path: Path) -> FileTransport:
    return FileTransport(str(tmp_path))


async def write(
    transport: FileTransport, handle: ShuffleHandle, map: int, frames: dict[int, list[bytes]]
) -> dict[int, MapOutput]:
    """Write the frames of a map, partition by partition in turn, and return its outputs."""
    writer = transport.writer(handle, map, 0, 0)
    for turn in range(max(len(mine) for mine in frames.values())):
        for partition, mine in frames.items():
            if turn < len(mine):
                await writer.write(partition, mine[turn])
    written = await writer.finish()
    return {
        partition: MapOutput(
            map, 0, 0, len(mine), 0, written.object, (written.extents or {}).get(partition, ())
        )
        for partition, mine in frames.items()
    }


async def read(transport: FileTransport, manifest: Manifest) -> list[bytes]:
    reader = transport.reader(manifest)
    return [frame async for frame in reader.frames()]


async def test_frames_of_a_partition_lie_side_by_side(transport: FileTransport) -> None:
    handle = await transport.open("job", 1, 3)
    frames = {partition: [bytes([partition]) * 100] * 10 for partition in range(3)}
    outputs = await write(transport, handle, 0, frames)
    assert [len(output.extents) for output in outputs.values()] == [1, 1, 1]
    for partition, output in outputs.items():
        assert await read(transport, Manifest(handle, partition, (output,))) == frames[partition]
    assert os.listdir(handle.address) == ["0-0-0"]


async def test_runs_are_no_longer_than_one_read(transport: FileTransport) -> None:
    handle = await transport.open("job", 1, 1)
    frames = [os.urandom(MIB) for _ in range(11)] + [b"x" * (RUN_BYTES + 1), b"", b"y"]
    [output] = (await write(transport, handle, 0, {0: frames})).values()
    lengths = [extent.length for extent in output.extents]
    assert sorted(lengths)[-2] <= RUN_BYTES
    assert sum(lengths) == sum(map(len, frames)) + 4 * len(frames)
    assert len(lengths) < 7
    assert await read(transport, Manifest(handle, 0, (output,))) == frames


async def test_a_map_without_frames_leaves_no_file(transport: FileTransport) -> None:
    handle = await transport.open("job", 1, 1)
    written = await transport.writer(handle, 0, 0, 0).finish()
    assert (written.object, written.extents) == ("", None)
    assert os.listdir(handle.address) == []


async def test_job_names_do_not_lead_out_of_the_folder(
    transport: FileTransport, tmp_path: Path
) -> None:
    handle = await transport.open("../../etc/\0 job", 1, 1)
    assert os.path.dirname(handle.address) == str(tmp_path)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/.*set `scratch_dir` to another folder"):
        await FileTransport(str(tmp_path / "file")).open("job", 1, 1)


@pytest.mark.parametrize("harm", ["remove", "truncate", "garble"])
async def test_lost_output_names_the_maps(harm: str, transport: FileTransport) -> None:
    handle = await transport.open("job", 7, 1)
    outputs = [(await write(transport, handle, map, {0: [b"x" * 1000] * 5}))[0] for map in range(4)]
    for map in (1, 3):
        path = os.path.join(handle.address, outputs[map].object)
        if harm == "remove":
            os.unlink(path)
        elif harm == "truncate":
            os.truncate(path, 2000)
        else:
            with open(path, "r+b") as damaged:  # noqa: ASYNC230
                damaged.write(b"\xff\xff\xff\x7f")
    with pytest.raises(FetchFailedError, match="shuffle 7, partition 0") as raised:
        await read(transport, Manifest(handle, 0, tuple(outputs)))
    assert raised.value.shuffle == 7
    assert raised.value.maps == ((1,) if harm == "garble" else (1, 3))  # found when read


async def test_a_manifest_without_extents_is_lost_output(transport: FileTransport) -> None:
    handle = await transport.open("job", 1, 1)
    output = (await write(transport, handle, 2, {0: [b"x"]}))[0]
    with pytest.raises(FetchFailedError) as raised:
        await read(transport, Manifest(handle, 0, (replace(output, extents=()),)))
    assert raised.value.maps == (2,)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
async def test_a_full_disk_is_named(transport: FileTransport) -> None:
    handle = await transport.open("job", 1, 1)
    writer = transport.writer(handle, 0, 0, 0)
    os.symlink("/dev/full", os.path.join(handle.address, "0-0-0"))
    writer._file._file = open("/dev/full", "wb", buffering=0)  # noqa: ASYNC230, SIM115
    await writer.write(0, b"x")
    with pytest.raises(DiskFullError, match="no room is left on the disk"):
        await writer.finish()
    await writer.abort()
    assert os.listdir(handle.address) == []


async def test_writing_to_a_closed_shuffle_is_an_error_and_leaves_nothing(
    transport: FileTransport, tmp_path: Path
) -> None:
    handle = await transport.open("job", 1, 1)
    writer = transport.writer(handle, 0, 0, 0)
    await transport.close(handle)
    await writer.write(0, b"x")
    with pytest.raises(InternalError, match="was its shuffle closed"):
        await writer.finish()
    await writer.abort()
    assert os.listdir(tmp_path) == []


async def test_a_frame_that_is_too_large_is_refused(tmp_path: Path) -> None:
    transport = FileTransport(str(tmp_path), max_frame_bytes=10)
    writer = transport.writer(await transport.open("job", 1, 1), 0, 0, 0)
    with pytest.raises(RecordTooLargeError, match="11 bytes"):
        await writer.write(0, b"x" * 11)
    assert transport.traits.target_frame_bytes == 10


async def test_aborting_waits_for_what_is_being_written(
    transport: FileTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await transport.open("job", 1, 1)
    started, go = threading.Event(), threading.Event()
    append = FrameFile.append

    def slow(self: FrameFile, frames: dict[int, list[bytes]]) -> None:
        started.set()
        go.wait()
        append(self, frames)

    monkeypatch.setattr(FrameFile, "append", slow)
    monkeypatch.setattr(file_module, "BUFFER_BYTES", 1)
    writer = transport.writer(handle, 0, 0, 0)
    await writer.write(0, b"a")
    await writer.write(0, b"b")
    await asyncio.to_thread(started.wait)
    blocked = asyncio.ensure_future(writer.write(0, b"c"))
    await asyncio.sleep(0)
    blocked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await blocked
    aborting = asyncio.ensure_future(writer.abort())
    await asyncio.sleep(0)
    assert not aborting.done()
    go.set()
    await aborting
    assert os.listdir(handle.address) == []


async def test_a_reader_stopped_early_holds_no_file_open(transport: FileTransport) -> None:
    handle = await transport.open("job", 1, 1)
    outputs = [(await write(transport, handle, m, {0: [b"x" * MIB] * 5}))[0] for m in range(4)]
    before = open_files()
    frames = transport.reader(Manifest(handle, 0, tuple(outputs))).frames()
    assert await anext(frames) == b"x" * MIB
    await cast("AsyncGenerator[bytes, None]", frames).aclose()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert open_files() <= before


def test_a_write_that_takes_only_part_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = FrameFile(str(tmp_path / "f"))
    monkeypatch.setattr(os, "writev", lambda file, pieces: os.write(file, b"".join(pieces)[:7]))
    frames = [b"%d" % number * 5 for number in range(2000)]
    file.append({0: frames})
    [extent] = file.close()[0]
    runs = plan_runs([MapOutput(0, 0, 0, 1, 0, "f", (extent,))], RUN_BYTES)
    assert read_batch(runs, str(tmp_path)) == frames


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0


def test_one_call_reads_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = []
    for map in range(10):
        file = FrameFile(str(tmp_path / str(map)))
        file.append({0: [b"%d" % map], 1: [b"other"], 2: [b"%d%d" % (map, map)]})
        places: Any = file.close()
        outputs.append(MapOutput(map, 0, 0, 2, 0, str(map), places[0] + places[2]))
    runs = plan_runs(outputs, RUN_BYTES)
    expected = [frame for map in range(10) for frame in (b"%d" % map, b"%d%d" % (map, map))]
    assert read_batch(runs, str(tmp_path)) == expected
    short = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, at: short(file, min(size, 3), at))
    assert read_batch(runs, str(tmp_path)) == expected
