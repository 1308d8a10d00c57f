"""Functions of texts and bytes for which DuckDB has no equal."""

from __future__ import annotations

import hashlib
import zlib

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
