"""The doctor: every area of a deployment, one after the other, and one line for each thing that is not as it should be.

The areas lean on each other - settings name tables, tables tell tenants, tenants have webhooks - so one that cannot be
looked at is told as a finding of its own, and those that lean on it are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from chalicelib.errors import EngineError
from chalicelib.ports.tables import Item
from ops.doctor.checks import (
    accounts,
    bucket,
    capacity,
    company_policies,
    console_urls,
    functions,
    policies,
    queues,
    relations,
    rows,
    shared_addresses,
    stack,
    tables,
    webhooks,
)
from ops.doctor.checks import secrets as secrets_check
from ops.doctor.findings import Finding, Weight
from ops.stage import conversation_rows
from ops.stage.account import as_command_error
from ops.stage.deployment import Deployment
from ops.tenants import rows as tenants_rows
from ops.tenants.row_faults import Known
from ops.tenants.rows import TenantAddress, tenant_of
from ops.tenants.secrets import Secrets


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
    reads_all: bool = False
    """Whether a large conversations table is read whole."""

    def includes(self, row: Item) -> bool:
        """Whether a row is of a company that is asked about."""
        return not self.tenants or tenant_of(row) in self.tenants


def examine(deployment: Deployment, asked: Asked) -> Iterator[Area]:
    """Look at all areas, in order."""
    yield _looked(deployment, functions.AREA, lambda: functions.check(deployment))
    yield _looked(deployment, stack.AREA, lambda: stack.check(deployment))
    settings = _looked(deployment, relations.AREA, lambda: relations.check(deployment))
    yield settings
    if not relations.are_whole(deployment):
        return  # the further checks need the settings
    yield _looked(deployment, capacity.CONCURRENCY, lambda: capacity.check_concurrency(deployment))
    yield _looked(deployment, capacity.THROTTLE, lambda: capacity.check_throttle(deployment))
    found = _looked(deployment, tables.AREA, lambda: tables.check(deployment))
    yield found
    yield _looked(deployment, queues.AREA, lambda: queues.check(deployment))
    yield _looked(deployment, bucket.AREA, lambda: bucket.check(deployment))
    yield _looked(deployment, policies.AREA, lambda: policies.check(deployment))
    looks = asked.looks_at_tenants and not _hides_tenants(found, deployment)
    yield from _tenants(deployment, asked, looks=looks)


def _hides_tenants(tables_found: Area, deployment: Deployment) -> bool:
    """Whether the conversations table cannot be read as one, or is another stage's."""
    if "CONVERSATIONS_TABLE" in deployment.of_other_stages:
        return True
    name, region = deployment.settings.conversations_table, f"region {deployment.account.region}"
    unreadable = (f"{name} is missing", f"{name} has the keys", region)
    return any(one.what.startswith(unreadable) for one in tables_found.findings)


def examine_tenant(deployment: Deployment, asked: Asked) -> Iterator[Area]:
    """Look at the one tenant that is asked for: its rows, its secrets, its provider and its webhooks."""
    yield from _tenants(deployment, asked, looks=True)


def _tenants(deployment: Deployment, asked: Asked, *, looks: bool) -> Iterator[Area]:
    """Look at the companies: what their rows say, and then what the rows name."""
    lines: list[TenantAddress] = []
    secrets = Secrets(deployment.account)
    if looks:
        items: list[Item] = []
        yield _looked(deployment, "tenants", lambda: _companies(deployment, asked, lines, items))
        theirs = [row for row in items if asked.includes(row)]
        yield _looked(deployment, rows.AREA, lambda: rows.check(deployment, theirs, known_of(deployment, secrets)))
        shared = partial(shared_addresses.check, deployment, items, asked.tenants)
        yield _looked(deployment, shared_addresses.AREA, shared)
    company = asked.tenants[0] if len(asked.tenants) == 1 else None
    yield _looked(deployment, secrets_check.AREA, lambda: secrets_check.check(deployment, lines, secrets, company))
    refused: set[tuple[str, str]] = set()
    yield _looked(deployment, accounts.AREA, lambda: accounts.check(deployment, lines, secrets, refused))
    probes = webhooks.Probes(deployment, secrets, refused)
    yield _looked(deployment, webhooks.AREA, lambda: webhooks.check(probes, lines, asked.url))
    look = partial(console_urls.check, deployment, lines, secrets, refused, probes.answering)
    yield _looked(deployment, console_urls.AREA, look)


def known_of(deployment: Deployment, secrets: Secrets) -> Known:
    """The channels, and the names of the secrets that there are."""
    refs: dict[tuple[str, str], tuple[str, ...]] = {}
    for name in secrets.names():
        place = (name.channel, name.company)
        refs[place] = (*refs.get(place, ()), str(name))
    return Known(deployment.engine().channels, refs)


def _companies(
    deployment: Deployment, asked: Asked, lines: list[TenantAddress], items: list[Item]
) -> Iterator[Finding]:
    """Find what is not applied of the policies of the companies that are asked about.

    A tenant that was asked for and has no row is a finding.

    Args:
        deployment: whose.
        asked: about which companies.
        lines: takes the addresses of these companies.
        items: takes the rows of all companies.
    """
    engine = deployment.engine()
    read = conversation_rows.read(deployment, reads_all=asked.reads_all)
    items += read.items
    theirs = [row for row in items if asked.includes(row)]
    lines += tenants_rows.addresses_of(theirs, engine.channels)
    policies = company_policies.Found(engine.settings)
    for channel in engine.channels.values():
        for row in theirs:
            if isinstance(row.get(channel.index.company_key), str):
                policies.look(channel, row)
    yield from policies.findings(deployment)
    for tenant in asked.tenants:
        if tenant not in (companies := {tenant_of(row) for row in items}):
            known = ", ".join(sorted(companies)) or "none"
            yield Finding("tenants", f"{tenant} has no conversation", f"one of the known companies: {known}")
    if not read.are_whole:
        what = f"{deployment.settings.conversations_table} is large: only its look-up indexes were read"
        yield Finding("tenants", what, deployment.target.ops("doctor --all-rows"), Weight.NOTE)


def _looked(deployment: Deployment, area: str, check: Callable[[], Iterator[Finding]]) -> Area:
    """What a check finds, and that AWS did not let it look."""
    findings: list[Finding] = []
    try:
        findings.extend(check())
    except EngineError as error:
        blocked = as_command_error(error, deployment.target)
        findings.append(Finding(area, blocked.what, blocked.fix))
    return Area(area, tuple(findings))
