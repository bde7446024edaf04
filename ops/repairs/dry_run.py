"""Dry runs: the same use case over the same rows, with every write and every send kept from happening.

Reads are real. A write counts as written, so that the use case goes its way to the end; what it would have told is
told. `--dry-run` is this, and no second copy of any rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from chalicelib.clock import Deadline
from chalicelib.ports.queues import NO_ATTRIBUTES, Attributes, Queue, Queues
from chalicelib.ports.tables import Change, Condition, Item, Key, Page, Read, Refused, Table, Tables, Written
from chalicelib.wiring import Engine


@dataclass(frozen=True)
class DryRunTable:
    """A table that is read and never written; see `chalicelib.ports.tables.Table`."""

    real: Table

    @property
    def name(self) -> str:
        return self.real.name

    @property
    def deadline(self) -> Deadline | None:
        return self.real.deadline

    def within(self, deadline: Deadline) -> DryRunTable:
        return DryRunTable(self.real.within(deadline))

    def get(self, key: Key, *, attributes: Sequence[str] = (), is_consistent: bool = True) -> Item | None:
        return self.real.get(key, attributes=attributes, is_consistent=is_consistent)

    def get_together(self, reads: Sequence[Read]) -> list[Item | None]:
        return self.real.get_together([replace(one, table=_real(one.table)) for one in reads])

    def put(self, item: Item, *, when: Condition | None = None) -> Written | Refused:  # noqa: ARG002  # it is not asked
        return Written({})

    def update(self, key: Key, change: Change, *, when: Condition, read_back: bool = False) -> Written | Refused:  # noqa: ARG002  # as above
        return Written({**(self.real.get(key) or {}), **change.set} if read_back else {})

    def delete(self, key: Key, *, when: Condition | None = None) -> Written | Refused:  # noqa: ARG002  # as above
        return Written({})

    def put_many(self, items: Sequence[Item]) -> None:
        """Write nothing."""

    def delete_many(self, keys: Sequence[Key]) -> None:
        """Delete nothing."""

    def query(self, hash_key: tuple[str, str], **options: Any) -> Iterator[Item]:
        return self.real.query(hash_key, **options)

    def scan(self, **options: Any) -> Page:
        return self.real.scan(**options)


@dataclass(frozen=True)
class DryRunQueue:
    """A queue that nothing is sent to."""

    name: str

    def within(self, deadline: Deadline) -> DryRunQueue:  # noqa: ARG002  # nothing takes time here
        return self

    def send(self, body: str, *, group: str, delay_seconds: int = 0, attributes: Attributes = NO_ATTRIBUTES) -> None:
        """Send nothing."""


@dataclass(frozen=True)
class DryRunBucket:
    """A bucket that nothing is put into."""

    def within(self, deadline: Deadline) -> DryRunBucket:  # noqa: ARG002  # as above
        return self

    def put(self, key: str, content: bytes, *, content_type: str, filename: str | None = None) -> str:  # noqa: ARG002  # nothing is kept
        return f"s3://dry-run/{key}"


def dry_run_of(engine: Engine) -> Engine:
    """An engine that reads what this one reads, and keeps everything that it does from happening.

    A fresh one: a use case that is built already has the real tables.
    """
    fresh = Engine(engine.clock)
    tables, queues = engine.tables, engine.queues
    kept: dict[str, Any] = {
        "settings": engine.settings,
        "telemetry": engine.telemetry,
        "credentials": engine.credentials,
        "bucket": DryRunBucket(),
        "tables": Tables(**{one.name: DryRunTable(getattr(tables, one.name)) for one in fields(Tables)}),
        "queues": Queues(**{one.name: _silenced(getattr(queues, one.name)) for one in fields(Queues)}),
    }
    vars(fresh).update(kept)
    return fresh


def _silenced(queues: Any) -> Any:
    if isinstance(queues, dict):
        return {channel: DryRunQueue(queue.name) for channel, queue in queues.items()}
    queue: Queue = queues
    return DryRunQueue(queue.name)


def _real(table: Table) -> Table:
    return table.real if isinstance(table, DryRunTable) else table
