"""What the demo left behind: in the tables, the queues, the bucket, on the phones and in the mailboxes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infrastructure.template import load
from local.demo.email_scenario import MailSent
from local.demo.scenario import Died, Sent
from local.demo.timeline import Timeline
from local.logs import DOCUMENT
from local.stack import STAGE, Stack
from local.stubs.phones import Delivery
from local.tenants import Tenant

Document = Mapping[str, Any]

_STEPS = (
    "triggered",
    "refused",
    "resumed",
    "failed",
    "known_batch",
    "requeued",
    "send_in_doubt",
    "reconciled",
    "reply_refused",
    "delivery_reported",
    "opt_out",
    "released",
    "extended",
    "no_reply",
    "given_back",
    "reset_stalled_lock",
)
"""The steps whose log lines are looked at."""


@dataclass(frozen=True)
class Check:
    """One thing that must be so."""

    what: str
    expected: Any
    found: Any

    @property
    def holds(self) -> bool:
        return bool(self.expected == self.found)


@dataclass(frozen=True)
class Outcome:
    """Everything that the evening left behind."""

    sent: Mapping[str, Sent]
    mails_sent: Mapping[str, MailSent]
    died: Died
    batches: list[Document]
    """The contexts that reached the AI queue, in order, repeated ones repeated."""
    handoffs: list[Document]
    records: Mapping[str, Document]
    """The rows of the conversations by id."""
    deliveries: list[Delivery]
    """What the customers' phones got, in order."""
    mails: list[Delivery]
    """What the customers' mailboxes got, in order."""
    kept: Mapping[str, bytes]
    """What the bucket keeps of the batches' media, by URL."""
    sends: Mapping[str, Document]
    """The rows of the parts that were sent, by the provider's id."""
    other_rows: Mapping[str, int]
    """How many rows each other table holds."""
    waiting: Mapping[str, int]
    """How many messages each queue held."""
    notice: str
    steps: Mapping[str, list[Document]]
    """The fields of the log lines of some steps."""

    def sid(self, name: str) -> str:
        """The message sid of a request; of an e-mail its Message-ID."""
        return self.mails_sent[name].mail.message_id if name in self.mails_sent else self.sent[name].message.sid

    def wrote(self, address: str) -> bool:
        """Whether somebody with this number or e-mail address wrote."""
        writers = {one.message.sender for one in self.sent.values() if not one.is_forged}
        return address in writers | {one.mail.sender for one in self.mails_sent.values() if not one.is_forged}

    def record(self, company: Tenant, customer: str) -> Document:
        """A customer's conversation."""
        return self.records[company.conversation_id(company.customer(customer))]

    def batches_of(self, company: Tenant, customer: str) -> list[Document]:
        """The contexts of a customer's batches."""
        conversation_id = company.conversation_id(company.customer(customer))
        return [one for one in self.batches if one["conversation"]["conversation_id"] == conversation_id]

    def phone(self, company: Tenant, customer: str) -> list[Delivery]:
        """What a customer's phone got, in order."""
        address = company.customer(customer).address
        return [one for one in self.deliveries if one["to"].rpartition(":")[2] == address]

    def told(self, step: str, company: Tenant, customer: str) -> list[Document]:
        """The fields of the log lines of a step about a customer's conversation."""
        conversation_id = company.conversation_id(company.customer(customer))
        return [fields for fields in self.steps[step] if fields.get("conversation_id") == conversation_id]


def look(
    stack: Stack,
    timeline: Timeline,
    sent: Mapping[str, Sent],
    mails_sent: Mapping[str, MailSent],
    died: Died,
) -> Outcome:
    """Read everything."""
    aws, template = stack.aws, load(STAGE)
    conversations, sends = stack.settings.conversations_table, stack.settings.sends_table
    waiting = {queue: aws.waiting(queue) for queue in template.queues}
    batches = [fields[DOCUMENT] for fields in timeline.heard("thinking")]
    return Outcome(
        sent=sent,
        mails_sent=mails_sent,
        died=died,
        batches=batches,
        handoffs=[json.loads(body) for body in aws.bodies(stack.settings.human_handoff_queue)],
        records={row["conversation_id"]: row for row in aws.rows(conversations)},
        deliveries=stack.phones.deliveries(),
        mails=stack.mailboxes.deliveries(),
        kept={url: aws.object(url) for url in _urls(batches) if url.startswith("s3://")},
        sends={str(row.get("provider_sid")): row for row in aws.rows(sends)},
        other_rows={table: len(aws.rows(table)) for table in template.tables if table not in {conversations, sends}},
        waiting=waiting,
        notice=stack.settings.locked_notice,
        steps={step: timeline.heard(step) for step in _STEPS},
    )


def sids_of(context: Document) -> list[str]:
    """The messages of a batch, in order, each as `_sid` has it."""
    return [_sid(one) for one in context["messages"]]


def _sid(message: Document) -> str:
    """What a message is known by to who sent it: an e-mail by its Message-ID."""
    return str(message.get("extras", {}).get("email_message_id", message["message_id"]))


def told_of(entry: Document) -> str:
    """An entry by its sid; one of ours to the customer by its direction alone."""
    return _sid(entry) if entry["direction"] == "INBOUND" else str(entry["direction"])


def _urls(batches: list[Document]) -> list[str]:
    """Of the batches' media."""
    return [medium["url"] for batch in batches for one in batch["messages"] for medium in one["media"]]
