"""The final state of a run: tables, queues and phones, as the ledger reads them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.protocol.history import ENTRY
from chalicelib.protocol.record import LOCK_SHARD, MESSAGES, STATUS, UNANSWERED_IDS, Status
from infrastructure.template import load
from local.aws.clients import LocalAws
from local.chaos.ledger import Delivery, Found, Record, Sent
from local.chaos.log_reader import LogReader
from local.stack import STAGE, Stack
from local.stubs.status_callbacks import send_id_of
from local.tenants import Tenant

Row = Mapping[str, Any]

_POLL_SECONDS = 1


@dataclass
class People:
    """The company's people: they take every context from the handoff queue."""

    aws: LocalAws
    queue: str
    got: list[tuple[str, str]] = field(default_factory=list)
    """Conversation and message id, in the order in which they came."""
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to take."""
        self._thread = threading.Thread(target=self._take, name="people", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _take(self) -> None:
        url = self.aws.queue_url(self.queue)
        while not self._stopped.is_set():
            answer = self.aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=_POLL_SECONDS)
            for message in answer.get("Messages", []):
                context = json.loads(message["Body"])
                conversation = context["conversation"]["conversation_id"]
                self.got += [(conversation, one["message_id"]) for one in context["messages"]]
                self.aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


@dataclass(frozen=True)
class View:
    """Looks at a machine and its ear."""

    stack: Stack
    ear: LogReader
    people: People
    tenants: Sequence[Tenant]

    @property
    def is_quiet(self) -> bool:
        """Whether nothing moves, waits or is locked. Dead letters do not move."""
        names = self.stack.settings
        living = [queue for queue in load(STAGE).queues if not queue.endswith(names.dead_letter_suffix)]
        return (
            not any(self.stack.aws.waiting(queue) for queue in living)
            and not self.stack.aws.rows(names.stage_table)
            and not any(_is_locked(row) for row in self.stack.aws.rows(names.conversations_table))
            and not self.stack.phones.callbacks_to_come
        )

    def found(self, sent: Sequence[Sent], *, answers_disturbed: int) -> Found:
        """All that is there."""
        names = self.stack.settings
        history = self._history()
        return Found(
            sent=sent,
            batches=list(self.ear.batches),
            deliveries=list(self._deliveries()),
            handed_off=list(self.people.got),
            refused=frozenset(self.ear.refused),
            unknown=frozenset(self.ear.unknown),
            records=[
                _record(row, history.get(row["conversation_id"], []))
                for row in self.stack.aws.rows(names.conversations_table)
            ],
            staged=[row["message_sid"] for row in self.stack.aws.rows(names.stage_table)],
            waiting={queue: self.stack.aws.waiting(queue) for queue in load(STAGE).queues},
            callbacks_to_come=self.stack.phones.callbacks_to_come,
            answers_disturbed=answers_disturbed,
            surprises=frozenset(self.ear.surprises),
        )

    def _deliveries(self) -> Iterator[Delivery]:
        parts = {row["send_id"]: row for row in self.stack.aws.rows(self.stack.settings.sends_table)}
        conversations = {
            (company.account_sid, customer.address): company.conversation_id(customer)
            for company in self.tenants
            for customer in company.customers
        }
        for one in self.stack.phones.deliveries():
            part = parts.get(send_id_of(one["status_callback"]), {})
            yield Delivery(
                sid=one["sid"],
                conversation=str(
                    conversations.get((one["account_sid"], one["to"].removeprefix("whatsapp:"))) or one["to"]
                ),
                batch_id=part.get("batch_id", "none"),
                part=int(part.get("part", 0)),
                text=one["body"],
            )

    def _history(self) -> dict[str, list[Row]]:
        """The entries that were moved off the records, by conversation, in order."""
        found: dict[str, list[Row]] = {}
        for row in self.stack.aws.rows(self.stack.settings.history_table):
            found.setdefault(row["conversation_id"], []).append(row[ENTRY])
        return {one: sorted(entries, key=lambda entry: entry["timestamp"]) for one, entries in found.items()}


def _record(row: Row, history: Sequence[Row]) -> Record:
    entries = row[MESSAGES]
    return Record(
        conversation=row["conversation_id"],
        history=_inbound(history),
        entries=_inbound(entries),
        outbound=frozenset(one["message_id"] for one in [*history, *entries] if one["direction"] == "OUTBOUND"),
        is_locked=_is_locked(row),
        unanswered=tuple(row.get(UNANSWERED_IDS, ())),
    )


def _is_locked(row: Row) -> bool:
    return row[STATUS] == Status.PROCESSING or LOCK_SHARD in row


def _inbound(entries: Sequence[Row]) -> tuple[str, ...]:
    return tuple(one["message_id"] for one in entries if one["direction"] == "INBOUND")
