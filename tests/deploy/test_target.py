from __future__ import annotations

import platform

import pytest

from aflint.deploy.errors import UnsupportedRuntimeError
from aflint.deploy.target import host_target, lambda_target, this_python


def test_wheels_are_no_newer_than_the_runtimes_own_system() -> None:
    old, new = lambda_target("x86_64", "3.11"), lambda_target("arm64", "3.13")
    assert old.platforms[0] == "manylinux_2_26_x86_64"
    assert old.platforms[-1] == "manylinux2014_x86_64"
    assert new.platforms[0] == "manylinux_2_34_aarch64"
    assert (old.runtime, new.runtime) == ("python3.11", "python3.13")


@pytest.mark.parametrize("python", ["3.10", "3.99"])
def test_a_python_without_a_runtime_is_an_error(python: str) -> None:
    with pytest.raises(UnsupportedRuntimeError, match=rf"no runtime for Python {python}.*3\.12"):
        lambda_target("x86_64", python)


def test_an_unknown_architecture_is_an_error() -> None:
    with pytest.raises(UnsupportedRuntimeError, match="sparc"):
        lambda_target("sparc")  # type: ignore[arg-type]


def test_this_machine_needs_no_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert host_target().architecture == "arm64"
    assert host_target().python == this_python()
    assert host_target().platforms == ()
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(UnsupportedRuntimeError, match="riscv64"):
        host_target()
