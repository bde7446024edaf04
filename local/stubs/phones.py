"""The customers' phones, as the stub for Twilio knows them: what they show, and the fault of the next message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from local.stubs.server import ask
from local.stubs.twilio import Fault

Delivery = Mapping[str, Any]
"""One message of the stub's ledger."""


@dataclass(frozen=True)
class Phones:
    """Asks the stub at one URL."""

    url: str

    def fail_next(self, fault: Fault) -> None:
        """Inject `fault` into the next message that it applies to."""
        ask(self.url, "faults", asdict(fault))

    def faults(self) -> list[Mapping[str, Any]]:
        """The faults that were ordered and have not happened yet."""
        return list(ask(self.url, "faults")["faults"])

    def deliveries(self) -> list[Delivery]:
        """Everything that the phones got, in order."""
        return [one for one in ask(self.url, "deliveries")["deliveries"] if one["is_on_the_phone"]]

    @property
    def callbacks_to_come(self) -> int:
        """How many statuses are still to be told."""
        return int(ask(self.url, "deliveries")["callbacks_to_come"])
