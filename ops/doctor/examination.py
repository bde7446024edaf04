"""The doctor: every area of a deployment, one after the other, and one line for each thing that is not as it should be.

The areas lean on each other - settings name tables, tables tell tenants, tenants have webhooks - so one that cannot be
looked at is told as a finding of its own, and those that lean on it are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chalicelib.errors import EngineError
from ops.doctor.checks import (
    accounts,
    addresses,
    bucket,
    company_policies,
    functions,
    policies,
    queues,
    relations,
    secrets,
    shared_addresses,
    stack,
    tables,
    webhooks,
)
from ops.doctor.findings import Finding, Weight
from ops.stage.account import as_command_error
from ops.stage.deployment import Deployment
from ops.tenants import rows
from ops.tenants.rows import TenantAddress


@dataclass(frozen=True)
class Area:
    """What was found in one area."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        return not self.findings


@dataclass(frozen=True)
class Asked:
    """What the doctor is asked to look at beside the stage itself."""

    tenants: tuple[str, ...] = ()
    """By `company_id`; none named: all."""
    looks_at_tenants: bool = True
    url: str | None = None
    """Where the webhooks are; None: where the settings or Chalice say."""


def examine(deployment: Deployment, asked: Asked) -> Iterator[Area]:
    """Look at all areas, in order."""
    yield _looked(deployment, functions.AREA, lambda: functions.check(deployment))
    yield _looked(deployment, stack.AREA, lambda: stack.check(deployment))
    settings = _looked(deployment, relations.AREA, lambda: relations.check(deployment))
    yield settings
    if not relations.are_whole(deployment):
        return  # without settings nobody knows what else to look at
    found = _looked(deployment, tables.AREA, lambda: tables.check(deployment))
    yield found
    yield _looked(deployment, queues.AREA, lambda: queues.check(deployment))
    yield _looked(deployment, bucket.AREA, lambda: bucket.check(deployment))
    yield _looked(deployment, policies.AREA, lambda: policies.check(deployment))
    lines: list[TenantAddress] = []
    if asked.looks_at_tenants and not _hides_tenants(found, deployment):
        yield _looked(deployment, "tenants", lambda: _tenants(deployment, asked, lines))
        yield _looked(deployment, addresses.AREA, lambda: addresses.check(deployment, asked.tenants))
        yield _looked(deployment, shared_addresses.AREA, lambda: shared_addresses.check(deployment, asked.tenants))
    yield _looked(deployment, secrets.AREA, lambda: secrets.check(deployment, lines))
    yield _looked(deployment, webhooks.AREA, lambda: webhooks.check(deployment, lines, asked.url))


def _hides_tenants(tables_found: Area, deployment: Deployment) -> bool:
    """Whether what is wrong with the tables keeps the conversations from telling who the tenants are."""
    faults = [one.what for one in tables_found.findings if one.weight is Weight.FAULT]
    name, region = deployment.settings.conversations_table, f"region {deployment.account.region}"
    return any(name in what.split() or what.startswith(region) for what in faults)


def examine_tenant(deployment: Deployment, asked: Asked) -> Iterator[Area]:
    """Look at the one tenant that is asked for: its addresses, its secrets, its provider and its webhooks."""
    (tenant,) = asked.tenants
    lines: list[TenantAddress] = []
    yield _looked(deployment, "tenants", lambda: _tenants(deployment, asked, lines))
    yield _looked(deployment, addresses.AREA, lambda: addresses.check(deployment, asked.tenants))
    yield _looked(deployment, shared_addresses.AREA, lambda: shared_addresses.check(deployment, asked.tenants))
    yield _looked(deployment, secrets.AREA, lambda: secrets.check(deployment, lines, tenant))
    yield _looked(deployment, accounts.AREA, lambda: accounts.check(deployment, lines))
    yield _looked(deployment, webhooks.AREA, lambda: webhooks.check(deployment, lines, asked.url))


def _tenants(deployment: Deployment, asked: Asked, lines: list[TenantAddress]) -> Iterator[Finding]:
    """Find out whose addresses there are, into `lines`, and what of the companies' policies is not applied.

    A tenant that was asked for and has no address is a finding.
    """
    engine = deployment.engine()
    one = asked.tenants[0] if len(asked.tenants) == 1 else None
    found: set[TenantAddress] = set()
    policies = company_policies.Found(engine.settings)
    for channel, row in rows.of_companies(engine.tables.conversations, engine.channels, one):
        if not asked.tenants or rows.tenant_of(row) in asked.tenants:
            found.add(rows.address_of(channel, row))
            policies.look(channel, row)
    lines += sorted(found)
    yield from policies.findings(deployment)
    for tenant in asked.tenants:
        if tenant not in {line.tenant for line in lines}:
            mend = "the company's own systems write its first conversation: docs/data.md"
            yield Finding("tenants", f"no conversation is of {tenant}", mend)


def _looked(deployment: Deployment, area: str, check: Callable[[], Iterator[Finding]]) -> Area:
    """What a check finds, and that AWS did not let it look."""
    findings: list[Finding] = []
    try:
        findings.extend(check())
    except EngineError as error:
        blocked = as_command_error(error, deployment.target)
        findings.append(Finding(area, blocked.what, blocked.mend))
    return Area(area, tuple(findings))
