"""A conversation's row, as the company's own systems would write it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from rich.console import Console

from chalicelib.channels.channel import Channel
from chalicelib.clock import iso
from chalicelib.messages.inbound import AddressKind
from chalicelib.messages.phone_numbers import is_readable
from chalicelib.ports.tables import Attr, Refused
from ops.doctor.examination import known_of
from ops.repairs import erasure
from ops.stage.deployment import Deployment
from ops.stage.target import CommandError
from ops.tenants import names
from ops.tenants.row_faults import RECIPIENTS, faults_of, respelled
from ops.tenants.secrets import Secrets
from ops.terminal import masking
from ops.terminal.confirmation import ask


def add(
    deployment: Deployment,
    console: Console,
    company: str,
    channel_name: str,
    addresses: tuple[str, str],
    conversation_id: str | None,
    *,
    is_dry_run: bool,
    yes: bool,
) -> None:
    """Create one row, unless one of that key is there.

    Raises:
        CommandError: the channel, an address or the company's secret is not there, or the row is.
    """
    engine = deployment.engine()
    names.require_channels([channel_name], engine.channels)
    channel = engine.channels[channel_name]
    known = known_of(deployment, Secrets(deployment.account))
    refs = known.refs.get((channel_name, company), ())
    if len(refs) != 1:
        what = f"{company} has {len(refs) or 'no'} secret(s) for {channel_name}, and a row names one"
        raise CommandError(what, deployment.target.ops(f"tenant add {company} --channel {channel_name}"))
    row = _row(channel, company, addresses, conversation_id or f"{company}-{uuid4().hex[:12]}", refs[0])
    row["created_at"] = iso(engine.clock.now())
    faults = [kind.means.format(detail) for kind, detail in faults_of(row, known)]
    if faults:
        raise CommandError(f"such a row would {faults[0]}", "the two addresses as the provider spells them")
    shown = masking.address(row["primary_channel"])
    console.print(f"conversation {row['conversation_id']} of {company} with {shown} on {channel_name}")
    if is_dry_run:
        return
    ask("Create it?", yes=yes)
    if isinstance(engine.tables.conversations.put(row, when=Attr("primary_channel").missing()), Refused):
        raise CommandError(f"{row['conversation_id']} is there already", "another --id")
    console.print("created")


def _row(channel: Channel, company: str, addresses: tuple[str, str], conversation_id: str, ref: str) -> dict[str, Any]:
    ours, customer = (erasure.normal(one, [channel.address_prefix]) for one in addresses)
    if channel.address_kind is AddressKind.EMAIL and not ("@" in ours and "@" in customer):
        raise CommandError("one of these is no e-mail address", "name@example.com for both")
    if channel.address_kind is AddressKind.PHONE and not (respelled(customer, "") and is_readable(ours)):
        raise CommandError("one of these is no whole number", "numbers with their calling code, such as +4930123456")
    return {
        "primary_channel": customer,
        "conversation_id": conversation_id,
        channel.index.company_key: ours,
        channel.index.customer_key: customer,
        RECIPIENTS[channel.address_kind]: customer,
        "company_id": company,
        "project_status": "active",
        "allowed_channels": [channel.name],
        "channel_config": {channel.name: {"credential_ref": ref}},
        "conversation_status": "created",
        "task_complete": 0,
        "messages": [],
    }
