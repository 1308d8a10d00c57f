from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from aflint import errors
from aflint.aws.bare.client import Call, Client
from aflint.aws.bare.signing import Credentials
from aflint.aws.connection import ConnectError, ExchangeError
from aflint.aws.failures import Kind, classify
from aflint.aws.parser import Response
from aflint.aws.retries import Retries

CALL = Call("ListQueues", "queues", "POST", body=b"{}")
OK = Response(200, {}, b"{}")


def refusal(status: int, code: str, message: str = "", **headers: str) -> Response:
    body = f'{{"__type":"com.amazonaws.sqs#{code}","message":"{message}"}}'
    return Response(status, headers, body.encode())


class Script:
    """Stands in for HTTP: says one thing after another."""

    def __init__(self, *said: Response | Exception) -> None:
        self.said = list(said)
        self.sent: list[dict[str, str]] = []

    async def request(
        self,
        origin: object,
        method: str,
        target: str,
        headers: dict[str, str],
        *_: object,
        **__: object,
    ) -> Response:
        self.sent.append(headers)
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def client() -> Make:
    def make(*said: Response | Exception) -> tuple[Client, Script]:
        script = Script(*said)
        retries = Retries(attempts=3, throttled=5, base_s=0.0)
        url = "https://sqs.us-east-1.amazonaws.com"
        keys = Credentials("KEY", "secret")
        return Client("sqs", "us-east-1", url, keys, script, retries), script  # type: ignore[arg-type]

    return make


Make = Callable[..., tuple[Client, Script]]


@pytest.mark.parametrize(
    "said",
    [
        [refusal(500, "InternalFailure")] * 2,
        [refusal(503, "Whatever")] * 2,
        [refusal(403, "RequestThrottled")] * 4,
        [ExchangeError("closed"), ConnectError("refused")],
        [ExchangeError("closed", stale=True)] * 20,
        [refusal(400, "ThrottlingException"), refusal(500, "InternalError")] * 2,
    ],
)
async def test_what_passes_is_tried_again(client: Make, said: list[Response | Exception]) -> None:
    made, script = client(*said, OK)
    assert await made.call(CALL) is OK
    assert not script.said


async def test_each_further_try_is_in_the_debug_log(
    client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "aflint.aws")
    made, _ = client(refusal(503, "SlowDown"), ConnectError("refused"), OK)
    await made.call(CALL)
    assert [record.getMessage().partition(" in ")[0] for record in caplog.records] == [
        "sqs ListQueues, queues: try 1 again",
        "sqs ListQueues, queues: try 2 again",
    ]


@pytest.mark.parametrize(
    ("said", "tries", "error"),
    [
        (refusal(500, "InternalFailure"), 3, errors.ServiceUnavailableError),
        (refusal(403, "RequestThrottled"), 5, errors.ServiceUnavailableError),
        (ConnectError("refused"), 3, errors.EndpointUnreachableError),
        (refusal(403, "AccessDenied"), 1, errors.AccessDeniedError),
        (refusal(400, "QueueDoesNotExist"), 1, errors.QueueDeletedError),
        (refusal(403, "InvalidClientTokenId"), 1, errors.CredentialsError),
        (refusal(400, "BatchRequestTooLong"), 1, errors.PayloadTooLargeError),
        (refusal(400, "Unheard"), 1, errors.BackendError),
        (refusal(403, "ExpiredToken"), 1, errors.CredentialsError),
        (refusal(403, "SignatureDoesNotMatch", "no match"), 1, errors.CredentialsError),
        (
            refusal(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region"),
            1,
            errors.WrongRegionError,
        ),
        (Response(502, {}, b"<html>Bad gateway</html>"), 3, errors.ServiceUnavailableError),
        (Response(400, {}, b"{nonsense"), 1, errors.BackendError),
    ],
)
async def test_what_stays_is_told(
    client: Make, said: Response | Exception, tries: int, error: type[errors.AflintError]
) -> None:
    made, script = client(*[said] * 20)
    with pytest.raises(error, match=r"sqs ListQueues, queues: ") as raised:
        await made.call(CALL)
    assert type(raised.value) is error
    assert len(script.sent) == tries


async def test_errors_carry_code_and_request(client: Make) -> None:
    made, _ = client(refusal(400, "Unheard", "of it", **{"x-amzn-requestid": "abc"}))
    with pytest.raises(errors.BackendError, match=r"Unheard: of it \(request abc\)") as raised:
        await made.call(CALL)
    assert (raised.value.code, raised.value.request_id) == ("Unheard", "abc")


def test_waits_grow_and_end() -> None:
    retries = Retries(base_s=0.1, most_s=1.0)
    waits = [retries.wait(tried, 1.0) for tried in range(1, 8)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0])
    assert retries.wait(1, 0.0) == 0.05
    assert retries.again(Kind.THROTTLED, 8)
    assert not retries.again(Kind.TRANSIENT, 4)


def test_a_conflict_of_conditional_writes_is_asked_again() -> None:
    assert classify(409, "ConditionalRequestConflict", "") is Kind.TRANSIENT
    assert classify(412, "PreconditionFailed", "") is Kind.FINAL
