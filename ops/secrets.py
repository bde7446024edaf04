"""The tenants' secrets in Secrets Manager: how they are called, and how one is made and changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ops.account import NOT_FOUND, Account
from ops.where import Blocked

_PART = r"[A-Za-z0-9_+=.@-]+"
_NAME = re.compile(
    rf"ai-multi-comms/(?P<channel>{_PART})-credentials/(?P<company>{_PART})/(?P<project>{_PART})/"
    rf"(?P<provider>[A-Za-z0-9_]+)-(?P<stage>{_PART})"
)


@dataclass(frozen=True)
class SecretName:
    """The name of one tenant's secret with one provider: `ai-multi-comms/*-credentials/*/*/*-<stage>`."""

    channel: str
    company: str
    project: str
    provider: str
    stage: str

    def __str__(self) -> str:
        return f"ai-multi-comms/{self.channel}-credentials/{self.company}/{self.project}/{self.provider}-{self.stage}"

    @classmethod
    def of(cls, text: str) -> SecretName | None:
        """What a name tells; None: it is not of the pattern."""
        match = _NAME.fullmatch(text)
        return cls(**match.groupdict()) if match else None


@dataclass(frozen=True)
class Secrets:
    """The secrets of one stage in one account."""

    account: Account

    def names(self) -> Iterator[SecretName]:
        """Every secret of the pattern that is of this stage."""
        request = {"Filters": [{"Key": "name", "Values": ["ai-multi-comms/"]}]}
        for page in self.account.pages("secretsmanager", "ListSecrets", "ai-multi-comms/", request):
            for one in page["SecretList"]:
                name = SecretName.of(one["Name"])
                if name is not None and name.stage == self.account.where.stage:
                    yield name

    def text(self, name: str) -> str | None:
        """The current text of a secret; None: there is none of that name, or it is being deleted, or binary."""
        request = {"SecretId": name}
        found = self.account.call("secretsmanager", "GetSecretValue", name, request, absent=NOT_FOUND)
        return None if found is None else found.get("SecretString")

    def create(self, name: str, text: str) -> None:
        """Make a secret.

        Raises:
            Blocked: there is one of that name.
        """
        request = {"Name": name, "SecretString": text}
        made = self.account.call("secretsmanager", "CreateSecret", name, request, absent={"ResourceExistsException"})
        if made is None:
            raise Blocked(f"the secret {name} is there already", self.account.where.ops("tenant rotate"))

    def put(self, name: str, text: str) -> None:
        """Write a new version of a secret; the one before stays as its previous version."""
        self.account.call("secretsmanager", "PutSecretValue", name, {"SecretId": name, "SecretString": text})
