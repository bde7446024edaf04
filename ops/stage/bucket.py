"""The bucket of a stage as an operator sees it: its name in this account, and objects that are deleted by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chalicelib.aws.s3 import ACCOUNT
from ops.stage.account import Account

NO_BUCKET = frozenset({"404", "NoSuchBucket"})
"""What S3 says of a bucket that is not there."""

PRIVATE = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
"""What keeps a bucket from becoming public."""


class Objects(Protocol):
    """One bucket."""

    @property
    def name(self) -> str: ...

    def delete(self, key: str) -> None:
        """Delete an object for good; one that is not there is no error."""


@dataclass(frozen=True)
class S3Objects:
    """A bucket of S3."""

    account: Account
    name: str

    @classmethod
    def of(cls, account: Account, told: str) -> S3Objects:
        """The bucket that the setting `ATTACHMENTS_BUCKET` names, with the account's number where it is left open."""
        if ACCOUNT not in told:
            return cls(account, told)
        answer = account.call("sts", "GetCallerIdentity", told, {}) or {}
        return cls(account, told.replace(ACCOUNT, str(answer["Account"])))

    def delete(self, key: str) -> None:
        self.account.call("s3", "DeleteObject", self.name, {"Bucket": self.name, "Key": key})
