"""Who may do what: the keys that are known, and what each request has to be allowed."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import NoReturn

from aflint.localcloud.refusals import Refusal, refusal
from aflint.localcloud.roles import Roles
from aflint.localcloud.signature import Authorization, signs
from aflint.localcloud.wire import Asked, Request, Service

_POLICY_ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:UploadPartCopy": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:ListParts": "s3:ListMultipartUploadParts",
    "s3:AbortMultipartUpload": "s3:AbortMultipartUpload",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
}
"""The action that a policy names, where it is not the API's own name."""


def policy_action(call: str) -> str:
    """The IAM action of a call such as `sqs:SendMessageBatch`."""
    return _POLICY_ACTIONS.get(call, call)


@dataclass(frozen=True)
class Credentials:
    """A key pair of the caller `arn`: a user's, which lasts, or one of a role's session.

    A user's (AKIA...) has no token and may do everything. A session's (ASIA...) is used with its
    token, and may do what the policies of `role`, an ARN, allow.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    arn: str
    role: str = ""

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not to be pickled")


def new_credentials(arn: str, role: str = "") -> Credentials:
    """Make a key pair that cannot be guessed: a session's of `role` if it is given, or a user's."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    kind = "ASIA" if role else "AKIA"
    access_key = kind + "".join(secrets.choice(letters) for _ in range(16))
    token = secrets.token_urlsafe(60) if role else ""
    return Credentials(access_key, secrets.token_urlsafe(30), token, arn, role)


class Access:
    """Known credentials and denied actions; both may change while the cloud runs.

    A session's credentials may do what the policies of its role in `roles` allow. With `verify`,
    signatures are checked.
    """

    def __init__(
        self, region: str, roles: Roles, denied: Iterable[str] = (), *, verify: bool = True
    ) -> None:
        self._region = region
        self._roles = roles
        self._verify = verify
        self._known: dict[str, Credentials] = {}
        self._expired: set[str] = set()
        self.denied: set[str] = set(denied)
        """Patterns such as `s3:PutObject` or `lambda:*`, by the names of APIs or of policies."""

    def add(self, credentials: Credentials) -> None:
        """Accept this key from now on."""
        self._known[credentials.access_key] = credentials

    def expire(self, access_key: str) -> None:
        """Answer this key as one whose session has run out."""
        self._expired.add(access_key)

    def renew(self, access_key: str) -> None:
        """Accept an expired key again."""
        self._expired.discard(access_key)

    def is_denied(self, call: str) -> bool:
        """Whether a rule denies a call such as `s3:PutObject`."""
        names = {call.lower(), policy_action(call).lower()}
        return any(fnmatchcase(name, pattern.lower()) for pattern in self.denied for name in names)

    def admit(
        self,
        service: Service,
        action: str,
        claim: Authorization | None,
        request: Request,
        raw_query: str,
    ) -> None:
        """Note who sent a request, or raise the service's own error if it is to be turned away."""
        known = self._known.get(claim.access_key) if claim is not None else None
        reason = self._unproven(claim, known, request, raw_query)
        if (
            reason is None
            and known is not None
            and not self._allows(known, service, action, request)
        ):
            reason = Refusal.DENIED
        if reason is not None:
            actor = known.arn if known is not None else "anonymous"
            raise refusal(reason, service.name, action, actor, self._region)
        if known is not None:
            request.caller = known.arn

    def _unproven(
        self,
        claim: Authorization | None,
        known: Credentials | None,
        request: Request,
        raw_query: str,
    ) -> Refusal | None:
        """Return why it is not certain who sent a request; None when it is."""
        if claim is None:
            return Refusal.NO_SIGNATURE
        # AWS looks a key up together with its token: a session's key without one is not known.
        if known is None or (known.session_token and not claim.token):
            return Refusal.UNKNOWN_KEY
        if not hmac.compare_digest(known.session_token.encode(), claim.token.encode()):
            return Refusal.BAD_TOKEN
        if claim.access_key in self._expired:
            return Refusal.EXPIRED
        # IAM and STS have one endpoint for all regions.
        if claim.region != self._region and claim.service in ("sqs", "s3", "lambda"):
            return Refusal.WRONG_REGION
        parts = (request.method, request.path, raw_query, request.headers, request.body)
        if self._verify and not signs(claim, known.secret_key, *parts):
            return Refusal.BAD_SIGNATURE
        return None

    def _allows(self, known: Credentials, service: Service, action: str, request: Request) -> bool:
        if self.denied and self.is_denied(f"{service.name}:{action}"):
            return False
        # A user of this cloud is its administrator.
        if not known.role:
            return True
        return self._roles.may(known.role, _by_policy(service.asked(action, request)))


def _by_policy(asked: Iterable[Asked]) -> Sequence[Asked]:
    return [replace(each, action=policy_action(each.action)) for each in asked]
