"""What a bundle is built for: a version of Python, an architecture, and wheels that fit them."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from typing import Final, Literal

from aflint.deploy.errors import UnsupportedRuntimeError

Architecture = Literal["x86_64", "arm64"]

RUNTIME_GLIBC: Final = {"3.11": 26, "3.12": 34, "3.13": 34, "3.14": 34}
"""Lambda's Python runtimes and the 2.x glibc of the system below each: Amazon Linux 2 up to 3.11,
Amazon Linux 2023 since 3.12 (docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html,
2026-11)."""

_MACHINES: Final[dict[Architecture, str]] = {"x86_64": "x86_64", "arm64": "aarch64"}
_NAMES: Final[dict[str, Architecture]] = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "arm64",
    "arm64": "arm64",
}
_OLDEST_GLIBC: Final = 17


@dataclass(frozen=True)
class Target:
    """Where a bundle is to run. `platforms` are pip's tags, best first; none means this machine."""

    python: str
    architecture: Architecture
    platforms: tuple[str, ...]

    @property
    def runtime(self) -> str:
        """Lambda's name of the runtime, such as `python3.12`."""
        return f"python{self.python}"

    @property
    def system(self) -> str:
        """The target in words, for messages."""
        if not self.platforms:
            return f"Python {self.python} on this machine ({self.architecture})"
        glibc = RUNTIME_GLIBC[self.python]
        return f"Python {self.python} on Lambda ({self.architecture}, glibc 2.{glibc})"


def this_python() -> str:
    """Return this interpreter's minor version, which a function's has to equal: `3.12`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def lambda_target(architecture: Architecture = "x86_64", python: str | None = None) -> Target:
    """Return the target for a Lambda function.

    Raises:
        UnsupportedRuntimeError: Lambda does not run that Python, or has no such architecture.
    """
    python = python or this_python()
    if python not in RUNTIME_GLIBC:
        known = ", ".join(RUNTIME_GLIBC)
        raise UnsupportedRuntimeError(
            f"AWS Lambda has no runtime for Python {python}, and functions run the driver's "
            f"version: run the driver with one of {known}."
        )
    if architecture not in _MACHINES:
        raise UnsupportedRuntimeError(
            f"AWS Lambda has no architecture {architecture!r}; use x86_64 or arm64."
        )
    machine = _MACHINES[architecture]
    newest = RUNTIME_GLIBC[python]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, _OLDEST_GLIBC - 1, -1)]
    return Target(python, architecture, (*platforms, f"manylinux2014_{machine}"))


def host_target() -> Target:
    """Return the target for functions that an emulator runs on this machine.

    Raises:
        UnsupportedRuntimeError: this machine is of an architecture that Lambda does not have.
    """
    machine = platform.machine().lower()
    if machine not in _NAMES:
        raise UnsupportedRuntimeError(
            f"This machine is of architecture {machine!r}; functions run on x86_64 or arm64."
        )
    return Target(this_python(), _NAMES[machine], ())
