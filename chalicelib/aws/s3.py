"""A bucket of S3: objects are put, never read: whoever reads them has rights of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from chalicelib.aws.calls import Service
from chalicelib.clock import Deadline

ACCOUNT = "{account}"
"""In a bucket's name: the number of the account, for a name has to be unique among all accounts."""


@dataclass(frozen=True)
class S3Bucket:
    """One bucket of S3; see `chalicelib.buckets.Bucket`."""

    service: Callable[[], Service]
    """S3, made on first use: most functions never keep anything."""
    identity: Callable[[], Service]
    """STS, asked once, and only where the name has to be completed."""
    name: str
    deadline: Deadline | None = None
    _names: dict[str, str] = field(default_factory=dict, repr=False)
    """The complete name, once it is known; shared with the copies that `within` makes."""

    def within(self, deadline: Deadline) -> S3Bucket:
        return replace(self, deadline=deadline)

    def put(self, key: str, content: bytes, *, content_type: str, filename: str | None = None) -> str:
        bucket = self._complete_name()
        request = {"Bucket": bucket, "Key": key, "Body": content, "ContentType": content_type}
        if filename is not None:
            # A header: whatever the sender called it is told in plain ASCII.
            request["ContentDisposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        self.service().call("PutObject", bucket, request, deadline=self.deadline)
        return f"s3://{bucket}/{key}"

    def _complete_name(self) -> str:
        if ACCOUNT not in self.name:
            return self.name
        if self.name not in self._names:
            answer = self.identity().call("GetCallerIdentity", self.name, {}, deadline=self.deadline)
            self._names[self.name] = self.name.replace(ACCOUNT, str(answer["Account"]))
        return self._names[self.name]
