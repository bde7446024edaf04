"""The bucket: present, closed to the public, and emptied with time."""

from __future__ import annotations

from collections.abc import Iterator

from ops.doctor.findings import Finding, Weight
from ops.repairs.restoring import expires, is_private
from ops.stage.bucket import NO_BUCKET, S3Objects
from ops.stage.deployment import Deployment

AREA = "bucket"


def check(deployment: Deployment) -> Iterator[Finding]:
    """What is wrong with the bucket for attachments and long texts."""
    account, target = deployment.account, deployment.target
    name = S3Objects.of(account, deployment.settings.attachments_bucket).name
    restore = target.ops(f"restore {name}")
    if account.call("s3", "HeadBucket", name, {"Bucket": name}, absent=NO_BUCKET) is None:
        yield Finding(AREA, f"{name} is missing (ATTACHMENTS_BUCKET)", restore)
        return
    if not is_private(account, name):
        yield Finding(AREA, f"{name} could be made public", restore)
    if not target.is_on_this_machine and not expires(account, name):  # a local one ends with its process
        yield Finding(AREA, f"{name} keeps customers' files for ever", restore, Weight.WARNING)
