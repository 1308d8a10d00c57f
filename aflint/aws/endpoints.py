"""Where a service answers, as AWS's own settings say or by its region: pure."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

_SUFFIXES = (
    ("cn-", "amazonaws.com.cn"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
)


def endpoint_url(
    service: str, region: str, environ: Mapping[str, str], override: str | None = None
) -> str:
    """Return the URL of a service: `override`, else the environment's, else the region's own."""
    named = override or configured_url(service, environ)
    if named:
        return named.rstrip("/")
    fips = "-fips" if environ.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true" else ""
    return f"https://{service}{fips}.{region}.{dns_suffix(region)}"


def configured_url(service: str, environ: Mapping[str, str]) -> str | None:
    """Return the URL that the environment names for a service, None where it names none."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    own = environ.get(f"AWS_ENDPOINT_URL_{service.upper()}")
    return own or environ.get("AWS_ENDPOINT_URL") or None


def dns_suffix(region: str) -> str:
    """Return the domain under which a region's partition lies."""
    for prefix, suffix in _SUFFIXES:
        if region.startswith(prefix):
            return suffix
    return "amazonaws.com"


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine itself, which no proxy can do for it."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
