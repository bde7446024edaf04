"""The companies' policies: every value is applied as it is written. One finding for each value that is not.

The functions handle messages all the same, with the setting or the nearest bound, so each finding is a warning.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator

from chalicelib.channels.channel import Channel
from chalicelib.conversations import policies
from chalicelib.conversations.conversation import CHANNEL_CONFIG
from chalicelib.ports.tables import Item
from chalicelib.settings import Settings
from ops.doctor.findings import Finding, Weight
from ops.stage.deployment import Deployment
from ops.tenants.rows import tenant_of

AREA = "tenants"


class Found:
    """What the rows of companies have that is not applied, and in how many rows."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._counts: Counter[tuple[str, str, policies.Finding]] = Counter()

    def look(self, channel: Channel, row: Item) -> None:
        """Look at one row of a channel's index."""
        merged = policies.merge(self._settings, row.get(CHANNEL_CONFIG), channel.name)
        self._counts.update((tenant_of(row), channel.name, finding) for finding in merged.findings)

    def findings(self, deployment: Deployment) -> Iterator[Finding]:
        """One for each company and value."""
        for (tenant, channel, finding), count in sorted(self._counts.items(), key=lambda one: str(one[0])):
            what = f"{tenant}: {finding} ({count} row{'s' if count > 1 else ''})"
            name = finding.place.partition(f".{policies.POLICY}.")[2].partition(".")[0]
            change = f" --unset {shlex.quote(name)}" if name else ""
            fix = deployment.target.ops(f"tenant policy {tenant} --channel {channel}{change}")
            yield Finding(AREA, what, fix, Weight.WARNING)
