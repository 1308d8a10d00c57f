from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from aflint.config import Config
from aflint.deploy.doctor import Level, check_here
from aflint.deploy.packages import find_misfits

NEEDS = {
    "aflint": ["aiobotocore<3.11,>=3.0", "lz4>=4.3"],
    "aiobotocore": ["botocore<1.43.118,>=1.43.90", "boto3<1.44; extra == 'boto3'"],
    "boto3": ["botocore<1.44.0,>=1.43.117"],
}
FITTING = {"aflint": "0.1.0", "aiobotocore": "3.10.0", "botocore": "1.43.117", "boto3": "1.43.117"}


def said(**others: str | None) -> list[tuple[str, str, str]]:
    installed = {**FITTING, **others}

    def version(package: str) -> str:
        found = installed[package]
        if found is None:
            raise PackageNotFoundError(package)
        return found

    return find_misfits(version, lambda user: NEEDS[user] if version(user) else [])


@pytest.mark.parametrize("boto3", ["1.43.117", None])
def test_versions_that_fit(boto3: str | None) -> None:
    assert said(boto3=boto3) == []


@pytest.mark.parametrize("version", ["2.26.0", "3.11.0", "4.0"])
def test_an_aiobotocore_that_was_not_tested(version: str) -> None:
    ((package, seen, advice),) = said(aiobotocore=version)
    assert package == "aiobotocore"
    assert seen == f"aflint 0.1.0 needs <3.11,>=3.0, and {version} is installed"
    assert "aiobotocore[boto3]<3.11,>=3.0" in advice


def test_a_botocore_that_boto3_brought() -> None:
    found = said(botocore="1.43.200", boto3="1.44.0")
    assert [each[:2] for each in found] == [
        ("botocore", "aiobotocore 3.10.0 needs <1.43.118,>=1.43.90, and 1.43.200 is installed")
    ]


def test_a_boto3_that_wants_a_newer_botocore() -> None:
    found = said(botocore="1.43.100")
    assert [each[1] for each in found] == [
        "boto3 1.43.117 needs <1.44.0,>=1.43.117, and 1.43.100 is installed"
    ]


@pytest.mark.parametrize(
    ("package", "version", "needed_by"),
    [("aiobotocore", "2.26.0", "aflint"), ("botocore", "1.50.0", "aiobotocore")],
)
def test_doctor_says_which_installed_package_does_not_fit(
    package: str, version: str, needed_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / f"{package}-{version}.dist-info"  # as pip leaves it, found first
    installed.mkdir()
    needs = "" if package == "botocore" else "Requires-Dist: botocore\n"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n{needs}"
    (installed / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    lines = [each for each in check_here(Config()) if each.subject == package]
    (line,) = [each for each in lines if each.seen.startswith(f"{needed_by} ")]
    assert line.level is Level.WARN
    assert line.seen.endswith(f", and {version} is installed")
    assert "pip install 'aiobotocore[boto3]" in line.advice
