"""The bucket: there, closed to the public, and emptied with time."""

from __future__ import annotations

from collections.abc import Iterator

from ops.doctor.findings import Finding, Weight
from ops.stage.bucket import S3Objects
from ops.stage.deployment import Deployment

AREA = "bucket"

_NO_BUCKET = frozenset({"404", "NoSuchBucket"})
_CLOSED = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def check(deployment: Deployment) -> Iterator[Finding]:
    """What is wrong with the bucket for attachments and long texts."""
    account, target = deployment.account, deployment.target
    name = S3Objects.of(account, deployment.settings.attachments_bucket).name
    request = {"Bucket": name}
    if account.call("s3", "HeadBucket", name, request, absent=_NO_BUCKET) is None:
        yield Finding(AREA, f"{name} is missing (ATTACHMENTS_BUCKET)", target.deploy)
        return
    told = account.call("s3", "GetPublicAccessBlock", name, request, absent={"NoSuchPublicAccessBlockConfiguration"})
    closed = (told or {}).get("PublicAccessBlockConfiguration", {})
    if not all(closed.get(one) for one in _CLOSED):
        configuration = ",".join(f"{one}=true" for one in _CLOSED)
        command = f"s3api put-public-access-block --bucket {name} --public-access-block-configuration {configuration}"
        yield Finding(AREA, f"{name} could be made public", target.aws(command))
    if target.is_on_this_machine:
        return  # it ends with its process, and nothing is emptied meanwhile
    rules = account.call(
        "s3", "GetBucketLifecycleConfiguration", name, request, absent={"NoSuchLifecycleConfiguration"}
    )
    if not any("Expiration" in one and one.get("Status") == "Enabled" for one in (rules or {}).get("Rules", [])):
        yield Finding(AREA, f"{name} keeps customers' files for ever", target.deploy, Weight.WARNING)
