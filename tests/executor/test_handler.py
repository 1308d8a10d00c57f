from __future__ import annotations

import subprocess
import sys

from aflint.executor.handler import name_of

HEAVY = ["aiobotocore", "aiohttp", "botocore", "boto3", "rich", "typer", "numpy"]


def test_a_cold_start_loads_nothing_of_the_drivers() -> None:
    code = (
        "import sys, aflint.executor.handler, aflint.transport.hybrid, aflint.storage.s3\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
        "print([n for n in sys.modules if n.startswith(('aflint.scheduler', 'aflint.session'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["[]", "[]"]


def test_an_environment_is_called_by_the_end_of_its_log_stream() -> None:
    assert name_of("2026/11/28/[$LATEST]4f1c2b3a4d5e6f708192a3b4c5d6e7f8") == "a3b4c5d6e7f8"
    assert name_of("2026/11/28/aflint[3]0000002") == "0000002"
    assert name_of("") == ""
