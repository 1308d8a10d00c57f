from __future__ import annotations

import subprocess
import sys

HEAVY = ["aiobotocore", "aiohttp", "botocore", "boto3", "rich", "typer", "numpy"]


def test_a_cold_start_loads_nothing_of_the_drivers() -> None:
    code = (
        "import sys, aflint.executor.handler, aflint.transport.hybrid, aflint.storage.s3\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
        "print([n for n in sys.modules if n.startswith(('aflint.scheduler', 'aflint.session'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["[]", "[]"]
