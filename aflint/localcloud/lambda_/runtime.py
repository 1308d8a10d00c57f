"""What runs in an environment: AWS's runtime client, how it is started, and the API it calls."""

from __future__ import annotations

import hmac
import importlib.util
import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiohttp import web

from aflint.errors import AflintError
from aflint.localcloud.lambda_ import bootstrap
from aflint.localcloud.lambda_.functions import RUNTIME, Code, Settings
from aflint.localcloud.loopback import LoopbackServer, no_proxy, read_body

_MODULES = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
_MB = 1024 * 1024
_FLAGS = ("-s", "-S", "-P", "-B")
"""Neither this machine's packages nor its caches: only the standard library and the bundle."""
_PREFIX = "/2018-06-01/runtime/"


class RuntimeClientMissingError(AflintError):
    """The emulator cannot run Lambda functions because awslambdaric is not installed."""


def link_runtime(folder: Path) -> None:
    """Fill `folder` with links to the runtime client; raises RuntimeClientMissingError.

    A function sees the standard library, its own bundle and this folder, as on Lambda. Packages
    that happen to be installed beside the emulator stay out of its sight: what is missing from a
    bundle is missing here, too. (AWS's own runtime also has boto3; this one does not.)
    """
    sources = {name: _source(name) for name in _MODULES}
    missing = [name for name, source in sources.items() if source is None]
    if missing:
        raise RuntimeClientMissingError(
            f"localcloud runs Lambda functions through AWS's runtime client, but {missing[0]!r} "
            "cannot be found: pip install 'aflint[localcloud]'"
        )
    for source in sources.values():
        if source is not None:
            (folder / source.name).symlink_to(source)


def _source(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin else None


@dataclass(frozen=True)
class Image:
    """What an environment is made from: one revision of one function."""

    function: str
    arn: str
    revision: int
    settings: Settings
    code: Code


def command(image: Image, runtime: Path) -> list[str]:
    """The command line; `runtime` is the folder of the runtime client."""
    tmp_bytes = str(image.settings.tmp * _MB)
    handler = image.settings.handler
    return [sys.executable, *_FLAGS, bootstrap.__file__, str(runtime), tmp_bytes, handler]


def variables(
    image: Image,
    name: str,
    address: str,
    *,
    tmp: Path,
    runtime: Path,
    credentials: Mapping[str, str],
    now: float,
) -> dict[str, str]:
    """The environment variables that Lambda sets, for an environment called `name`.

    `address` is the Runtime API's `host:port/token`, `tmp` the environment's own /tmp.
    """
    settings = image.settings
    today = time.strftime("%Y/%m/%d", time.gmtime(now))
    libraries = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {
        **libraries,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "HOME": str(tmp),
        "TMPDIR": str(tmp),
        "PYTHONPATH": str(runtime),
        # In this order: a function's own variables can replace neither credentials nor what is
        # Lambda's own, which `functions` refuses by name as well.
        **settings.variables,
        **credentials,
        **no_proxy(settings.variables),  # what a function calls here is on loopback
        "AWS_LAMBDA_FUNCTION_NAME": image.function,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{image.function}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{today}/[$LATEST]{name}",
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}",
        "LAMBDA_TASK_ROOT": str(image.code.root),
        "LAMBDA_RUNTIME_DIR": str(runtime),
        "_HANDLER": settings.handler,
    }


class RuntimeHost(Protocol):
    """The environment behind the API."""

    async def next_invocation(self) -> tuple[Mapping[str, str], bytes]:
        """Wait for the next invocation, and return its headers and payload."""

    def result(self, request_id: str, body: bytes) -> int:
        """Note that the function returned, and return the HTTP status to answer."""

    def error(self, request_id: str, body: bytes) -> int:
        """Note that the function raised, and return the HTTP status to answer."""

    def init_error(self, body: bytes) -> int:
        """Note that the function could not be loaded, and return the HTTP status to answer."""


class RuntimeApi:
    """Serves one `RuntimeHost` on a port of 127.0.0.1 that the system chooses.

    All paths begin with a token that only the environment is given: other users of this machine can
    reach the port, too.
    """

    def __init__(self, host: RuntimeHost) -> None:
        self._host = host
        self._token = secrets.token_urlsafe(24)
        self._server = LoopbackServer(self._handle)

    async def start(self) -> str:
        """Listen, and return the value of AWS_LAMBDA_RUNTIME_API: `host:port/token`."""
        return f"127.0.0.1:{await self._server.start()}/{self._token}"

    async def close(self) -> None:
        """Stop listening and drop connections."""
        await self._server.close()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        _, token, path = (request.path + "/").split("/", 2)
        # Compared in constant time: the time of an answer must not give the token away.
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return _answer(403)
        match f"/{path}".removeprefix(_PREFIX).removesuffix("/").split("/"):
            case ["invocation", "next"]:
                headers, payload = await self._host.next_invocation()
                return web.Response(body=payload, headers=headers, content_type="application/json")
            case ["invocation", request_id, "response"]:
                return _answer(self._host.result(request_id, await read_body(request)))
            case ["invocation", request_id, "error"]:
                return _answer(self._host.error(request_id, await read_body(request)))
            case ["init", "error"]:
                return _answer(self._host.init_error(await read_body(request)))
        return _answer(404)


def _answer(status: int) -> web.Response:
    body = b'{"status":"OK"}' if status < 400 else b'{"errorType":"InvalidRequest"}'
    if status == 413:
        body = b'{"errorType":"RequestEntityTooLarge"}'
    return web.Response(status=status, body=body, content_type="application/json")
