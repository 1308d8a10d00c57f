"""The names of everything that one deployment owns, derived from the configuration. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aflint import limits
from aflint.config import Config
from aflint.deploy.errors import NameTakenError
from aflint.errors import ConfigError

ANY: Final = "*"
"""Stands for an account or region that is not known; valid in the ARNs of policies."""

_FUNCTION = re.compile(r"[A-Za-z0-9_-]{1,58}")
_ROLE_CHARACTERS = 64
_BUCKET_CHARACTERS = 63

OWNER_TAG: Final = "aflint:function"
VERSION_TAG: Final = "aflint:version"
PYTHON_TAG: Final = "aflint:python"
BUCKET_TAG: Final = "aflint:bucket"


def function_name(base: str, memory_mb: int) -> str:
    """Return the name of the function of one memory size: `aflint-1769`."""
    return f"{base}-{memory_mb}"


def memory_sizes(smallest_mb: int, count: int = 3) -> tuple[int, ...]:
    """Return memory sizes in MB, each twice the one before, as far as Lambda has them.

    A task that runs out of memory is run again on the next.
    """
    # Of several that are cut to Lambda's largest, one is left.
    sizes = (smallest_mb << step for step in range(count))
    return tuple(dict.fromkeys(min(size, limits.LAMBDA_MEMORY_MAX_MB) for size in sizes))


def partition_of(region: str) -> str:
    """Return the partition of AWS that a region lies in: `aws`, `aws-cn`, `aws-us-gov`."""
    for start, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region.startswith(start):
            return partition
    return "aws"


def history_prefix(prefix: str) -> str:
    """Return where in the bucket the logs of runs are: neither jobs' leftovers nor the bundle's."""
    return f"{prefix}/history"


@dataclass(frozen=True)
class Names:
    """Names and ARNs of one deployment, in one account and region (either may be `ANY`)."""

    base: str
    prefix: str
    bucket: str
    account: str
    region: str

    @property
    def owner(self) -> dict[str, str]:
        """The tag by which aflint knows what it made."""
        return {OWNER_TAG: self.base}

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether something with these tags was made by this deployment."""
        return tags.get(OWNER_TAG) == self.base

    def check_owner(self, subject: str, tags: Mapping[str, str]) -> None:
        """Raise NameTakenError where something with these tags was made by others."""
        if not self.owns(tags):
            raise NameTakenError(
                f"A {subject} is there already, and does not carry aflint's tag {OWNER_TAG}: it is "
                "left alone. Choose another `function` in the configuration, or remove that one."
            )

    @property
    def role(self) -> str:
        """The role's name. Roles belong to all regions, so the region is in it."""
        return _fit(f"{self.base}-{self.region}", _ROLE_CHARACTERS)

    @property
    def queues(self) -> str:
        """What the name of every queue begins with."""
        return f"{self.prefix}-"

    @property
    def uploads(self) -> str:
        """What the key of a bundle begins with; other objects under the prefix are the history, or
        jobs'.
        """
        return f"{self.prefix}/deploy/"

    def owns_function(self, name: str) -> bool:
        """Whether a function of this name is one of this deployment's memory sizes."""
        return re.fullmatch(re.escape(self.base) + r"-\d{3,5}", name) is not None

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in this account and region."""
        partition = partition_of(self.region)
        return f"arn:{partition}:{service}:{self.region}:{self.account}:{resource}"

    @property
    def role_arn(self) -> str:
        """The role's ARN."""
        return f"arn:{partition_of(self.region)}:iam::{self.account}:role/{self.role}"

    @property
    def bucket_arn(self) -> str:
        """The bucket's ARN."""
        return f"arn:{partition_of(self.region)}:s3:::{self.bucket}"

    def log_group(self, function: str) -> str:
        """Return the log group that Lambda writes a function's output to."""
        return f"/aws/lambda/{function}"


def names_of(config: Config, account: str, region: str) -> Names:
    """Return the names that a configuration stands for.

    Raises:
        ConfigError: `function` is an ARN, or too long to carry a memory size.
    """
    if not _FUNCTION.fullmatch(config.function):
        raise ConfigError(
            f'{config.origin("function")}: function = "{config.function}" cannot be '
            "deployed: give a plain name of at most 58 letters, digits, - and _, not an ARN."
        )
    bucket = config.bucket or default_bucket(config.function, account, region)
    return Names(config.function, config.prefix, bucket, account, region)


def default_bucket(base: str, account: str, region: str) -> str:
    """Return the bucket that is made when none is configured: bucket names are worldwide, so the
    account and region are in it.
    """
    # Buckets are hosts in DNS: fewer letters are allowed than in a function's name.
    base = re.sub(r"[^a-z0-9]+", "-", base.lower()).strip("-") or "aflint"
    room = _BUCKET_CHARACTERS - len(f"-{account}-{region}")
    return f"{_fit(base, room)}-{account}-{region}"


def _fit(name: str, most: int) -> str:
    if len(name) <= most:
        return name
    # So that two names with a long beginning in common stay two.
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: most - 7].rstrip('-')}-{digest}"
