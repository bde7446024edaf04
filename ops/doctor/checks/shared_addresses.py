"""Addresses that rows of two companies have: the first row of the address decides whose secret verifies a stranger."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ops.doctor.findings import Finding
from ops.stage.deployment import Deployment
from ops.tenants import rows
from ops.terminal import masking

AREA = "shared addresses"


def check(deployment: Deployment, tenants: Collection[str]) -> Iterator[Finding]:
    """One finding for each address that several companies have.

    The rows of all companies are read, whichever are asked for: the other company's row is the fault as much.

    Args:
        deployment: whose conversations.
        tenants: only addresses of these companies; none named: all.
    """
    engine = deployment.engine()
    companies: dict[tuple[str, str], set[str]] = {}
    for channel, row in rows.of_companies(engine.tables.conversations, engine.channels):
        line = rows.address_of(channel, row)
        companies.setdefault((line.channel, line.address), set()).add(line.tenant)
    for (channel_name, address), sharing in sorted(companies.items()):
        if len(sharing) > 1 and (not tenants or not sharing.isdisjoint(tenants)):
            known = " and ".join(sorted(sharing))
            what = f"an address of {channel_name} ({masking.address(address)}) is in rows of {known}"
            yield Finding(AREA, what, "the company's own systems: an address belongs to one company")
