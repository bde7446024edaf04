"""Tenants as the conversations tell them: which company writes from which address, with which secret.

Nobody keeps a list of tenants: a company is known by the rows of its conversations. They are read from the look-up
indexes, whose rows stay small however long a conversation is: eventually consistent, half a read unit for 4 KB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from chalicelib.channels.channel import Channel
from chalicelib.conversations.conversation import COMPANY_ID, credential_ref_of
from chalicelib.ports.tables import Attr, Condition, Item, Table


@dataclass(frozen=True, order=True)
class TenantAddress:
    """One address of one company on one channel."""

    tenant: str
    channel: str
    address: str
    credential_ref: str
    """The name of the secret that proves what comes to it; empty: a row tells none."""


def every_row(table: Table, *, index: str | None = None, keep: Condition | None = None) -> Iterator[Item]:
    """All rows of a table or of an index, page by page as they are consumed."""
    page = table.scan(index=index, keep=keep)
    yield from page.items
    while page.next_start is not None:
        page = table.scan(index=index, keep=keep, start=page.next_start)
        yield from page.items


def of_companies(
    table: Table, channels: Mapping[str, Channel], tenant: str | None = None
) -> Iterator[tuple[Channel, Item]]:
    """The rows of every company, or of one, as the index of each channel has them."""
    keep = None if tenant is None else Attr(COMPANY_ID).eq(tenant)
    for channel in channels.values():
        for row in every_row(table, index=channel.index.name, keep=keep):
            yield channel, row


def tenant_of(row: Item) -> str:
    """The company of a row."""
    return str(row.get(COMPANY_ID, "unknown"))


def address_of(channel: Channel, row: Item) -> TenantAddress:
    """The company's address on a channel, as a row of the channel's index has it."""
    ref = credential_ref_of(row, channel.name) or ""
    return TenantAddress(tenant_of(row), channel.name, row[channel.index.company_key], ref)


def addresses_of(items: Iterable[Item], channels: Mapping[str, Channel]) -> list[TenantAddress]:
    """The addresses that rows name, each once for each secret that they name; a row without one names none."""
    found = {
        address_of(channel, row)
        for row in items
        for channel in channels.values()
        if isinstance(row.get(channel.index.company_key), str)
    }
    return sorted(found)


def lines(table: Table, channels: Mapping[str, Channel], tenant: str | None = None) -> list[TenantAddress]:
    """The addresses of every company, or of one, each once for each secret that its rows name."""
    return sorted({address_of(channel, row) for channel, row in of_companies(table, channels, tenant)})


def companies(rows: Iterable[Item]) -> str:
    """The companies that rows are of, for a person who typed another."""
    return ", ".join(sorted({tenant_of(row) for row in rows})) or "no company: the table is empty"
