"""A deployment's bucket: what is wanted, what is there, the steps between, and removal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aflint.aio import together
from aflint.aws.clients import Aws
from aflint.deploy.errors import NameTakenError
from aflint.deploy.leftovers import remove_objects
from aflint.deploy.names import Names
from aflint.deploy.options import DeployOptions
from aflint.deploy.steps import Step, pairs
from aflint.errors import AccessDeniedError, BackendError, WrongRegionError

Rule = Mapping[str, Any]

_RULE_START: Final = "aflint-expire-"
"""What the ID of each of aflint's rules in a bucket begins with."""

_NO_BUCKET: Final = ("404", "NoSuchBucket")
_NO_RULES: Final = ("NoSuchLifecycleConfiguration", "NoSuchLifecycleConfigurationException")
_NO_ENCRYPTION: Final = ("ServerSideEncryptionConfigurationNotFoundError",)
_NO_BLOCK: Final = ("NoSuchPublicAccessBlockConfiguration",)
_BLOCKS: Final = (
    "BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets",
)  # fmt: skip


@dataclass(frozen=True)
class BucketState:
    """The bucket. `rules` are those of its life cycle."""

    name: str
    tags: Mapping[str, str]
    rules: tuple[Rule, ...] = ()
    encrypted: bool = False
    closed: bool = False

    @property
    def expire_days(self) -> int | None:
        """After how many days it forgets what jobs left in it."""
        ours = filter(_is_ours, self.rules)
        return next((int(rule["Expiration"]["Days"]) for rule in ours), None)

    @property
    def has_our_rule(self) -> bool:
        """Whether aflint has set a rule in it."""
        return any(map(_is_ours, self.rules))


def wanted_bucket(options: DeployOptions, names: Names) -> BucketState:
    """Return the bucket as it is to be. Pure."""
    days = options.expire_days
    rule = {
        "ID": f"{_RULE_START}{names.prefix}",
        "Status": "Enabled",
        "Filter": {"Prefix": f"{names.prefix}/"},
        "Expiration": {"Days": days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }
    return BucketState(names.bucket, names.owner, (rule,), encrypted=True, closed=True)


async def read_bucket(clients: Aws, names: Names) -> BucketState | None:
    """Return the bucket, if there is one.

    Raises:
        NameTakenError: it belongs to another account.
        WrongRegionError: it is in another region.
    """
    if not await _is_there(clients, names):
        return None
    subject = f"bucket {names.bucket}"

    async def ask(action: str, absent: tuple[str, ...]) -> dict[str, Any]:
        answer = await clients.find("s3", action, subject, absent, Bucket=names.bucket)
        return answer or {}

    tags, rules, encryption, block = await together(
        [
            ask("GetBucketTagging", ("NoSuchTagSet",)),
            ask("GetBucketLifecycleConfiguration", _NO_RULES),
            ask("GetBucketEncryption", _NO_ENCRYPTION),
            ask("GetPublicAccessBlock", _NO_BLOCK),
        ]
    )
    blocks = block.get("PublicAccessBlockConfiguration", {})
    return BucketState(
        names.bucket,
        tags={tag["Key"]: tag["Value"] for tag in tags.get("TagSet", [])},
        # All of them, others' too: S3 replaces the rules of a bucket at once.
        rules=tuple(rules.get("Rules", [])),
        encrypted="ServerSideEncryptionConfiguration" in encryption,
        closed=all(blocks.get(name) for name in _BLOCKS),
    )


async def _is_there(clients: Aws, names: Names) -> bool:
    bucket, account = names.bucket, names.account
    try:
        found = await clients.find(
            "s3", "HeadBucket", f"bucket {bucket}", _NO_BUCKET,
            Bucket=bucket, ExpectedBucketOwner=account,
        )  # fmt: skip
    except AccessDeniedError as error:
        raise NameTakenError(
            f"The bucket {bucket} belongs to another account, or you may not look at it. Bucket "
            "names are worldwide: set `bucket` to another name, or ask for s3:ListBucket on it."
        ) from error
    except BackendError as error:
        if error.code != "400":
            raise
        # The answer to a HEAD has no body to say why, and the credentials were good a moment ago.
        raise WrongRegionError(
            f"S3 does not take calls for bucket {bucket} that are signed for {clients.region}: set "
            "`region` to where it is."
        ) from error
    if found is None:
        return False
    region = found.get("BucketRegion")
    # Some emulators do not say where a bucket is.
    if region and region != clients.region:
        raise WrongRegionError(
            f"The bucket {bucket} is in {region}, and the functions are to run in "
            f"{clients.region}: set `region` or `bucket` so that they are in one."
        )
    return True


def bucket_steps(wanted: BucketState, there: BucketState | None, names: Names) -> Iterator[Step]:
    """Yield the steps from what is there to what is wanted. Pure."""
    name = wanted.name

    def step(words: str, action: str, creates: bool = False, **parameters: Any) -> Step:
        return Step(words, "s3", action, f"bucket {name}", {"Bucket": name, **parameters}, creates)

    if there is None:
        place: dict[str, Any] = {}
        if names.region != "us-east-1":  # which S3 wants left out
            place = {"CreateBucketConfiguration": {"LocationConstraint": names.region}}
        yield step(f"create bucket {name}", "CreateBucket", creates=True, **place)
        yield step(f"tag bucket {name}", "PutBucketTagging", Tagging={"TagSet": pairs(wanted.tags)})
        there = BucketState(name, wanted.tags)
    # A bucket that the user brought may be open on purpose: only its rule is aflint's to set.
    if names.owns(there.tags):
        if wanted.closed and not there.closed:
            yield step(
                f"block public access to bucket {name}", "PutPublicAccessBlock",
                PublicAccessBlockConfiguration=dict.fromkeys(_BLOCKS, True),
            )  # fmt: skip
        if wanted.encrypted and not there.encrypted:
            rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            yield step(
                f"encrypt bucket {name} (AES256)", "PutBucketEncryption",
                ServerSideEncryptionConfiguration={"Rules": [rule]},
            )  # fmt: skip
    rules = _merged(there.rules, wanted.rules)
    if rules != [*there.rules]:
        yield step(
            f"expire aflint's objects in bucket {name} after {wanted.expire_days} days",
            "PutBucketLifecycleConfiguration",
            LifecycleConfiguration={"Rules": rules},
        )


def _merged(there: Sequence[Rule], wanted: Sequence[Rule]) -> list[Rule]:
    """Return `there` with the wanted rules in it, those of the same ID replaced."""
    ours = {rule["ID"]: rule for rule in wanted}
    kept = [ours.pop(rule["ID"], rule) if "ID" in rule else rule for rule in there]
    return [*kept, *ours.values()]


def _is_ours(rule: Rule) -> bool:
    return str(rule.get("ID", "")).startswith(_RULE_START)


async def remove_bucket(clients: Aws, bucket: BucketState, names: Names) -> str:
    """Remove the bucket with all that is in it, and return what was removed, for people.

    From one that aflint did not make, only aflint's own objects and rule are removed; the answer is
    empty where it has no such rule.
    """
    name, subject = bucket.name, f"bucket {bucket.name}"
    if names.owns(bucket.tags):
        await remove_objects(clients, name, "")
        await clients.find("s3", "DeleteBucket", subject, _NO_BUCKET, Bucket=name)
        return subject
    # The bucket is someone else's: only what lies under aflint's prefix, and aflint's rule.
    await remove_objects(clients, name, f"{names.prefix}/")
    if not bucket.has_our_rule:
        return ""
    others = [rule for rule in bucket.rules if not _is_ours(rule)]
    # S3 refuses an empty list of rules.
    if others:
        await clients.call(
            "s3", "PutBucketLifecycleConfiguration", subject,
            Bucket=name, LifecycleConfiguration={"Rules": others},
        )  # fmt: skip
    else:
        await clients.call("s3", "DeleteBucketLifecycle", subject, Bucket=name)
    return f"aflint's rule and objects in {subject}"
