"""A cache, for a few seconds, of companies that were looked up by their address alone.

Each forged request and each stranger causes this look-up. Both read the cached answer, so a flood of requests to one
address costs one query in `REMEMBERED_SECONDS`. A change of a company's first row reaches strangers that much later;
the index is eventually consistent anyway. An address without a company is not cached, so a new company receives at
once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from chalicelib.channels.channel import Channel
from chalicelib.clock import Clock
from chalicelib.conversations import lookup
from chalicelib.conversations.lookup import Found
from chalicelib.messages.inbound import Address
from chalicelib.ports.tables import Table

REMEMBERED_SECONDS: Final = 5
_REMEMBERED_MAX: Final = 1_000
"""How many addresses a process remembers."""


@dataclass(frozen=True, eq=False, repr=False)
class Companies:
    """What a process remembers of companies."""

    clock: Clock
    _known: dict[tuple[str, str], tuple[float, Found]] = field(default_factory=dict, init=False)
    """By channel and address: until when it is remembered, and what."""

    def find(self, table: Table, channel: Channel, recipient: Address) -> Found | None:
        """The company of an address, as `lookup.find_company` finds it or found it a moment ago.

        Raises:
            TryAgain, Misconfigured: it could not be looked up.
        """
        key, now = (channel.name, recipient.value), self.clock.monotonic()
        until, known = self._known.get(key, (now, None))
        if known is not None and now < until:
            return known
        found = lookup.find_company(table, channel, recipient)
        if found is not None:
            if len(self._known) >= _REMEMBERED_MAX:
                self._known.clear()
            self._known[key] = now + REMEMBERED_SECONDS, found
        return found
