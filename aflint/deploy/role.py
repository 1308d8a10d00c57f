"""The role that functions run as: what is wanted, what is there, the steps between, and removal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aflint.aio import together
from aflint.aws.clients import Aws
from aflint.deploy.names import Names
from aflint.deploy.options import DeployOptions
from aflint.deploy.policies import TRUST, canonical, data_policy, function_policy
from aflint.deploy.steps import Step, pairs

ROLE_POLICY: Final = "aflint"
DATA_POLICY: Final = "aflint-data"
_NO_ROLE: Final = ("NoSuchEntity",)


@dataclass(frozen=True)
class RoleState:
    """The role. `policies` are its own ones by name; a wanted role names those it must have."""

    name: str
    arn: str
    trust: Mapping[str, Any]
    policies: Mapping[str, Mapping[str, Any]]
    tags: Mapping[str, str]


def wanted_role(options: DeployOptions, names: Names) -> RoleState | None:
    """Return the role as it is to be; None where the options name one that an admin made. Pure.

    Raises:
        InvalidArgumentError: a prefix to be read or written is no s3:// address.
    """
    if options.role_arn:
        return None
    policies = {ROLE_POLICY: function_policy(names)}
    if options.reads or options.writes:  # else the data that was granted before stays granted
        policies[DATA_POLICY] = data_policy(names.region, options.reads, options.writes)
    return RoleState(names.role, names.role_arn, TRUST, policies, names.owner)


async def read_role(clients: Aws, names: Names) -> RoleState | None:
    """Return the role with aflint's policies in it, if there is one."""
    subject = f"role {names.role}"
    found = await clients.find("iam", "GetRole", subject, _NO_ROLE, RoleName=names.role)
    if found is None:
        return None
    policies = await together(
        clients.find(
            "iam", "GetRolePolicy", f"policy {policy} of {subject}", _NO_ROLE,
            RoleName=names.role, PolicyName=policy,
        )
        for policy in (ROLE_POLICY, DATA_POLICY)
    )  # fmt: skip
    role = found["Role"]
    return RoleState(
        names.role,
        str(role["Arn"]),
        trust=role["AssumeRolePolicyDocument"],
        policies={each["PolicyName"]: each["PolicyDocument"] for each in policies if each},
        tags={tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
    )


def role_steps(wanted: RoleState, there: RoleState | None, names: Names) -> Iterator[Step]:
    """Yield the steps from what is there to what is wanted. Pure.

    Raises:
        NameTakenError: a role of that name is there and is not aflint's.
    """
    name = wanted.name

    def step(words: str, action: str, creates: bool = False, **parameters: Any) -> Step:
        parameters = {"RoleName": name, **parameters}
        return Step(words, "iam", action, f"role {name}", parameters, creates)

    if there is None:
        yield step(
            f"create role {name}", "CreateRole", creates=True,
            AssumeRolePolicyDocument=canonical(dict(wanted.trust)),
            Description="What aflint's functions may do", Tags=pairs(wanted.tags),
        )  # fmt: skip
    else:
        names.check_owner(f"role {name}", there.tags)
        if there.trust != wanted.trust:
            yield step(
                f"set who may assume role {name}", "UpdateAssumeRolePolicy",
                PolicyDocument=canonical(dict(wanted.trust)),
            )  # fmt: skip
    policies = there.policies if there is not None else {}
    for policy, document in wanted.policies.items():
        # Compared as parsed: IAM gives documents back with other white space.
        if policies.get(policy) != document:
            yield step(
                f"set policy {policy} of role {name}", "PutRolePolicy",
                PolicyName=policy, PolicyDocument=canonical(dict(document)),
            )  # fmt: skip


async def remove_role(clients: Aws, role: str) -> None:
    """Remove a role with its policies; that something of it is gone already is no error."""
    subject = f"role {role}"

    async def call(action: str, **parameters: str) -> dict[str, Any]:
        return (
            await clients.find("iam", action, subject, _NO_ROLE, RoleName=role, **parameters) or {}
        )

    # IAM deletes a role only once it has no policy, of its own or attached.
    for policy in (await call("ListRolePolicies")).get("PolicyNames", []):
        await call("DeleteRolePolicy", PolicyName=policy)
    for policy in (await call("ListAttachedRolePolicies")).get("AttachedPolicies", []):
        await call("DetachRolePolicy", PolicyArn=policy["PolicyArn"])
    await call("DeleteRole")
