"""The tenants' secrets in Secrets Manager: how they are called, and how one is made and changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from infrastructure.rights import NAME_PATTERN
from ops.stage.account import NOT_FOUND, Account
from ops.stage.target import CommandError

_PARTS = ("channel", "company", "project", "provider")
"""What the stars of the pattern stand for, in order."""

_WORD = r"[A-Za-z0-9_+.@-]+"


def _name_pattern() -> re.Pattern[str]:
    """The pattern that the functions' rights name, with a name for each of its stars."""
    pieces = NAME_PATTERN.replace("{stage}", "*").split("*")
    # A provider's name has no hyphen: it ends where the stage begins.
    words = {part: r"[A-Za-z0-9_]+" if part == "provider" else _WORD for part in (*_PARTS, "stage")}
    stars = [f"(?P<{part}>{word})" for part, word in words.items()]
    between = [re.escape(piece) for piece in pieces]
    return re.compile("".join(piece + star for piece, star in zip(between, [*stars, ""], strict=True)))


_NAME = _name_pattern()
_DELETED = frozenset({"InvalidRequestException"})
"""What Secrets Manager says of a secret that is scheduled for deletion."""

_FOLDER = NAME_PATTERN.partition("*")[0]
"""How every name begins."""


@dataclass(frozen=True)
class SecretName:
    """The name of one tenant's secret with one provider: `ai-multi-comms/*-credentials/*/*/*-<stage>`."""

    channel: str
    company: str
    project: str
    provider: str
    stage: str

    def __str__(self) -> str:
        pattern = NAME_PATTERN.format(stage=self.stage)
        for part in _PARTS:
            pattern = pattern.replace("*", getattr(self, part), 1)
        return pattern

    @property
    def adding(self) -> str:
        """The command that makes this secret."""
        return f"tenant add {self.company} --project {self.project} --channel {self.channel}"

    @property
    def replacing(self) -> str:
        """The command that writes this secret anew."""
        return f"{self.adding} --replace"

    @classmethod
    def of(cls, text: str) -> SecretName | None:
        """What a name tells; None: it is not of the pattern."""
        match = _NAME.fullmatch(text)
        return cls(**match.groupdict()) if match else None


@dataclass(frozen=True)
class Secrets:
    """The secrets of one stage in one account."""

    account: Account
    _texts: dict[str, str | None] = field(default_factory=dict, repr=False)

    def names(self) -> Iterator[SecretName]:
        """Every secret of the pattern that is of this stage."""
        request = {"Filters": [{"Key": "name", "Values": [_FOLDER]}]}
        for page in self.account.pages("secretsmanager", "ListSecrets", _FOLDER, request):
            for one in page["SecretList"]:
                name = SecretName.of(one["Name"])
                if name is not None and name.stage == self.account.target.stage:
                    yield name

    def text(self, name: str) -> str | None:
        """The current text of a secret; None: there is none of that name, or it is being deleted, or binary."""
        if name not in self._texts:
            request = {"SecretId": name}
            absent = NOT_FOUND | _DELETED
            found = self.account.call("secretsmanager", "GetSecretValue", name, request, absent=absent)
            self._texts[name] = None if found is None else found.get("SecretString")
        return self._texts[name]

    def is_deleted(self, name: str) -> bool:
        """Whether a secret is scheduled for deletion: it can be brought back."""
        found = self.account.call("secretsmanager", "DescribeSecret", name, {"SecretId": name}, absent=NOT_FOUND)
        return found is not None and "DeletedDate" in found

    def create(self, name: str, text: str) -> None:
        """Make a secret.

        Raises:
            CommandError: there is one of that name.
        """
        request = {"Name": name, "SecretString": text}
        made = self.account.call("secretsmanager", "CreateSecret", name, request, absent={"ResourceExistsException"})
        if made is None:
            raise CommandError(f"the secret {name} is there already", "the same command with --replace")
        self._texts.pop(name, None)

    def put(self, name: str, text: str) -> None:
        """Write a new version of a secret; the one before stays as its previous version."""
        self.account.call("secretsmanager", "PutSecretValue", name, {"SecretId": name, "SecretString": text})
        self._texts.pop(name, None)

    def delete(self, name: str) -> None:
        """Delete a secret at once and for good; one that is not there is no error."""
        request = {"SecretId": name, "ForceDeleteWithoutRecovery": True}
        self.account.call("secretsmanager", "DeleteSecret", name, request, absent=NOT_FOUND)
        self._texts.pop(name, None)
