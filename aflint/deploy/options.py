"""What a deployment can be asked for beyond the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aflint import limits
from aflint.deploy.target import Architecture
from aflint.errors import InvalidArgumentError

EXPIRE_DAYS: Final = 3
"""How long what a killed driver left in the bucket stays there; a job may take that long."""
SIZES: Final = 3


@dataclass(frozen=True, kw_only=True)
class DeployOptions:
    """What to deploy. Sizes in MB of 1024 * 1024 bytes.

    `reserved_concurrency` is the smallest function's; None leaves it as it is. `role_arn` is a
    role that an admin made; None has one made here. `reads` and `writes` are s3:// prefixes of the
    user's data; once granted, they stay until others are given. With `rotate_secret`, functions
    refuse the sessions that are open now.

    Raises:
        InvalidArgumentError: a value is outside of what Lambda takes.
    """

    architecture: Architecture | None = None
    packages: Sequence[str] = ()
    requirements: Sequence[Path] = ()
    sizes: int = SIZES
    tmp_mb: int = limits.LAMBDA_TMP_MIN_MB
    timeout_s: int = limits.LAMBDA_TIMEOUT_S
    reserved_concurrency: int | None = None
    expire_days: int = EXPIRE_DAYS
    role_arn: str | None = None
    image_uri: str | None = None
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    refresh: bool = False
    rotate_secret: bool = False
    cache: Path | None = None

    def __post_init__(self) -> None:
        _check("sizes", self.sizes, 1, 7)
        _check("tmp_mb", self.tmp_mb, limits.LAMBDA_TMP_MIN_MB, limits.LAMBDA_TMP_MAX_MB)
        _check("timeout_s", self.timeout_s, 1, limits.LAMBDA_TIMEOUT_S)
        _check("expire_days", self.expire_days, 1, 3650)
        if self.reserved_concurrency is not None:
            _check("reserved_concurrency", self.reserved_concurrency, 1, 1_000_000)


def _check(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidArgumentError(f"{name} = {value}, but must be from {least:,} to {most:,}.")
