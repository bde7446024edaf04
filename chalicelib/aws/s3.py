"""A bucket of S3. Objects are put and never read here; their readers have their own rights.

botocore's timeouts bound each step of a connection, but a very slow network could keep an upload running without end.
So the content is handed out in pieces, and only until its time is over, for all tries together.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from botocore.exceptions import HTTPClientError

from chalicelib.aws.calls import Service
from chalicelib.clock import Clock, Deadline
from chalicelib.errors import TryAgain
from chalicelib.ports.buckets import claimed_content_type, disposition

ACCOUNT = "{account}"
"""In a bucket's name: the number of the account, for a name has to be unique among all accounts."""


@dataclass(frozen=True)
class S3Bucket:
    """One bucket of S3; see `chalicelib.ports.buckets.Bucket`."""

    service: Callable[[], Service]
    """S3, made on first use: most functions never keep anything."""
    identity: Callable[[], Service]
    """STS, asked once, and only where the name has to be completed."""
    name: str
    clock: Clock
    upload_seconds: float
    """How long the content of one object may take to go out, all tries together."""
    deadline: Deadline | None = None
    _accounts: dict[str, str] = field(default_factory=dict, repr=False)
    """The account's number by the name that needs it, once known; shared with the copies that `within` makes."""

    def within(self, deadline: Deadline) -> S3Bucket:
        return replace(self, deadline=deadline)

    def put(self, key: str, content: bytes, *, content_type: str, filename: str | None = None) -> str:
        account = self._account()
        bucket = self.name if account is None else self.name.replace(ACCOUNT, account)
        service = self.service()
        request = {
            "Bucket": bucket,
            "Key": key,
            "Body": _Upload(content, Deadline.after(self.clock, self.upload_seconds)),
            "ContentLength": len(content),
            "ContentType": claimed_content_type(content_type),
            "ContentDisposition": disposition(filename),
        }
        if account is not None:
            request["ExpectedBucketOwner"] = account  # another account's bucket of our name gets nothing
        service.call("PutObject", bucket, request, deadline=self.deadline)
        return f"s3://{bucket}/{key}"

    def _account(self) -> str | None:
        """The number of the account, where the name has to be completed."""
        if ACCOUNT not in self.name:
            return None
        if self.name not in self._accounts:
            try:
                answer = self.identity().call("GetCallerIdentity", self.name, {}, deadline=self.deadline)
            except TryAgain as error:
                # Whether or not the question was answered, nothing was put.
                raise TryAgain(error.code, error.detail, maybe_applied=False) from error
            self._accounts[self.name] = str(answer["Account"])
        return self._accounts[self.name]


class UploadTimeoutError(HTTPClientError):
    """The content of an object did not go out in time; to botocore and to us, a request that broke off in doubt."""

    fmt = "the content did not go out in time"


class _Upload(io.BytesIO):
    """The content of an object, which is handed out only as long as its time lasts."""

    def __init__(self, content: bytes, until: Deadline) -> None:
        super().__init__(content)
        self._until = until

    def read(self, size: int | None = -1, /) -> bytes:
        if self._until.has_passed:
            raise UploadTimeoutError
        return super().read(size)
