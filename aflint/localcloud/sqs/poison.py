"""What somebody else may put into a queue: nothing that a reader must take for its own. Pure."""

from __future__ import annotations

import base64
import random

from aflint.localcloud.sqs.message import Content, read_content


def poison(content: Content, chance: random.Random) -> Content:
    """Return text, other bytes as base64, or the message with one character altered."""
    body = content.body
    match chance.randrange(3):
        case 0:
            body = "hello, is this the right queue?"[: len(body)]
        case 1:
            body = base64.b64encode(chance.randbytes(max(1, len(body) // 2))).decode()[: len(body)]
        case _:
            at = chance.randrange(len(body))
            body = body[:at] + ("A" if body[at] != "A" else "B") + body[at + 1 :]
    return read_content({"MessageBody": body})
