"""Looks for what keeps jobs from running, here and on AWS, and says of each thing what to do."""

from __future__ import annotations

import asyncio
import enum
import importlib.util
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aflint import __version__, limits
from aflint.aio import together
from aflint.aws.clients import Aws
from aflint.config import Config
from aflint.deploy.bucket import read_bucket
from aflint.deploy.cache import CACHE_ADVICE, can_be_made, default_cache
from aflint.deploy.clean import default_scratch, find_folders
from aflint.deploy.clients import open_clients
from aflint.deploy.functions import FunctionState, list_functions
from aflint.deploy.names import ANY, PYTHON_TAG, VERSION_TAG, Names, names_of
from aflint.deploy.packages import find_misfits
from aflint.deploy.policies import actions_of, deployer_policy, driver_policy
from aflint.deploy.role import read_role
from aflint.deploy.target import RUNTIME_GLIBC, this_python
from aflint.errors import (
    AflintError,
    BackendError,
    ConfigError,
    CredentialsError,
    EndpointUnreachableError,
)

_LITTLE_SPACE: Final = limits.GIB
_DEPLOY: Final = "Run aflint deploy."
_PRINT_IAM: Final = "Have them allowed: aflint deploy --print-iam prints the policies."


class Level(enum.Enum):
    """How good it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was seen, and what to do about it, if anything."""

    level: Level
    subject: str
    seen: str
    advice: str = ""


def ok(subject: str, seen: str) -> Finding:
    """Return a line about something that is as it should be."""
    return Finding(Level.OK, subject, seen)


def warn(subject: str, seen: str, advice: str) -> Finding:
    """Return a line about something that works, but not well, or that could not be seen."""
    return Finding(Level.WARN, subject, seen, advice)


def fail(subject: str, seen: str, advice: str) -> Finding:
    """Return a line about something that keeps jobs from running."""
    return Finding(Level.FAIL, subject, seen, advice)


def failed(subject: str, error: AflintError) -> Finding:
    """Return the line for an error, whose message says what to do."""
    return Finding(Level.FAIL, subject, str(error))


async def examine(config: Config) -> list[Finding]:
    """Return a line for each thing that was looked at, on this machine and on AWS.

    Nothing is changed, and no error of AWS is raised: each is a line.
    """
    here, cloud = await asyncio.to_thread(check_here, config), await check_cloud(config)
    return [*here, *cloud]


def check_here(config: Config) -> list[Finding]:
    """Return what there is to say about this machine."""
    packages = [warn(*misfit) for misfit in find_misfits()]
    return [_python(), *packages, _pip(), _bundles(), _space(config), _folders(config)]


def _python() -> Finding:
    seen = f"Python {platform.python_version()}, aflint {__version__}"
    if this_python() in RUNTIME_GLIBC:
        return ok("versions", seen)
    known = ", ".join(RUNTIME_GLIBC)
    return fail("versions", f"{seen}: Lambda does not run it", f"Run the driver with {known}.")


def _pip() -> Finding:
    if importlib.util.find_spec("pip"):
        return ok("pip", "can build bundles")
    return warn("pip", "is missing, so no bundle can be built", "Run python -m ensurepip.")


def _bundles() -> Finding:
    try:
        folder = default_cache()
    except ConfigError as error:
        return fail("bundles", "can be kept nowhere", str(error))
    if not can_be_made(folder):
        return fail("bundles", f"{folder} cannot be written to", CACHE_ADVICE)
    return ok("bundles", f"are kept in {folder}")


def _space(config: Config) -> Finding:
    advice = "Set `scratch_dir` to a folder with room that you can write to."
    try:
        folder = default_scratch(config.scratch_dir)
    except ConfigError as error:
        return fail("scratch folder", str(error), advice)
    try:  # as a session does it: permissions alone do not tell of full and read-only disks
        there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(4096))
            file.flush()
        free = shutil.disk_usage(there).free
    except OSError as error:
        return fail("scratch folder", f"{folder} cannot be used: {error.strerror}", advice)
    seen = f"{folder} has {free / limits.GIB:.1f} GB free"
    if there != folder:
        seen += "; it is missing, and sessions make it for as long as they last"
    if free < _LITTLE_SPACE:
        return warn("scratch folder", seen, advice)
    return ok("scratch folder", seen)


def _folders(config: Config) -> Finding:
    try:
        folder = default_scratch(config.scratch_dir)
    except ConfigError:
        return ok("leftovers here", "none")  # `_space` says why
    dead = [each for each in find_folders(folder) if not each.alive]
    if not dead:
        return ok("leftovers here", "none")
    size = sum(each.size for each in dead) / limits.MIB
    seen = f"{len(dead)} folders of killed drivers, {size:.1f} MB"
    return warn("leftovers here", seen, "Run aflint clean.")


async def check_cloud(config: Config) -> list[Finding]:
    """Return what there is to say about AWS: one line where it cannot be asked at all."""
    try:
        async with open_clients(config) as clients:
            return await _check(config, clients)
    except ConfigError as error:
        return [failed("configuration", error)]


async def _check(config: Config, clients: Aws) -> list[Finding]:
    try:
        caller = await clients.call("sts", "GetCallerIdentity", "your credentials")
    except CredentialsError as error:
        return [failed("credentials", error)]
    except EndpointUnreachableError as error:
        return [failed("endpoint", error)]
    except AflintError as error:
        return [failed("credentials", error)]
    names = names_of(config, str(caller["Account"]), clients.region)
    endpoint = config.endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
    where = clients.region + (f" at {endpoint}" if endpoint else "")
    arn = str(caller["Arn"])
    checks: list[tuple[str, Callable[[], Awaitable[list[Finding]]]]] = [
        ("driver's permissions", lambda: _permissions(clients, names, arn, deployer=False)),
        ("deployer's permissions", lambda: _permissions(clients, names, arn, deployer=True)),
        ("concurrency", lambda: _concurrency(clients, config)),
        ("functions", lambda: _functions(clients, names)),
        ("role", lambda: _role(clients, names)),
        ("bucket", lambda: _bucket(clients, names)),
        ("queues", lambda: _queues(clients, names)),
    ]
    # Side by side, and each by itself: what one of them is refused says nothing of the others.
    found = await together(_guarded(subject, check) for subject, check in checks)
    return [
        ok("credentials", arn),
        ok("region", where),
        *(finding for findings in found for finding in findings),
    ]


async def _guarded(subject: str, check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    """Return what a check finds, or what kept it from looking."""
    try:
        return await check()
    except AflintError as error:
        return [failed(subject, error)]


async def _permissions(clients: Aws, names: Names, arn: str, *, deployer: bool) -> list[Finding]:
    """Ask IAM to simulate. What only a deployer needs is no failure: an admin may have deployed."""
    subject = "deployer's permissions" if deployer else "driver's permissions"
    policy = deployer_policy(names) if deployer else driver_policy(names)
    try:
        answers = await together(
            clients.call(
                "iam", "SimulatePrincipalPolicy", subject,
                PolicySourceArn=principal_of(arn), **simulation(statement, names),
            )
            for statement in policy["Statement"]
        )  # fmt: skip
    except BackendError as error:
        advice = "Nothing need be wrong: only iam:SimulatePrincipalPolicy would tell beforehand."
        return [warn(subject, f"cannot be simulated ({error.code or 'no answer'})", advice)]
    results = [result for answer in answers for result in answer.get("EvaluationResults", [])]
    denied = sorted({r["EvalActionName"] for r in results if r["EvalDecision"] != "allowed"})
    if not denied:
        return [ok(subject, f"{len(actions_of(policy))} actions are allowed")]
    level = warn if deployer else fail
    return [level(subject, f"denied: {', '.join(denied)}", _PRINT_IAM)]


def simulation(statement: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Return what to ask the simulator, so that a policy with this statement allows it. Pure."""
    context = {"s3:prefix": f"{names.prefix}/", "iam:PassedToService": "lambda.amazonaws.com"}
    return {
        "ActionNames": statement["Action"],
        "ResourceArns": [
            # The simulator takes no patterns, but for * alone.
            resource if resource == ANY else resource.replace(ANY, "x")
            for resource in statement["Resource"]
        ],
        "ContextEntries": [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in context.items()
        ],
    }


def principal_of(arn: str) -> str:
    """Return whose policies apply to a caller: of an assumed role, the role. Pure."""
    match = re.fullmatch(r"arn:([\w-]+):sts::(\d+):assumed-role/([^/]+)/.+", arn)
    return f"arn:{match[1]}:iam::{match[2]}:role/{match[3]}" if match else arn


async def _concurrency(clients: Aws, config: Config) -> list[Finding]:
    answer = await clients.call("lambda", "GetAccountSettings", "your account")
    quota = int(answer["AccountLimit"]["ConcurrentExecutions"])
    # What is reserved for other functions is not there for this one.
    free = int(answer["AccountLimit"].get("UnreservedConcurrentExecutions", quota))
    seen = f"{quota:,} concurrent invocations for the account, {free:,} of them unreserved"
    if free >= config.concurrency:
        return [ok("concurrency", seen)]
    advice = (
        f"The setting `concurrency` is {config.concurrency:,}: jobs are throttled above {free:,}. "
        "Set it lower, or ask AWS for more (Service Quotas, Lambda, Concurrent executions)."
    )
    return [warn("concurrency", seen, advice)]


async def _functions(clients: Aws, names: Names) -> list[Finding]:
    functions = await list_functions(clients, names)
    if not functions:
        return [fail("functions", f"there is no function {names.base}-*", _DEPLOY)]
    return [finding for each in functions for finding in judge_function(each)] + [
        await _dry_run(clients, functions[0].name)
    ]


def judge_function(function: FunctionState) -> list[Finding]:
    """Return what there is to say about one function. Pure."""
    subject = f"function {function.name}"
    python, version = function.tags.get(PYTHON_TAG), function.tags.get(VERSION_TAG)
    seen = (
        f"{function.status}, {function.settings.memory_mb} MB, Python {python or 'unknown'}, "
        f"aflint {version or 'unknown'}"
    )
    if function.status == "Failed":
        return [fail(subject, seen, "Run aflint destroy and aflint deploy.")]
    # The worst first: of several things that are wrong with a function, one is said.
    if python is None:
        return [fail(subject, seen, "It was not made by aflint: choose another `function`.")]
    if python != this_python():
        advice = f"The driver runs Python {this_python()}: use {python}, or run aflint deploy."
        return [fail(subject, seen, advice)]
    if version != __version__:
        return [warn(subject, seen, f"The driver has aflint {__version__}. {_DEPLOY}")]
    if function.settings.secret is None:
        return [fail(subject, f"{seen}, without a secret to know its drivers by", _DEPLOY)]
    if function.settings.timeout_s < limits.LAMBDA_TIMEOUT_S:
        advice = "Long tasks are cut and chained more often than they need be."
        return [warn(subject, f"{seen}, timeout {function.settings.timeout_s} s", advice)]
    return [ok(subject, seen)]


async def _dry_run(clients: Aws, name: str) -> Finding:
    """Ask Lambda whether an invocation would be let through; nothing runs."""
    await clients.call(
        "lambda", "Invoke", f"function {name}", FunctionName=name, InvocationType="DryRun"
    )
    return ok("invocation", f"{name} may be invoked")


async def _role(clients: Aws, names: Names) -> list[Finding]:
    role = await read_role(clients, names)
    if role is None:
        advice = f"{_DEPLOY} (Nothing is wrong if the functions were given another role.)"
        return [warn("role", f"there is no role {names.role}", advice)]
    return [ok("role", role.arn)]


async def _bucket(clients: Aws, names: Names) -> list[Finding]:
    bucket = await read_bucket(clients, names)
    if bucket is None:
        return [fail("bucket", f"there is no bucket {names.bucket}", _DEPLOY)]
    if not bucket.rules:
        seen = f"{names.bucket} keeps what killed drivers leave"
        return [warn("bucket", seen, f"It has no rule to expire it. {_DEPLOY}")]
    return [ok("bucket", names.bucket)]


async def _queues(clients: Aws, names: Names) -> list[Finding]:
    answer = await clients.call(
        "sqs", "ListQueues", f"queues {names.queues}*",
        QueueNamePrefix=names.queues, MaxResults=1000,
    )  # fmt: skip
    count = len(answer.get("QueueUrls", []))
    return [ok("queues", f"SQS answers; {count} queues {names.queues}* now")]
