"""TLS: certificates as AWS's own tools use them, buffers that fit thousands of connections."""

from __future__ import annotations

import os
import ssl
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_READ_BYTES = 17 * 1024


@cache
def tls_context(verify: bool | str = True) -> ssl.SSLContext:
    """Return the context for all connections; blocks for some 20 ms the first time.

    `verify` is a file of the certificates to trust; True for those that
    AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE names, else the system's own;
    False trusts any server.
    """
    bundle = verify if isinstance(verify, str) else _configured_bundle()
    context = ssl.create_default_context(cafile=bundle or None)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not bundle and not context.cert_store_stats()["x509_ca"] and not _has_certificates():
        spec = find_spec("botocore")
        if spec is not None and spec.origin is not None:
            context.load_verify_locations(Path(spec.origin).parent / "cacert.pem")
    return context


def _configured_bundle() -> str | None:
    return os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")


def _has_certificates() -> bool:
    """Say whether the system keeps certificates in a folder, where they are read when needed."""
    folder = ssl.get_default_verify_paths().capath
    return bool(folder) and any(Path(folder or "").iterdir())


def shrink_buffer(transport: Any) -> None:
    """Let a TLS connection read by the record.

    asyncio gives each one 256 KiB to read into, which thousands of connections that mostly wait
    cannot afford, and has no public setting for it; where its inside is another, nothing is done.
    """
    protocol: Any = getattr(transport, "_ssl_protocol", None)
    if hasattr(protocol, "max_size") and hasattr(protocol, "_ssl_buffer_view"):
        protocol.max_size = _READ_BYTES
        protocol._ssl_buffer = bytearray(_READ_BYTES)
        protocol._ssl_buffer_view = memoryview(protocol._ssl_buffer)
