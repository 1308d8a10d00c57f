"""Calls pip, and says in aflint's own words why it failed."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Final

from aflint.deploy.errors import (
    BundleError,
    NoWheelError,
    PackageIndexError,
    RequirementError,
)
from aflint.deploy.requirements import Requirements
from aflint.deploy.target import Target

_TAIL_LINES: Final = 12
_UNREACHABLE: Final = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Connection refused",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Max retries exceeded",
    "ProxyError",
    "SSLError",
)


def pip_arguments(
    target: Target, requirements: Requirements, folder: Path, pins: Path
) -> list[str]:
    """Return the arguments of the call that installs `requirements` into `folder`. Pure."""
    arguments = [
        "install", "--target", str(folder), "--constraint", str(pins),
        "--only-binary=:all:", "--no-compile", "--no-input", "--no-user",
        "--disable-pip-version-check", "--no-warn-conflicts",
        "--progress-bar=off", "--retries=1", "--timeout=15",
    ]  # fmt: skip
    # For this machine pip knows its tags better than anyone.
    if target.platforms:
        arguments += ["--implementation=cp", f"--python-version={target.python}"]
        arguments += [f"--platform={tag}" for tag in target.platforms]
    for file in requirements.files:
        arguments += ["--requirement", str(file)]
    return [*arguments, *requirements.wanted]


async def install(target: Target, requirements: Requirements, folder: Path) -> None:
    """Fill `folder` with wheels for `target`. pip is quiet unless it fails.

    Raises:
        NoWheelError: a requirement has no wheel for the target.
        RequirementError: requirements that cannot be read, or not be met together.
        PackageIndexError: the package index cannot be reached.
        BundleError: pip is missing, or failed otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="aflint-pip-") as scratch:
        pins = Path(scratch, "pins.txt")
        await asyncio.to_thread(pins.write_text, "\n".join(requirements.pins))
        status, output = await _run(pip_arguments(target, requirements, folder, pins))
    if status:
        raise explain(output, target, requirements)


async def _run(arguments: list[str]) -> tuple[int, str]:
    """Run pip; end it when this is cancelled."""
    # Without PYTHONPATH, pip would take what the driver finds there for installed.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pip", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, env=environment,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


def explain(output: str, target: Target, requirements: Requirements) -> BundleError:
    """Return the error that pip's output stands for. Pure."""
    if "No module named pip" in output:
        return BundleError(
            f"The bundle is made by pip, which {sys.executable} does not have: run "
            f"{sys.executable} -m ensurepip."
        )
    # pip has no exit status for what went wrong: its words have to tell. The network is first, as
    # without it every requirement looks as if there were no wheel.
    if any(sign in output for sign in _UNREACHABLE):
        return PackageIndexError(
            "The package index cannot be reached, and the bundle's packages are not cached yet: "
            "check the network, or PIP_INDEX_URL and PIP_PROXY.\n" + tail(output)
        )
    pinned = re.search(r"The user requested \(constraint\) (\S+)", output)
    # The pin alone has no wheel there. With "depends on" it is two requirements that disagree.
    if pinned and " depends on " not in output:
        return NoWheelError(_no_wheel(pinned[1], target, requirements))
    if "ResolutionImpossible" in output or "conflicting dependencies" in output:
        return RequirementError(
            "The requirements cannot be met together. Packages that the driver has are bundled at "
            f"the driver's version unless another is asked for.\n{tail(output)}"
        )
    missing = re.search(r"No matching distribution found for (.+)", output)
    if missing:
        return NoWheelError(_no_wheel(missing[1].strip(), target, requirements))
    if "Invalid requirement" in output or "nvalid requirement" in output:
        return RequirementError(f"pip cannot read a requirement.\n{tail(output)}")
    return BundleError(f"pip could not gather the bundle's packages.\n{tail(output)}")


def _no_wheel(wanted: str, target: Target, requirements: Requirements) -> str:
    name = re.split(r"[^A-Za-z0-9._-]", wanted)[0]
    pin = next((pin for pin in requirements.pins if pin.startswith(f"{name.lower()}==")), None)
    words = [f"There is no wheel of {wanted} for {target.system}."]
    if pin:
        words.append(
            f"The driver has {pin}, so the bundle asks for the same: name another version "
            f"(--package '{name}<...'), and install it here too."
        )
    else:
        words.append(
            "Check its name, ask for another version, or build a wheel for that platform and give "
            "its path (--package ./NAME.whl)."
        )
    return " ".join(words)


def tail(output: str) -> str:
    """Return the last lines of pip's output that say something, without passwords in URLs."""
    lines = [line for line in output.splitlines() if line.strip() and "WARNING:" not in line]
    return re.sub(r"//[^/@\s]*@", "//***@", "\n".join(lines[-_TAIL_LINES:]))
