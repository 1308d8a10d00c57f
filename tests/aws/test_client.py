from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from aflint import errors
from aflint.aws.client import Aws, Call, Client, Retries
from aflint.aws.connection import ConnectError, ExchangeError
from aflint.aws.credentials import FixedCredentials
from aflint.aws.failures import Kind, classify
from aflint.aws.parser import Response
from aflint.aws.signing import Credentials

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


class Keys:
    """Credentials that are others when they are asked for anew."""

    def __init__(self) -> None:
        self.asked = 0

    async def get(self, *, fresh: bool = False) -> Credentials:
        self.asked += fresh
        return Credentials(f"KEY{self.asked}", "secret")


@pytest.fixture
def client() -> Callable[..., tuple[Client, Script, Keys]]:
    def make(*said: Response | Exception) -> tuple[Client, Script, Keys]:
        script, keys = Script(*said), Keys()
        retries = Retries(attempts=3, throttled=5, base_s=0.0)
        url = "https://sqs.us-east-1.amazonaws.com"
        return Client("sqs", "us-east-1", url, keys, script, retries), script, keys  # type: ignore[arg-type]

    return make


Make = Callable[..., tuple[Client, Script, Keys]]


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
    made, script, _ = client(*said, OK)
    assert await made.call(CALL) is OK
    assert not script.said


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
        (refusal(403, "ExpiredToken"), 2, errors.CredentialsError),
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
    made, script, _ = client(*[said] * 20)
    with pytest.raises(error, match=r"sqs ListQueues, queues: ") as raised:
        await made.call(CALL)
    assert type(raised.value) is error
    assert len(script.sent) == tries


async def test_errors_carry_code_and_request(client: Make) -> None:
    made, _, _ = client(refusal(400, "Unheard", "of it", **{"x-amzn-requestid": "abc"}))
    with pytest.raises(errors.BackendError, match=r"Unheard: of it \(request abc\)") as raised:
        await made.call(CALL)
    assert (raised.value.code, raised.value.request_id) == ("Unheard", "abc")


async def test_expired_credentials_are_asked_for_anew(client: Make) -> None:
    made, script, keys = client(refusal(403, "ExpiredToken"), OK)
    assert await made.call(CALL) is OK
    assert keys.asked == 1
    assert "KEY0" in script.sent[0]["authorization"]
    assert "KEY1" in script.sent[1]["authorization"]


async def test_a_wrong_clock_is_set_by_the_services(client: Make) -> None:
    late = refusal(
        403,
        "SignatureDoesNotMatch",
        "Signature expired: 2026 is now earlier than 2030",
        date="Tue, 01 Jan 2030 00:00:00 GMT",
    )
    made, script, _ = client(late, OK, OK)
    await made.call(CALL)
    await made.call(CALL)
    assert script.sent[0]["x-amz-date"].startswith(time.strftime("%Y", time.gmtime()))
    assert [sent["x-amz-date"][:9] for sent in script.sent[1:]] == ["20300101T", "20300101T"]


def test_waits_grow_and_end() -> None:
    retries = Retries(base_s=0.1, most_s=1.0)
    waits = [retries.wait(tried, 1.0) for tried in range(1, 8)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0])
    assert retries.wait(1, 0.0) == 0.05
    assert retries.again(Kind.THROTTLED, 8)
    assert not retries.again(Kind.TRANSIENT, 4)


def test_a_region_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/none")
    with pytest.raises(errors.ConfigError, match=r"region.*us-east-1"):
        Aws(credentials=FixedCredentials(Credentials("a", "b")))


def test_a_conflict_of_conditional_writes_is_asked_again() -> None:
    assert classify(409, "ConditionalRequestConflict", "") is Kind.TRANSIENT
    assert classify(412, "PreconditionFailed", "") is Kind.FINAL
