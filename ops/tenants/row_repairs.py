"""Repairing rows of a kind: one conditional write for each row, of the one attribute that its kind names.

A write depends on the attribute as it was read: where the company's own systems changed it meanwhile, the row is left
to the next run. So it is safe to repeat, and to run while messages come in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.ports.tables import Attr, Change, Condition, Item, Table, Written
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey
from ops.tenants.row_faults import Kind, Known, NoValueError, Wanted


class Result(StrEnum):
    """The outcome of one fault of one row."""

    REPAIRED = "repaired"
    WOULD_BE = "would be repaired"
    CHANGED = "changed meanwhile; run the command again"
    UNCLEAR = "left"


@dataclass(frozen=True)
class Repaired:
    """One fault of one row."""

    key: ConversationKey
    detail: str
    result: Result
    why: str = ""
    """What is missing to repair it."""


def repair(
    table: Table, rows: Sequence[Item], kind: Kind, known: Known, wanted: Wanted, *, is_dry_run: bool
) -> Iterator[Repaired]:
    """Repair the faults of one kind in these rows, each told as it is done.

    Raises:
        EngineError: AWS refused or did not answer; the same command goes on.
    """
    assert kind.repair is not None, "the command refuses a kind that nothing repairs"
    for row in rows:
        key = ConversationKey(row[PRIMARY_CHANNEL], row[CONVERSATION_ID])
        for detail in kind.find(row, known):
            if wanted.channel and detail not in (wanted.channel, *_own_keys(known, wanted.channel)):
                continue
            try:
                change = kind.repair(row, known, detail, wanted)
            except NoValueError as error:
                yield Repaired(key, detail, Result.UNCLEAR, str(error))
                continue
            if is_dry_run:
                yield Repaired(key, detail, Result.WOULD_BE)
                continue
            as_read: Condition = Attr(PRIMARY_CHANNEL).exists()
            for name in change:
                as_read &= Attr(name).eq(row[name]) if name in row else Attr(name).missing()
            answer = table.update(key.item, Change(set=change), when=as_read)
            yield Repaired(key, detail, Result.REPAIRED if isinstance(answer, Written) else Result.CHANGED)


def _own_keys(known: Known, channel: str) -> tuple[str, ...]:
    index = known.channels[channel].index
    return index.company_key, index.customer_key
