"""Addresses that rows of two companies have: the first row of the address decides whose secret verifies a stranger."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from chalicelib.ports.tables import Item
from ops.doctor.findings import Finding
from ops.stage.deployment import Deployment
from ops.tenants import rows
from ops.terminal import masking

AREA = "shared addresses"


def check(deployment: Deployment, items: Sequence[Item], tenants: Collection[str]) -> Iterator[Finding]:
    """One finding for each address that several companies have.

    Args:
        deployment: whose conversations.
        items: the rows of all companies, whichever are asked for: the other company's row is the fault as much.
        tenants: only addresses of these companies; none named: all.
    """
    companies: dict[tuple[str, str], set[str]] = {}
    for line in rows.addresses_of(items, deployment.engine().channels):
        companies.setdefault((line.channel, line.address), set()).add(line.tenant)
    for (channel_name, address), sharing in sorted(companies.items()):
        if len(sharing) > 1 and (not tenants or not sharing.isdisjoint(tenants)):
            known = " and ".join(sorted(sharing))
            what = f"an address of {channel_name} ({masking.address(address)}) is in rows of {known}"
            yield Finding(AREA, what, "the company's own systems: an address belongs to one company")
