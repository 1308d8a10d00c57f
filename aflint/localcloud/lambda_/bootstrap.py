"""The first thing an execution environment runs; a script, not part of the emulator's process.

    python -s -S -P -B bootstrap.py RUNTIME_FOLDER TMP_BYTES HANDLER

Loads the runtime client from RUNTIME_FOLDER before the bundle can shadow it, then puts the bundle
first on the path and hands over.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import Any


def main() -> None:
    """Hand over to awslambdaric; does not return while the environment lives."""
    runtime, tmp_bytes, handler = sys.argv[1:4]
    # No one file can be larger than /tmp; what all files hold together is only counted afterwards.
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(tmp_bytes), int(tmp_bytes)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.path = [runtime, *(path for path in sys.path if path != runtime)]
    from awslambdaric.__main__ import main as serve  # from RUNTIME_FOLDER, not from the bundle

    _report_with_token()
    sys.path = [os.environ["LAMBDA_TASK_ROOT"], *sys.path[1:], runtime]
    sys.argv = ["bootstrap", handler]
    serve(sys.argv)


def _report_with_token() -> None:
    """Have errors while loading reported, too, where the Runtime API's address has a path.

    AWS's client makes its other calls by way of curl, which takes the address as it is.
    """
    from awslambdaric.lambda_runtime_client import BaseLambdaRuntimeClient as Client

    call = Client.call_rapid

    def call_rapid(self: Client, method: str, endpoint: str, *rest: Any) -> Any:
        self.lambda_runtime_address, _, token = self.lambda_runtime_address.partition("/")
        return call(self, method, f"/{token}{endpoint}", *rest)

    Client.call_rapid = call_rapid


if __name__ == "__main__":
    main()
