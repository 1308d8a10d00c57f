"""What is deployed, and what jobs have in the cloud now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aflint.config import Config
from aflint.deploy.clients import open_clients
from aflint.deploy.leftovers import Leftover, find_leftovers
from aflint.deploy.names import OWNER_TAG, PYTHON_TAG, VERSION_TAG, names_of
from aflint.deploy.plan import RULE_START
from aflint.deploy.reading import find_account, list_functions, read_bucket, read_role
from aflint.deploy.state import BucketState, FunctionState, RoleState


@dataclass(frozen=True)
class Status:
    """A deployment as it is; None and empty where something is not there."""

    account: str
    region: str
    bucket_name: str
    bucket: BucketState | None
    role_name: str
    role: RoleState | None
    functions: tuple[FunctionState, ...]
    leftovers: tuple[Leftover, ...]

    @property
    def expire_days(self) -> int | None:
        """After how many days the bucket forgets what jobs left in it."""
        rules = self.bucket.rules if self.bucket else ()
        ours = (rule for rule in rules if str(rule.get("ID", "")).startswith(RULE_START))
        return next((int(rule["Expiration"]["Days"]) for rule in ours), None)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "account": self.account,
            "region": self.region,
            "bucket": self._bucket(),
            "role": None if self.role is None else {"name": self.role.name, "arn": self.role.arn},
            "functions": [function_dict(each) for each in self.functions],
            "leftovers": [
                {
                    "kind": each.kind, "name": each.label, "since": each.since,
                    "count": each.count, "size": each.size,
                }
                for each in self.leftovers
            ],
        }  # fmt: skip

    def _bucket(self) -> dict[str, Any] | None:
        if self.bucket is None:
            return None
        return {
            "name": self.bucket.name,
            "made_by_aflint": OWNER_TAG in self.bucket.tags,
            "encrypted": self.bucket.encrypted,
            "public_access_blocked": self.bucket.closed,
            "expire_days": self.expire_days,
        }


def function_dict(function: FunctionState) -> dict[str, Any]:
    """Return a function as JSON can hold it."""
    return {
        "name": function.name,
        "arn": function.arn,
        "state": function.status,
        "memory_mb": function.settings.memory_mb,
        "tmp_mb": function.settings.tmp_mb,
        "timeout_s": function.settings.timeout_s,
        "runtime": function.settings.runtime or "image",
        "architecture": function.architecture,
        "aflint": function.tags.get(VERSION_TAG),
        "python": function.tags.get(PYTHON_TAG),
        "code_sha256": function.code.sha256 or function.code.image_uri,
        "code_size": function.size,
        "reserved_concurrency": function.concurrency,
        "modified": function.modified,
    }


async def read_status(config: Config) -> Status:
    """Return what is there. Raises BackendError, ConfigError or NameTakenError."""
    async with open_clients(config) as clients:
        names = names_of(config, await find_account(clients), clients.region)
        return Status(
            account=names.account,
            region=names.region,
            bucket_name=names.bucket,
            bucket=await read_bucket(clients, names),
            role_name=names.role,
            role=await read_role(clients, names),
            functions=tuple(await list_functions(clients, names)),
            leftovers=tuple(await find_leftovers(clients, names)),
        )
