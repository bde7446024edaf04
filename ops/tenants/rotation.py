"""Tenants' secrets: made, and rotated one step at a time without a message being refused.

    token  --begin: the new one beside it-->  token, next  --promoted at the provider, then finish-->  next as token

Between the two steps either token proves a webhook, so it does not matter when the provider begins to sign with the new
one. The last step is only taken once the provider itself no longer takes the old token: sooner, what it still signs
with that would be refused. Whatever else a secret holds is left as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ops.stage.target import CommandError
from ops.tenants.providers import Provider

Takes = Callable[[str], bool]
"""Whether the provider takes a token as the account's password now."""


class State(StrEnum):
    """Where a rotation is."""

    AT_REST = "at rest"
    BEGUN = "begun"
    PROMOTED = "promoted"


@dataclass(frozen=True, repr=False)
class Secret:
    """One secret and what it holds."""

    name: str
    provider: Provider
    fields: Mapping[str, str]

    @classmethod
    def of(cls, name: str, provider: Provider, text: str) -> Secret:
        """The secret that a text tells.

        Raises:
            Misconfigured: it is malformed; a new one must be made.
        """
        provider.check_secret(text)
        return cls(name, provider, json.loads(text))

    @property
    def text(self) -> str:
        return json.dumps(dict(self.fields))

    @property
    def next(self) -> str | None:
        """The token that is coming."""
        return self.fields.get(self.provider.next_proof) or None

    def begun(self, token: str) -> Secret:
        """With a new token beside the old one."""
        return Secret(self.name, self.provider, {**self.fields, self.provider.next_proof: token})

    def finished(self) -> Secret:
        """With the new token alone."""
        assert self.next is not None, "a rotation was begun"
        left = {name: value for name, value in self.fields.items() if name != self.provider.next_proof}
        return Secret(self.name, self.provider, {**left, self.provider.proof: self.next})


def state(secret: Secret, takes: Takes | None) -> State:
    """Where the rotation of a secret is.

    Args:
        secret: as it stands.
        takes: asks the provider; None: it cannot be asked, and a rotation that was begun counts as no more than that.

    Raises:
        CommandError: the provider does not accept the new token at all.
    """
    if secret.next is None:
        return State.AT_REST
    if takes is None:
        return State.BEGUN
    if not takes(secret.next):
        what = f"the provider does not accept the {secret.provider.next_proof} of {secret.name}"
        raise CommandError(what, "tenant rotate --abandon, then tenant rotate with the token that the provider shows")
    return State.BEGUN if takes(secret.fields[secret.provider.proof]) else State.PROMOTED


def abandoned(secret: Secret) -> Secret:
    """Without the token that was coming."""
    left = {name: value for name, value in secret.fields.items() if name != secret.provider.next_proof}
    return Secret(secret.name, secret.provider, left)
