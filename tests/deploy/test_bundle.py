from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from aflint import __version__, limits
from aflint.deploy import bundle as bundles
from aflint.deploy.bundle import Bundle, build_bundle, check_size, own_files
from aflint.deploy.contents import keep, keep_own, needs_all_services, sha256_of, write_zip
from aflint.deploy.errors import BundleError, BundleTooLargeError
from aflint.deploy.requirements import Requirements
from aflint.deploy.target import Target, host_target


@pytest.fixture(scope="module")
def unzipped(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(bundle.path) as archive:
        archive.extractall(folder)
    return folder


def test_a_bundle_needs_aflint_in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bundles, "__file__", str(tmp_path / "app.pyz" / "aflint" / "deploy" / "b"))
    with pytest.raises(BundleError, match=r"runs from a zip \(.*app.pyz"):
        own_files()


LOAD = """
import sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import json, zstandard
import aflint.executor.handler
from importlib.metadata import version
outside = [
    name for name, module in sys.modules.items()
    if name not in before and "site-packages" in (getattr(module, "__file__", None) or "")
]
print(json.dumps({
    "version": version("aflint"), "lz4": version("lz4"), "outside": outside,
    "heavy": sorted(set(sys.modules) & {"botocore", "aiohttp", "typer", "rich", "numpy"}),
    "cached": aflint.executor.handler.__cached__,
}))
"""


def test_the_handler_loads_from_the_bundle_alone(unzipped: Path) -> None:
    command = [sys.executable, "-I", "-S", "-B", "-c", LOAD, str(unzipped)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["outside"] == []
    assert seen["heavy"] == []
    assert seen["version"] == __version__
    assert Path(seen["cached"]).is_file()


def test_the_bundle_holds_what_runs_and_not_the_rest(unzipped: Path, bundle: Bundle) -> None:
    assert (unzipped / "aflint/executor/handler.py").is_file()
    for absent in ("aflint/cli", "aflint/deploy", "aflint/localcloud", "botocore", "bin", "tests"):
        assert not (unzipped / absent).exists()
    assert not list(unzipped.rglob("RECORD"))
    assert bundle.size == bundle.path.stat().st_size < 10 * limits.MIB
    assert bundle.sha256 == sha256_of(bundle.path)
    assert bundle.unzipped == sum(p.stat().st_size for p in unzipped.rglob("*") if p.is_file())
    assert {"aflint", "lz4", "msgpack", "cloudpickle"} <= set(bundle.packages)


async def test_a_second_build_comes_from_the_cache(
    bundle: Bundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise AssertionError("pip was asked")

    monkeypatch.setattr(bundles, "install", refuse)
    assert await build_bundle(host_target(), cache=cache) == bundle


async def test_equal_content_gives_equal_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fake(target: Target, wanted: Requirements, folder: Path) -> None:
        (folder / "thing").mkdir()
        (folder / "thing" / "__init__.py").write_text("A = {1, 'b', (2, 'c')}\n")
        (folder / "bin").mkdir()
        (folder / "bin" / "thing").write_text(f"#!{sys.executable}{tmp_path}")

    monkeypatch.setattr(bundles, "install", fake)
    monkeypatch.setattr(bundles, "own_files", lambda: {
        PurePosixPath("aflint/x.py"): Path(__file__),
    })  # fmt: skip
    one = await build_bundle(host_target(), cache=tmp_path / "one")
    other = await build_bundle(host_target(), cache=tmp_path / "other")
    assert one.path != other.path
    assert one.sha256 == other.sha256
    again = await build_bundle(host_target(), cache=tmp_path / "one", refresh=True)
    assert again == one


async def test_a_failed_build_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(target: Target, wanted: Requirements, folder: Path) -> None:
        raise BundleError("no")

    monkeypatch.setattr(bundles, "install", fail)
    with pytest.raises(BundleError):
        await build_bundle(host_target(), cache=tmp_path)
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240


async def test_a_damaged_cache_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fake(target: Target, wanted: Requirements, folder: Path) -> None:
        (folder / "x.py").write_text("")

    monkeypatch.setattr(bundles, "install", fake)
    monkeypatch.setattr(bundles, "own_files", dict)
    built = await build_bundle(host_target(), cache=tmp_path)
    (built.path.parent / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match="--refresh"):
        await build_bundle(host_target(), cache=tmp_path)
    assert await build_bundle(host_target(), cache=tmp_path, refresh=True) == built


def test_too_large_names_the_largest(bundle: Bundle) -> None:
    packages = {"torch": 300 * limits.MIB, "numpy": 40 * limits.MIB}
    large = replace(bundle, unzipped=340 * limits.MIB, packages=packages)
    with pytest.raises(BundleTooLargeError, match=r"340\.0 MB.*250\.0 MB.*torch 300\.0 MB, numpy"):
        check_size(large)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("lz4/block/_block.cpython-311-x86_64-linux-gnu.so", True),
        ("numpy.libs/libgfortran.so.5", True),
        ("pandas/core/tests.py", True),
        ("pandas/tests/test_x.py", False),
        ("lz4/__pycache__/x.pyc", False),
        ("zstandard/_cffi.cpython-311-x86_64-linux-gnu.so", False),
        ("bin/normalizer", False),
        ("wrapt-stubs/__init__.pyi", False),
        ("msgpack/__init__.pyi", False),
        ("lz4-4.4.5.dist-info/METADATA", True),
        ("lz4-4.4.5.dist-info/RECORD", False),
        ("botocore/data/s3/2006-03-01/service-2.json.gz", True),
        ("botocore/data/sqs/2012-11-05/examples-1.json", False),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", False),
        ("botocore/data/endpoints.json", True),
        ("botocore/cacert.pem", True),
    ],
)
def test_which_files_are_kept(path: str, kept: bool) -> None:
    assert keep(PurePosixPath(path)) is kept


def test_who_uses_boto3_gets_every_service() -> None:
    path = PurePosixPath("botocore/data/ec2/2016-11-15/service-2.json.gz")
    assert keep(path, all_services=True)
    assert needs_all_services({"boto3": ["botocore<2"], "botocore": []})
    assert not needs_all_services({"aiobotocore": ["botocore==1"], "botocore": [], "lz4": []})


def test_which_of_aflints_own_files_are_kept() -> None:
    assert keep_own(PurePosixPath("executor/handler.py"))
    assert not keep_own(PurePosixPath("deploy/bundle.py"))
    assert not keep_own(PurePosixPath("executor/__pycache__/handler.cpython-311.pyc"))


def test_a_zip_keeps_what_may_run(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "lib.so").write_bytes(b"x")
    (tmp_path / "in" / "data.txt").write_bytes(b"y")
    write_zip(tmp_path / "out.zip", [tmp_path / "in"])
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        modes = {e.filename: (e.external_attr >> 16) & 0o777 for e in archive.infolist()}
    assert modes == {"lib.so": 0o755, "data.txt": 0o644}
