"""The customers' mailboxes, as the stub for SendGrid knows them: what they hold, and the fault of the next e-mail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from local.stubs.sendgrid import Fault
from local.stubs.server import ask

Delivery = Mapping[str, Any]
"""One e-mail of the stub's ledger."""


@dataclass(frozen=True)
class Mailboxes:
    """Asks the stub at one URL."""

    url: str

    def fail_next(self, fault: Fault) -> None:
        """Inject `fault` into the next e-mail that it applies to."""
        ask(self.url, "faults", asdict(fault))

    def faults(self) -> list[Mapping[str, Any]]:
        """The faults that were ordered and have not happened yet."""
        return list(ask(self.url, "faults")["faults"])

    def deliveries(self) -> list[Delivery]:
        """Everything that the mailboxes got, in order."""
        return list(ask(self.url, "deliveries")["deliveries"])
