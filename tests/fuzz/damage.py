"""Bytes as a bad disk, a bug or an enemy might change them."""

from __future__ import annotations

from random import Random

_HEADS = bytes((0xC1, 0xC6, 0xC8, 0xC9, 0xD8, 0xDB, 0xDD, 0xDF))
"""Codes of msgpack that are unused, or are followed by a length of four bytes."""


def damaged(data: bytes, random: Random) -> bytes:
    """Change bytes in one to four places."""
    made = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(made) + 1)
        match random.randrange(7):
            case 0:
                made[at : at + 1] = random.randbytes(1)
            case 1:
                made[at:at] = random.randbytes(random.randint(1, 8))
            case 2:
                del made[at : at + random.randint(1, 8)]
            case 3:
                del made[at:]
            case 4:
                made[at:at] = made[: random.randint(0, len(made))]
            case 5:
                made[at : at + 4] = b"\xff" * 4
            case 6:
                made[at:at] = bytes([random.choice(_HEADS)]) + random.randbytes(4)
    return bytes(made)
