"""Answers of AWS's services: what its reference promises is there, or an error says what is not."""

from __future__ import annotations

import json
from typing import Any

from aflint.errors import ServiceUnavailableError

NO_SERVICE = "what answers is no service of AWS, or a proxy before one"


class Answer(dict[str, Any]):
    """An answer, or a part of one. A field that is not there but asked for by `[...]` raises
    ServiceUnavailableError; what may be left out is asked for by `get`.
    """

    __slots__ = ("call",)
    call: str

    def __missing__(self, field: str) -> Any:
        raise incomplete(self.call, f"it has no {field}")


def answer_to(call: str, parsed: dict[str, Any]) -> Answer:
    """Return a parsed answer, all parts of which raise for `call`, "sqs CreateQueue, queue x"."""
    # A copy at once, and then the few fields that have parts: this is done for every message.
    answer = Answer(parsed)
    answer.call = call
    for name, value in parsed.items():
        if type(value) is dict:
            answer[name] = answer_to(call, value)
        elif type(value) is list:
            answer[name] = [answer_to(call, e) if type(e) is dict else e for e in value]
    return answer


def read_json(call: str, body: bytes) -> Answer:
    """Return an answer in JSON. Raises ServiceUnavailableError for what is none."""
    try:
        parsed = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        parsed = None
    if type(parsed) is not dict:
        raise incomplete(call, "it is no object of JSON")
    return answer_to(call, parsed)


def incomplete(call: str, why: str) -> ServiceUnavailableError:
    """Return the error for an answer that is not what AWS's reference promises."""
    return ServiceUnavailableError(
        f"{call}: the answer is not what AWS promises ({why}): {NO_SERVICE}. Check `endpoint_url`, "
        "or try again."
    )
