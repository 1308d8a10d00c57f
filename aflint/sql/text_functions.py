"""Functions of texts and bytes for which DuckDB has no equal."""

from __future__ import annotations

import hashlib
import hmac as hmacs
import re
import zlib
from functools import lru_cache
from urllib.parse import unquote_plus

from aflint.sql import java_patterns
from aflint.sql.errors import UnsupportedPlanError

_CODES = "01230127022455012623017202"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UNSIGNED = (1 << 64) - 1


def crc32(data: bytes) -> int:
    """Return the CRC-32 of bytes."""
    return zlib.crc32(data)


def sha2(data: bytes, bits: int) -> str | None:
    """Return a digest of the SHA-2 family, or None where there is none of so many bits."""
    name = {0: "sha256", 224: "sha224", 256: "sha256", 384: "sha384", 512: "sha512"}.get(bits)
    return hashlib.new(name, data).hexdigest() if name else None


def soundex(text: str) -> str:
    """Return the Soundex code of a text that begins with a letter, and any other as it is."""
    letters = (
        text.upper() if text.isascii() else "".join(c.upper() if c.isascii() else c for c in text)
    )
    if not letters or not "A" <= letters[0] <= "Z":
        return text
    found, last = letters[0], _CODES[ord(letters[0]) - 65]
    for letter in letters[1:]:
        if not "A" <= letter <= "Z":
            last = "0"
            continue
        code = _CODES[ord(letter) - 65]
        if code == "7":  # H and W stand between no two of a kind
            continue
        if code not in ("0", last):
            found += code
        last = code
    return f"{found:0<4.4}"


def conv(text: str, source: int, target: int, ansi: bool) -> str | None:
    """Return a number of one base in another one; signed, where that is negative.

    Raises ValueError with Spark's class for one of more than 64 bits, under ANSI.
    """
    text = text.strip(" ")
    if not 2 <= source <= 36 or not 2 <= abs(target) <= 36 or not text:
        return None
    negative, value = text.startswith("-"), 0
    for letter in text[negative:].upper():
        digit = _DIGITS.find(letter)
        if not 0 <= digit < source:
            break
        value = value * source + digit
        if value > _UNSIGNED:
            if ansi:
                raise ValueError("[ARITHMETIC_OVERFLOW] Overflow in function conv().")
            value = _UNSIGNED
            break
    signed = value - (1 << 64) if value >> 63 else value
    if negative and target > 0:
        value = _UNSIGNED if signed < 0 else -value & _UNSIGNED
    if target < 0 and signed < 0:
        value, negative = -signed, True
    digits = ""
    while value:
        value, digit = divmod(value, abs(target))
        digits = _DIGITS[digit] + digits
    return ("-" if negative and target < 0 else "") + (digits or "0")


# ---- regular expressions that differ from row to row


@lru_cache(1 << 12)
def re2(pattern: str, several: bool, group: int) -> str:
    """Return a pattern of Java's in RE2's words. Raises ValueError where there is none."""
    try:
        return java_patterns.checked_re2(pattern, several, group)
    except UnsupportedPlanError as error:
        raise ValueError(f"[UNSUPPORTED_FEATURE] {error}") from error


@lru_cache(1 << 12)
def re2_replacement(java: str, pattern: str) -> str:
    """Return a replacement of Java's in RE2's words. Raises ValueError where there is none."""
    try:
        return java_patterns.re2_replacement(java, pattern)
    except UnsupportedPlanError as error:
        raise ValueError(f"[UNSUPPORTED_FEATURE] {error}") from error


@lru_cache(1 << 12)
def _python_pattern(pattern: str) -> re.Pattern[str]:
    words = re2(pattern, several=True, group=0)
    return re.compile(re.sub(r"\\x\{([0-9A-F]+)\}", lambda f: f"\\u{f[1]:0>4}", words))


def split(text: str, pattern: str, limit: int) -> list[str]:
    """Return a text cut at the matches of a pattern of Java's, into so many parts at most, the last
    of which is the rest. No pattern cuts it into characters.
    """
    if not pattern:
        letters = list(text) or [""]
        cuts = 0 < limit < len(letters)
        return [*letters[: limit - 1], "".join(letters[limit - 1 :])] if cuts else letters
    parts, start = list[str](), 0
    for found in _python_pattern(pattern).finditer(text):
        if 0 < limit <= len(parts) + 1:
            break
        parts.append(text[start : found.start()])
        start = found.end()
    return [*parts, text[start:]]


# ---- the rest


def zone(name: str) -> str:
    """Return a time zone's name for DuckDB."""
    return f"GMT{name}" if name[:1] in ("+", "-") else name


def hmac(key: bytes, message: bytes, name: str) -> bytes:
    """Return the code of a message under a key, by a hash that Spark knows."""
    if not key:
        raise ValueError("[INVALID_PARAMETER_VALUE.HMAC_CRYPTO_ERROR] The key of hmac is empty.")
    digest = {"SHA-1": "sha1"}.get(name.upper(), name.replace("-", "").lower())
    return hmacs.new(key, message, digest).digest()


def frequent(keys: list[bytes], counts: list[int], size: int) -> list[dict[str, int]]:
    """Return the places of the items that come up most, by their keys, and counts for them, as
    Spark keeps them: of at most so many items at once.
    """
    held, first = dict[bytes, int](), dict[bytes, int]()
    for place, (key, count) in enumerate(zip(keys, counts, strict=True), 1):
        first.setdefault(key, place)
        if key in held or len(held) < size:
            held[key] = held.get(key, 0) + count
            continue
        least = min(held.values(), default=0)
        if count >= least:
            held[key] = count
        taken = min(count, least)
        held = {each: n - taken for each, n in held.items() if n > taken or count < least}
    return [{"place": first[key], "count": n} for key, n in held.items()]


def url_decode(text: str) -> str:
    """Return a text without the escapes of a URL, with marks in the place of what is no UTF-8."""
    return unquote_plus(text, errors="replace")


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_OTHER = r"(?:[^\x00-\x20\x7f-\xa0\u2028\u2029\\\"<>^`{|}%\[\]#?/@:;&=+$,]|%[0-9A-Fa-f]{2})"
_PATH = re.compile(rf"(?:{_OTHER}|[:@&=+$,;/])*")
_ANY = re.compile(rf"(?:{_OTHER}|[:@&=+$,;/?\[\]])*")
_NAME = re.compile(rf"(?:{_OTHER}|[$,;:@&=+])+")
_USER = rf"(?:{_OTHER}|[;:&=+$,])*"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:(?:{_LABEL}\.)*[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?|{_LABEL})"
_FOUR = r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_SERVER = re.compile(rf"(?:({_USER})@)?({_FOUR}|{_HOST}|\[[0-9A-Fa-f:.]+\])(?::(\d*))?")


@lru_cache(1 << 10)
def _url(url: str) -> dict[str, str | None] | None:
    """Return the parts of a URL by Spark's names, or None where Java's `URI` takes it for none."""
    rest, _, ref = url.partition("#")
    parts: dict[str, str | None] = {"REF": ref if "#" in url else None}
    if not _ANY.fullmatch(ref):
        return None
    begun = re.match(r"[^/?:]*:", rest)
    if begun:
        scheme, rest = rest[: begun.end() - 1], rest[begun.end() :]
        if not _SCHEME.fullmatch(scheme) or not rest or not _ANY.fullmatch(rest):
            return None
        parts["PROTOCOL"] = scheme
        if not rest.startswith("/"):  # of no parts, as that of a mail
            return parts
    path, _, query = rest.partition("?")
    if path.startswith("//"):
        authority, slash, path = path[2:].partition("/")
        path = slash + path
        if authority:
            server = _SERVER.fullmatch(authority)
            if not server and not _NAME.fullmatch(authority):
                return None
            parts["AUTHORITY"] = authority
            if server:
                parts["USERINFO"], parts["HOST"] = server[1], server[2]
        elif not path and "?" not in rest and "#" not in url:
            return None
    if not _PATH.fullmatch(path) or not _ANY.fullmatch(query):
        return None
    asked = query if "?" in rest else None
    parts |= {"PATH": path, "QUERY": asked, "FILE": path if asked is None else f"{path}?{asked}"}
    return parts


def parse_url(url: str, part: str, strictly: bool) -> str | None:
    """Return a part of a URL, where it has that.

    Raises ValueError with Spark's class for what is no URL, if `strictly`.
    """
    parts = _url(url)
    if parts is None:
        if strictly:
            raise ValueError(f"[INVALID_URL] The url is invalid: {url}.")
        return None
    return parts.get(part)


def parse_url_key(url: str, part: str, key: str, strictly: bool) -> str | None:
    """Return the value of a key in a URL's query, where it has one. Raises as `parse_url` does."""
    query = parse_url(url, part, strictly)
    if query is None or part != "QUERY":
        return None
    if not re.fullmatch(r"[\w -]*", key):  # which Spark takes for a regular expression
        raise ValueError(
            f"[UNSUPPORTED_FEATURE] aflint does not look for the key {key!r} in a URL."
        )
    found = re.search(f"(&|^){key}=([^&]*)", query)
    return found[2] if found else None


SHORT_ZONES = {
    "ACT": "Australia/Darwin",
    "AET": "Australia/Sydney",
    "AGT": "America/Argentina/Buenos_Aires",
    "ART": "Africa/Cairo",
    "AST": "America/Anchorage",
    "BET": "America/Sao_Paulo",
    "BST": "Asia/Dhaka",
    "CAT": "Africa/Harare",
    "CNT": "America/St_Johns",
    "CST": "America/Chicago",
    "CTT": "Asia/Shanghai",
    "EAT": "Africa/Addis_Ababa",
    "ECT": "Europe/Paris",
    "EST": "Etc/GMT+5",
    "HST": "Etc/GMT+10",
    "IET": "America/Indiana/Indianapolis",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "MIT": "Pacific/Apia",
    "MST": "Etc/GMT+7",
    "NET": "Asia/Yerevan",
    "NST": "Pacific/Auckland",
    "PLT": "Asia/Karachi",
    "PNT": "America/Phoenix",
    "PRT": "America/Puerto_Rico",
    "PST": "America/Los_Angeles",
    "SST": "Pacific/Guadalcanal",
    "UT": "UTC",
    "VST": "Asia/Ho_Chi_Minh",
}
"""Java's short names: `ZoneId.SHORT_IDS`, and UT."""
