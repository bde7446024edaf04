"""The customers' phones, as the stand-in for Twilio knows them: what they show, and what befalls the next message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from local.standin_twilio import Fault

_TIMEOUT_SECONDS = 10

Delivery = Mapping[str, Any]
"""One message of the stand-in's ledger."""


@dataclass(frozen=True)
class Phones:
    """Asks the stand-in at one URL."""

    url: str

    def fail_next(self, fault: Fault) -> None:
        """Let `fault` befall the next message that it fits."""
        self._ask("/_stand-in/faults", json.dumps(asdict(fault)).encode())

    def deliveries(self) -> list[Delivery]:
        """Everything that the phones got, in order."""
        return [one for one in self._ask("/_stand-in/deliveries")["deliveries"] if one["is_on_the_phone"]]

    @property
    def callbacks_to_come(self) -> int:
        """How many statuses are still to be told."""
        return int(self._ask("/_stand-in/deliveries")["callbacks_to_come"])

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        opener: Any = build_opener(ProxyHandler({}))
        request = Request(f"{self.url}{path}", data=body)  # noqa: S310  # our own stand-in's URL
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            return dict(json.load(answer))
