"""A deployment's functions: what is wanted, what is there, the steps between, and removal.

What was not asked for is left as it is: further variables and tags of a function, and concurrency
that was reserved by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from aflint import __version__
from aflint.aio import together
from aflint.aws.clients import Aws
from aflint.codec.secret import SECRET_VARIABLE, Secret
from aflint.config import Config
from aflint.deploy.errors import NameTakenError
from aflint.deploy.names import (
    BUCKET_TAG,
    PYTHON_TAG,
    VERSION_TAG,
    Names,
    function_name,
    memory_sizes,
)
from aflint.deploy.options import DeployOptions
from aflint.deploy.steps import Step, status_of
from aflint.deploy.target import Target

HANDLER: Final = "aflint.executor.handler.handler"

TMP_VARIABLE: Final = "AFLINT__TMP_MB"
"""How `aflint.executor.handler` learns the size of /tmp."""

_VARIABLES: Final[Mapping[str, str]] = {"PYTHONHASHSEED": "0"}
"""So that what depends on the order of a set is the same in every function."""

_NOT_FOUND: Final = ("ResourceNotFoundException",)
_WORDS: Final = {
    "role_arn": "role", "memory_mb": "memory", "tmp_mb": "/tmp", "timeout_s": "timeout",
    "variables": "environment",
}  # fmt: skip


@dataclass(frozen=True)
class Code:
    """A function's code: the SHA-256 of a zip in base64, or the URI of an image."""

    sha256: str = ""
    image_uri: str = ""

    def __str__(self) -> str:
        return "an image" if self.image_uri else "a zip"


@dataclass(frozen=True)
class Settings:
    """A function's settings; sizes in MB, `timeout_s` in seconds.

    `variables` may hold secrets of others. `secret` is not among them, and None where there is none
    yet. Neither is ever shown.
    """

    role_arn: str
    runtime: str
    handler: str
    memory_mb: int
    tmp_mb: int
    timeout_s: int
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: Secret | None = None


@dataclass(frozen=True)
class FunctionState:
    """One function, wanted or there. `concurrency` None: none is reserved, or none is asked for."""

    name: str
    architecture: str
    code: Code
    settings: Settings
    tags: Mapping[str, str]
    concurrency: int | None = None
    arn: str = ""
    size: int = 0
    status: str = ""
    modified: str = ""


def wanted_functions(
    config: Config,
    options: DeployOptions,
    names: Names,
    target: Target,
    code: Code,
    secret: Secret,
) -> list[FunctionState]:
    """Return the functions as they are to be, smallest first; `secret` is that of all. Pure."""
    zipped = not code.image_uri
    return [
        FunctionState(
            name=function_name(names.base, memory_mb),
            architecture=target.architecture,
            code=code,
            settings=Settings(
                role_arn=options.role_arn or names.role_arn,
                runtime=target.runtime if zipped else "",
                handler=HANDLER if zipped else "",
                memory_mb=memory_mb,
                tmp_mb=options.tmp_mb,
                timeout_s=options.timeout_s,
                variables={**_VARIABLES, TMP_VARIABLE: str(options.tmp_mb)},
                secret=secret,
            ),
            tags={
                **names.owner,
                VERSION_TAG: __version__,
                PYTHON_TAG: target.python,
                BUCKET_TAG: names.bucket,
            },
            concurrency=options.reserved_concurrency
            if memory_mb == config.smallest_memory_mb
            else None,
        )
        for memory_mb in memory_sizes(config.smallest_memory_mb, options.sizes)
    ]


async def list_functions(clients: Aws, names: Names) -> list[FunctionState]:
    """Return every function of this deployment, smallest first, whatever sizes are configured."""
    found: list[str] = []
    async for page in clients.pages("lambda", "ListFunctions", f"functions {names.base}-*"):
        # Names only: a list says nothing of tags, images and reserved concurrency.
        found += [each["FunctionName"] for each in page["Functions"]]
    return await read_functions(clients, [name for name in found if names.owns_function(name)])


async def read_functions(clients: Aws, wanted: Iterable[str]) -> list[FunctionState]:
    """Return those of the functions that are there, smallest first."""
    states = await together(_read(clients, name) for name in wanted)
    return sorted((each for each in states if each), key=lambda each: each.settings.memory_mb)


async def _read(clients: Aws, name: str) -> FunctionState | None:
    found = await clients.find(
        "lambda", "GetFunction", f"function {name}", _NOT_FOUND, FunctionName=name
    )
    if found is None:
        return None
    shown = found["Configuration"]
    image = found.get("Code", {}).get("ImageUri", "")
    # The secret apart from the rest, so that no comparing or showing of settings comes upon it.
    variables = dict(shown.get("Environment", {}).get("Variables", {}))
    secret = _secret(variables.pop(SECRET_VARIABLE, ""))
    return FunctionState(
        name=shown["FunctionName"],
        # Tags belong to the function, and not to a version of it.
        arn=re.sub(r":\$LATEST$", "", shown["FunctionArn"]),
        architecture=next(iter(shown.get("Architectures") or ["x86_64"])),
        code=Code("", image) if image else Code(shown.get("CodeSha256", "")),
        settings=Settings(
            role_arn=shown.get("Role", ""),
            runtime=shown.get("Runtime", ""),
            handler=shown.get("Handler", ""),
            memory_mb=int(shown.get("MemorySize", 0)),
            tmp_mb=int(shown.get("EphemeralStorage", {}).get("Size", 512)),
            timeout_s=int(shown.get("Timeout", 0)),
            variables=variables,
            secret=secret,
        ),
        tags=found.get("Tags", {}),
        concurrency=found.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
        size=int(shown.get("CodeSize", 0)),
        status=status_of(shown),
        modified=str(shown.get("LastModified", "")),
    )


def _secret(text: str) -> Secret | None:
    """Return a function's secret; None, too, where it is malformed: deploying replaces it."""
    try:
        return Secret.from_text(text)
    except ValueError:
        return None


def secret_of(functions: Iterable[FunctionState]) -> Secret | None:
    """Return the secret of a deployment: that of its smallest function which has one."""
    states = sorted(functions, key=lambda each: each.settings.memory_mb)
    return next((each.settings.secret for each in states if each.settings.secret), None)


def function_steps(
    wanted: FunctionState, there: FunctionState | None, names: Names
) -> Iterator[Step]:
    """Yield the steps from what is there to what is wanted. Pure.

    Raises:
        NameTakenError: a function of that name is there and is not aflint's, or cannot become it.
    """
    if there is None:
        yield _create(wanted)
    else:
        names.check_owner(f"function {wanted.name}", there.tags)
        yield from _changes(wanted, there)
    # None asked for leaves what is reserved as it is.
    reserved = there.concurrency if there is not None else None
    if wanted.concurrency is not None and reserved != wanted.concurrency:
        yield _step(
            f"reserve {wanted.concurrency:,} concurrent invocations for {wanted.name}",
            "PutFunctionConcurrency", wanted.name,
            FunctionName=wanted.name, ReservedConcurrentExecutions=wanted.concurrency,
        )  # fmt: skip


def _step(words: str, action: str, function: str, **parameters: Any) -> Step:
    return Step(words, "lambda", action, f"function {function}", parameters, function=function)


def _create(wanted: FunctionState) -> Step:
    settings, image = wanted.settings, wanted.code.image_uri
    kind = settings.runtime or "image"
    package: dict[str, Any] = {"PackageType": "Image", "Code": {"ImageUri": image}}
    if not image:
        package = {"PackageType": "Zip", "Runtime": settings.runtime, "Handler": settings.handler}
    made = _step(
        f"create function {wanted.name} ({settings.memory_mb} MB, {kind})",
        "CreateFunction", wanted.name,
        Architectures=[wanted.architecture], Tags=dict(wanted.tags),
        Description="Runs aflint's tasks", Publish=False,
        **_parameters(wanted.name, settings), **package,
    )  # fmt: skip
    return replace(
        made,
        creates=True,
        needs_code=not image,
        secret=settings.secret,
        after_role=True,
        settles=True,
    )


def _changes(wanted: FunctionState, there: FunctionState) -> Iterator[Step]:
    name, image = wanted.name, wanted.code.image_uri
    if bool(image) != bool(there.code.image_uri):
        raise NameTakenError(
            f"Function {name} was deployed as {there.code}, and Lambda cannot make it "
            f"{wanted.code}: remove it first with aflint destroy, or choose another `function`."
        )
    if wanted.code != there.code or wanted.architecture != there.architecture:
        update = _step(
            f"update the code of function {name}", "UpdateFunctionCode", name,
            FunctionName=name, Architectures=[wanted.architecture],
            **({"ImageUri": image} if image else {}),
        )  # fmt: skip
        yield replace(update, needs_code=not image, settles=True)
    # Lambda replaces all variables at once: those that others have set are sent along.
    variables = {**there.settings.variables, **wanted.settings.variables}
    settings = replace(wanted.settings, variables=variables)
    if changed := _differing(settings, there.settings):
        runtime = {"Runtime": settings.runtime, "Handler": settings.handler}
        update = _step(
            f"update {', '.join(changed)} of function {name}", "UpdateFunctionConfiguration", name,
            **_parameters(name, settings), **(runtime if settings.runtime else {}),
        )  # fmt: skip
        yield replace(update, secret=settings.secret, after_role=True, settles=True)
    if not wanted.tags.items() <= there.tags.items():  # further tags are others'
        tags = dict(wanted.tags)
        yield _step(f"tag function {name}", "TagResource", name, Resource=there.arn, Tags=tags)


def _differing(wanted: Settings, there: Settings) -> list[str]:
    names = (field.name for field in fields(Settings))
    return [
        _WORDS.get(each, each) for each in names if getattr(wanted, each) != getattr(there, each)
    ]


def _parameters(name: str, settings: Settings) -> dict[str, Any]:
    """Return what creating and updating have in common; the secret is added by the step itself."""
    return {
        "FunctionName": name,
        "Role": settings.role_arn,
        "Timeout": settings.timeout_s,
        "MemorySize": settings.memory_mb,
        "EphemeralStorage": {"Size": settings.tmp_mb},
        "Environment": {"Variables": dict(settings.variables)},
    }


async def remove_function(clients: Aws, name: str) -> None:
    """Remove a function; that it is gone already is no error."""
    await clients.find(
        "lambda", "DeleteFunction", f"function {name}", _NOT_FOUND, FunctionName=name
    )


async def remove_logs(clients: Aws, group: str) -> None:
    """Remove a log group; that there is none is no error."""
    await clients.find(
        "logs", "DeleteLogGroup", f"log group {group}", _NOT_FOUND, logGroupName=group
    )
