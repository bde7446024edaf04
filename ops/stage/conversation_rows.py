"""The rows of the conversations table without their messages, for commands that judge them.

A scan reads whole rows, messages included, and pays for them: half a read unit for 4 KB. A table that is larger than
`SCANNED_BYTES_MAX` is read only where the operator asks for it; else its look-up indexes, which hold less, are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chalicelib.aws.attributes import item_from_wire
from chalicelib.channels.channel import Channel
from chalicelib.ports.tables import Item
from chalicelib.protocol.record import CONVERSATION_ID, MESSAGES, PRIMARY_CHANNEL
from ops.repairs.restoring import describe
from ops.stage.deployment import Deployment
from ops.tenants import row_faults
from ops.tenants.rows import every_row

SCANNED_BYTES_MAX = 64_000_000
"""Some 8,000 read units, a cent's fifth, and a few seconds."""


@dataclass(frozen=True)
class Rows:
    """What was read."""

    items: tuple[Item, ...]
    are_whole: bool
    """Whether every attribute that rules look at was read; else only those of the look-up indexes."""


def read(deployment: Deployment, *, reads_all: bool = False, table: str | None = None) -> Rows:
    """The rows of the deployment's conversations table, or of another of the same shape.

    Args:
        deployment: whose.
        reads_all: read the table whole, however large it is.
        table: another table's name.
    """
    engine = deployment.engine()
    name = table or deployment.settings.conversations_table
    described = describe(deployment.account, name) or {}
    if not reads_all and int(described.get("TableSizeBytes", 0)) > SCANNED_BYTES_MAX:
        indexes = dict.fromkeys(one.index.name for one in engine.channels.values())
        indexed = (row for index in indexes for row in every_row(engine.tables.conversations, index=index))
        found = {(row[PRIMARY_CHANNEL], row[CONVERSATION_ID]): row for row in indexed}
        return Rows(tuple(found.values()), are_whole=False)
    rows = list(_scan(deployment, name, attributes(deployment)))
    damaged = {(row[PRIMARY_CHANNEL], row[CONVERSATION_ID]) for row in _without_list(deployment, name)}
    marked = (
        {**row, MESSAGES: None} if (row.get(PRIMARY_CHANNEL), row.get(CONVERSATION_ID)) in damaged else row
        for row in rows
    )
    return Rows(tuple(marked), are_whole=True)


def attributes(deployment: Deployment) -> tuple[str, ...]:
    """What is read of a row."""
    keys = [key for one in deployment.engine().channels.values() for key in _keys(one)]
    return tuple(dict.fromkeys((PRIMARY_CHANNEL, CONVERSATION_ID, *keys, *row_faults.PROJECTED)))


def _keys(channel: Channel) -> tuple[str, str]:
    return channel.index.company_key, channel.index.customer_key


def _scan(deployment: Deployment, table: str, names: tuple[str, ...]) -> Iterator[Item]:
    told = {f"#{number}": name for number, name in enumerate(names)}
    request = {"TableName": table, "ProjectionExpression": ", ".join(told), "ExpressionAttributeNames": told}
    yield from _pages(deployment, table, request)


def _without_list(deployment: Deployment, table: str) -> Iterator[Item]:
    """The keys of rows whose `messages` is there and no list: nothing can be appended to it."""
    request = {
        "TableName": table,
        "ProjectionExpression": "#p, #c",
        "FilterExpression": "attribute_exists(#m) AND NOT attribute_type(#m, :list)",
        "ExpressionAttributeNames": {"#p": PRIMARY_CHANNEL, "#c": CONVERSATION_ID, "#m": MESSAGES},
        "ExpressionAttributeValues": {":list": {"S": "L"}},
    }
    yield from _pages(deployment, table, request)


def _pages(deployment: Deployment, table: str, request: Mapping[str, object]) -> Iterator[Item]:
    token = ("LastEvaluatedKey", "ExclusiveStartKey")
    for page in deployment.account.pages("dynamodb", "Scan", table, request, token=token):
        yield from map(item_from_wire, page["Items"])
