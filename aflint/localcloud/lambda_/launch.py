"""How an environment's process is started: its command line and its environment. Pure."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aflint.localcloud.lambda_ import bootstrap
from aflint.localcloud.lambda_.function import RUNTIME, Code, Settings
from aflint.localcloud.loopback import no_proxy

_MB = 1024 * 1024
_FLAGS = ("-s", "-S", "-P", "-B")
"""Neither this machine's packages nor its caches: only the standard library and the bundle."""


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
