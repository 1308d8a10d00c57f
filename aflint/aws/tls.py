"""The TLS context, with the certificates that AWS's own tools use."""

from __future__ import annotations

import os
import ssl
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def tls_context() -> ssl.SSLContext:
    """Return the context for all connections; blocks for some 20 ms the first time."""
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    context = ssl.create_default_context(cafile=bundle or None)
    if not bundle and not context.cert_store_stats()["x509_ca"] and not _has_certificates():
        spec = find_spec("botocore")
        if spec is not None and spec.origin is not None:
            context.load_verify_locations(Path(spec.origin).parent / "cacert.pem")
    return context


def _has_certificates() -> bool:
    """Say whether the system keeps certificates in a folder, where they are read when needed."""
    folder = ssl.get_default_verify_paths().capath
    return bool(folder) and any(Path(folder or "").iterdir())
