"""Secrets of Secrets Manager: the text of the current version. It is not parsed or kept here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.aws.calls import Service
from chalicelib.clock import Deadline
from chalicelib.errors import Misconfigured


@dataclass(frozen=True)
class SecretsManager:
    """The secrets of one account; see `chalicelib.channels.credentials.Fetch`."""

    service: Service
    deadline: Deadline | None = None

    def within(self, deadline: Deadline) -> SecretsManager:
        return replace(self, deadline=deadline)

    def fetch(self, ref: str) -> str:
        answer = self.service.call("GetSecretValue", ref, {"SecretId": ref}, deadline=self.deadline)
        text = answer.get("SecretString")
        if text is None:
            raise Misconfigured(self.service.permanent, f"GetSecretValue {ref}: a binary secret, and text is expected")
        return str(text)
