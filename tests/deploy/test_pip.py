from __future__ import annotations

import os
from pathlib import Path

import pytest

from aflint.deploy.errors import (
    BundleError,
    NoWheelError,
    PackageIndexError,
    RequirementError,
)
from aflint.deploy.pip import explain, install, pip_arguments
from aflint.deploy.requirements import Requirements
from aflint.deploy.target import host_target, lambda_target

TARGET = lambda_target("arm64", "3.11")
PINNED = Requirements(("numpy",), (), ("numpy==2.4.6",))


def test_wheels_only_for_the_platform() -> None:
    arguments = pip_arguments(
        TARGET, Requirements(("six",), (Path("r.txt"),), ()), Path("t"), Path("c")
    )
    assert "--only-binary=:all:" in arguments
    assert "--platform=manylinux_2_26_aarch64" in arguments
    assert "--python-version=3.11" in arguments
    assert arguments[-3:] == ["--requirement", "r.txt", "six"]
    assert not any(each.startswith("--platform") for each in
                   pip_arguments(host_target(), PINNED, Path("t"), Path("c")))  # fmt: skip


NO_WHEEL = """\
ERROR: Could not find a version that satisfies the requirement numpy (from versions: 1.0)
ERROR: No matching distribution found for numpy
"""


def test_a_missing_wheel_names_platform_and_the_drivers_version() -> None:
    error = explain(NO_WHEEL, TARGET, PINNED)
    assert isinstance(error, NoWheelError)
    assert "no wheel of numpy for Python 3.11 on Lambda (arm64, glibc 2.26)" in str(error)
    assert "The driver has numpy==2.4.6" in str(error)
    unpinned = explain(NO_WHEEL, TARGET, Requirements(("numpy",), (), ()))
    assert "build a wheel" in str(unpinned)


def test_a_driver_whose_version_has_no_wheel_there() -> None:
    output = """\
ERROR: Cannot install numpy because these package versions have conflicting dependencies.
The conflict is caused by:
    The user requested numpy
    The user requested (constraint) numpy==2.4.6
ERROR: ResolutionImpossible: for help visit
"""
    error = explain(output, TARGET, PINNED)
    assert isinstance(error, NoWheelError)
    assert "no wheel of numpy==2.4.6 for Python 3.11 on Lambda" in str(error)
    assert "--package 'numpy<...'" in str(error)
    other = output.replace("The user requested numpy", "    pandas 1 depends on numpy<2")
    assert isinstance(explain(other, TARGET, PINNED), RequirementError)


@pytest.mark.parametrize(
    ("output", "kind", "words"),
    [
        ("/usr/bin/python: No module named pip", BundleError, "ensurepip"),
        ("WARNING: Retrying: Failed to establish a new connection\nERROR: No matching distribution "
         "found for six", PackageIndexError, "cannot be reached"),
        ("ERROR: ResolutionImpossible: for help visit", RequirementError, "met together"),
        ("ERROR: Invalid requirement: 'a b'", RequirementError, "cannot read"),
        ("ERROR: something else", BundleError, "something else"),
    ],
)  # fmt: skip
def test_each_failure_has_a_class(output: str, kind: type[BundleError], words: str) -> None:
    error = explain(output, TARGET, PINNED)
    assert type(error) is kind
    assert words in str(error)


def test_passwords_in_pips_output_are_not_shown() -> None:
    shown = str(explain("ERROR: https://user:secret@index/simple broke", TARGET, PINNED))
    assert "secret" not in shown
    assert "//***@index" in shown


async def test_what_no_index_has_is_a_typed_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    wanted = Requirements(("aflint-no-such-package",), (), ())
    with pytest.raises(NoWheelError, match="no wheel of aflint-no-such-package"):
        await install(TARGET, wanted, tmp_path)


async def test_an_unreachable_index_is_a_typed_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    with pytest.raises(PackageIndexError, match="cannot be reached"):
        await install(TARGET, Requirements(("six",), (), ()), tmp_path)
