"""The deployment of a simulated run: two tenants, tables without the costs, and a clock for each function.

The tables leave out what DynamoDB checks and bills: `tests/faults` and the unit tests run the same code over the fake
that tells all of it. What they add are reads that need not be consistent: such a one may see the rows as they were one
write ago. Which reads those are is asked of the requests that the shipped `DynamoTable` makes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import count
from typing import Any

from chalice.app import Response

from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.channels.registry import channels
from chalicelib.channels.sender import OutboundPart, SendOutcome, Sent
from chalicelib.conversations import lookup
from chalicelib.errors import Code
from chalicelib.messages.contents import Content
from chalicelib.messages.parts import parts_of
from chalicelib.ports.tables import Condition, Item, Read, Refused, Written
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.opt_outs import OptOutMarks
from chalicelib.protocol.record import ConversationKey
from chalicelib.repair.stalled_locks import StalledLock
from chalicelib.settings import Settings
from chalicelib.telemetry import Trail
from local.requests.email_signatures import key_pair
from tests.emails import Email
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Call, FaultPlan
from tests.fakes.queues import InMemoryQueue
from tests.fakes.rows import holds
from tests.fakes.tables import InMemoryTable, RowId, _Store
from tests.simulation.reached import REACHED, caller, place_of
from tests.world import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    COMPANY,
    CUSTOMER,
    KEY,
    SECRET_REF,
    Phone,
    RecordingTelemetry,
    World,
    conversation,
)


class Violation(AssertionError):  # noqa: N818 - a word of the simulation, not an error of the code
    """An invariant does not hold."""


Fields = tuple[tuple[str, str], ...]
"""Further parameters of a provider's request."""


@dataclass(frozen=True)
class Tenant:
    """One company, its one customer and their conversation."""

    name: str
    key: ConversationKey
    customer: str
    company: str
    token: str
    secret_ref: str
    policy: tuple[tuple[str, Any], ...] = ()
    """The company's own, by name."""

    def row(self, **changes: Any) -> dict[str, Any]:
        """Its conversation, as its own systems write it."""
        secret = {"credential_ref": self.secret_ref, "policy": dict(self.policy)}
        return {
            **conversation(),
            **self.key.item,
            "gsi_company_whatsapp_number": self.company,
            "gsi_company_sms_number": self.company,
            "gsi_recipient_tel": self.customer,
            "recipient_tel": self.customer,
            "company_id": self.name,
            "channel_config": {"whatsapp": secret, "sms": secret},
            **changes,
        }

    @property
    def secret(self) -> str:
        """What its secret says."""
        return json.dumps({"account_sid": ACCOUNT_SID, "auth_token": self.token})

    def sid(self, number: int) -> str:
        """The id of the customer's message of that number."""
        return f"SM{number:032x}"

    def deliver(self, world: World, sid: str, body: str, fields: Fields = ()) -> Response:
        """One signed webhook with a message of the customer."""
        numbers = {"From": f"whatsapp:{self.customer}", "To": f"whatsapp:{self.company}"}
        return world.post(world.form(body, sid=sid, **{**numbers, **dict(fields)}), token=self.token)

    @property
    def list_for_people(self) -> str:
        """The attribute in which the company lists the senders whose messages go to people, by the address's kind."""
        return "auto_queue_reply_message_from_number"

    @property
    def by_sms(self) -> Fields:
        """The parameters of a request whose message came by SMS."""
        return (("From", self.customer), ("To", self.company))


@dataclass(frozen=True)
class EmailTenant(Tenant):
    """A company whose customer writes e-mails, on a conversation that is known by a phone's number all the same."""

    by_sms: Fields = ()

    @property
    def list_for_people(self) -> str:
        return "auto_queue_reply_message_from_email"

    def row(self, **changes: Any) -> dict[str, Any]:
        told = {
            "gsi_company_email": self.company,
            "gsi_recipient_email": self.customer,
            "allowed_channels": ["email"],
            "channel_config": {"email": {"credential_ref": self.secret_ref}},
        }
        return {**conversation(), **self.key.item, "company_id": self.name, **told, **changes}

    @property
    def secret(self) -> str:
        return json.dumps({"public_key": _keys(self.name)[1], "api_key": f"SG.{self.token}"})

    def sid(self, number: int) -> str:
        return _email(self, number).message_sid

    def deliver(self, world: World, sid: str, body: str, fields: Fields = ()) -> Response:
        (number,) = (one for one in range(_EMAILS_MAX) if self.sid(one) == sid)
        email = replace(_email(self, number), text=body, attachments=(_PHOTO,))
        return world.post_email(email, private_key=_keys(self.name)[0])


_EMAILS_MAX = 16
_PHOTO = ("photo.png", "image/png", b"\x89PNG")


@cache
def _keys(_: str) -> tuple[str, str]:
    return key_pair()


@cache
def _email(tenant: EmailTenant, number: int) -> Email:
    """The e-mail of that number: e-mails of one instant are ordered by their ids, so those are made to rise with it."""
    wanted = f"em-{number:x}"
    names = (f"<{tenant.name}-{number}-{attempt}@customer.example>" for attempt in count())
    some = (Email(message_id=name, sender=tenant.customer, recipients=(tenant.company,)) for name in names)
    return next(email for email in some if email.message_sid.startswith(wanted))


ACME = Tenant("acme", KEY, CUSTOMER, COMPANY, AUTH_TOKEN, SECRET_REF)

GLOBEX = Tenant(
    "globex",
    ConversationKey("+4915187654321", KEY.conversation_id),
    "+4915187654321",
    "+14155230000",
    "token-of-the-second-tenant",
    "ai-multi-comms/whatsapp-credentials/globex/main/twilio-local",
)
"""Its conversation bears the id of the other's, under another primary channel."""

TENANTS = (ACME, GLOBEX)

POLICIES = {
    "batch_window_seconds": (0, 3, 20, -1),
    "batch_max_wait_seconds": (0, 5, 40, "soon"),
    "window_mode": ("fixed", "adaptive", 1),
    "on_new_message": ("queue", "restart", "reject", "sometimes"),
    "stall_action": ("warn", "handoff", 7),
}
"""What companies write, bad values among it."""


def with_policies(seed: int) -> tuple[Tenant, ...]:
    """The tenants, each with policies of its own that the seed tells; now and then with none."""
    chosen = random.Random(seed)  # noqa: S311 - reproducible, not secret
    return tuple(
        replace(
            one,
            policy=tuple((name, chosen.choice(values)) for name, values in POLICIES.items() if chosen.random() < 0.7),
        )
        for one in TENANTS
    )


MAILED = tuple(
    EmailTenant(
        one.name,
        one.key,
        f"{one.name}-s-customer@customer.example",
        f"help@{one.name}.example",
        one.token,
        f"ai-multi-comms/email-credentials/{one.name}/main/sendgrid-local",
    )
    for one in TENANTS
)
"""The same companies, written to by e-mail."""


class SkewedClock(FakeClock):
    """A clock whose wall time is off by what the function has that reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.skew = timedelta(0)

    def now(self) -> datetime:
        return self.instant + self.skew


class FewTold(RecordingTelemetry):
    """Keeps the lines and counts nothing."""

    def count(self, *_: Any, **__: Any) -> None:
        pass


@dataclass
class _LeanStore(_Store):
    rows_before: dict[Any, Item] = field(default_factory=dict)
    watch: Callable[[Item | None, Item | None], None] | None = None


class LeanTable(InMemoryTable):
    """A table without copies, checks and bills: rows are replaced, never changed, so all may look at the same."""

    def __init__(self, schema: Any, plan: FaultPlan | None = None) -> None:
        super().__init__(schema, plan)
        self._store = _LeanStore(schema, self._store.page_bytes)

    @property
    def state(self) -> tuple[dict[Any, Item], dict[Any, Item]]:
        """The rows by their ids, now and one write ago: both are replaced, never changed."""
        return self._store.rows, self._store.rows_before

    @state.setter
    def state(self, state: tuple[dict[Any, Item], dict[Any, Item]]) -> None:
        self._store.rows, self._store.rows_before = state

    def watch(self, see: Callable[[Item | None, Item | None], None]) -> None:
        """Let each write be seen: what the row was, and what it is now."""
        self._store.watch = see

    def read_stale(self, read: Callable[[], Any]) -> Any:
        """What a read sees that need not be consistent, at its worst."""
        now, before = self.state
        self.state = before, before
        try:
            return read()
        finally:
            self.state = now, before

    def change(self, key: Mapping[str, str], change: Callable[[Item], Item]) -> None:
        """Change a row as the company's own systems do: no call of ours, and no version raised."""
        row_id = self._id_of(key)
        self._replace(row_id, change(self._store.rows[row_id]))

    def create(self, row: Item) -> None:
        """Write a row as the company's own systems do."""
        self._replace(self._id_of(row), self._checked_type(row))

    def expire(self, epoch_seconds: int) -> None:
        self.state = dict(self._store.rows), self._store.rows
        super().expire(epoch_seconds)

    def _replace(self, row_id: Any, new: Item | None) -> None:
        old = self._store.rows.get(row_id)
        self.state = dict(self._store.rows), self._store.rows
        super()._replace(row_id, new)
        if self._store.watch is not None:
            self._store.watch(old, new)

    def _write(
        self,
        operation: str,
        key: Mapping[str, Any],
        when: Condition | None,
        change: Callable[[Item | None], tuple[Item | None, Item]],
    ) -> Written | Refused:
        place = place_of(caller()) if REACHED.is_on else ""

        def apply() -> Written | Refused:
            row_id = self._id_of(key)
            old = self._store.rows.get(row_id)
            is_written = when is None or holds(when, old or {})
            if place:
                REACHED.guard(place, when, old or {}, is_written=is_written)
            if not is_written:
                return Refused(old or {})
            new, answer = change(old)
            self._replace(row_id, new)
            return Written(answer)

        def refused_by_own_write(answer: Written | Refused) -> Written | Refused:
            return Refused(self._store.rows.get(self._id_of(key)) or {}) if isinstance(answer, Written) else answer

        return self._perform(operation, "write", apply, is_conditional=when is not None, own_write=refused_by_own_write)

    def bill_write(self, old: Item | None, new: Item | None) -> None:
        pass

    @staticmethod
    def _checked_type(item: Mapping[str, Any]) -> Item:
        return {name: Decimal(value) if type(value) is int else value for name, value in item.items()}

    def _checked(self, operation: str, item: Mapping[str, Any]) -> Item:
        return self._checked_type(item)

    def _checked_id(self, operation: str, key: Mapping[str, Any]) -> Any:
        return self._id_of(key)

    @staticmethod
    def _copied(value: Any) -> Any:
        return value

    @staticmethod
    def _bytes(_: Item) -> int:
        return 1


class WatchedQueue(InMemoryQueue):
    """A queue whose every message is looked at: does it hold one tenant's data, and go under that tenant's name?"""

    see: Callable[[str, str], None] | None = None

    def _add(self, body: str, group: str, *rest: Any) -> None:
        super()._add(body, group, *rest)
        if self.see is not None:
            self.see(body, group)


class Phones(Phone):
    """The phones of all customers, and the provider before them, who knows by the secret whose account it is."""

    violate: Callable[[str], None]
    tenants: tuple[Tenant, ...]
    see: Callable[[str], None]
    failed: frozenset[str] = frozenset()
    """The sids of messages that were taken and not delivered: no phone shows them."""

    @property
    def texts(self) -> list[str]:
        return [part.body for sid, part, _ in self.received if sid not in self.failed]

    def _deliver(self, part: OutboundPart, secret: str) -> SendOutcome:
        self.see(part.send_id)
        outcome = super()._deliver(part, secret)
        owner = next((one for one in self.tenants if part.to.endswith(one.customer)), None)
        is_his = owner is not None and secret == owner.secret and part.sender.endswith(owner.company)
        if isinstance(outcome, Sent) and not is_his:
            self.violate("I7: a message went out of another tenant's account, or to another tenant's customer")
        return outcome


class _Forgetful(dict[str, Any]):
    """What a process would remember and another does not know: here every invocation is a process of its own."""

    def __setitem__(self, *_: Any) -> None:
        pass


class Deployment(World):
    """What is deployed, for one tenant or two; its ledger tells them apart."""

    clock_kind = SkewedClock
    table_kind = LeanTable
    queue_kind = WatchedQueue
    phone_kind = Phones
    telemetry_kind = FewTold

    def __init__(self, plan: FaultPlan, tenants: tuple[Tenant, ...], row: Mapping[str, Any], **settings: str) -> None:
        super().__init__(plan, *(one.row(**row) for one in tenants), **settings)
        self.tenants = tenants
        rows = self.tables.conversations.state[0]
        self.tables.conversations.state = rows, rows  # they are there for long
        self.secrets.texts = {one.secret_ref: one.secret for one in tenants}
        self.numbers = count(1)
        self.broken: list[str] = []
        """What was violated as it happened; the handlers catch what is raised within a function."""
        self.opted_out: dict[tuple[str, str, str], str | None] = {}
        """The claim's token at the moment in which a customer opted out, by conversation and channel."""
        self.returned: set[str] = set()
        """The handoffs that people gave back, by the ids that they named."""
        self.strays: list[str] = []
        """What people said in returns that named no handoff that stood."""
        self.replies_of_people: list[str] = []
        """What people asked to be sent, in order."""
        self.taken: frozenset[str] = frozenset()
        """The batches that the AI has taken up."""
        self.silent: tuple[str, ...] = ()
        """The messages to which the AI had nothing to say."""
        self.begun: Mapping[str, int] = {}
        """By batch, the parts of its replies that began while the conversation belonged to people."""
        self.switched: Mapping[tuple[str, str], str | None] = {}
        """The claim's token at the moment in which people took a conversation over, by conversation."""
        self.restarted: Mapping[str, int] = {}
        """How many batches of each message were replaced by a restart."""
        self.owners: dict[str, Tenant] = {}
        """Whose message each sid is."""
        if len(tenants) > 1:
            for queue in self.all_queues:
                queue.see = self._see
        vars(self.engine._unknown_sender_policy)["_caps"] = _Forgetful()
        self.phone.violate, self.phone.tenants, self.phone.see = self.violate, tenants, self.see_send

    @property
    def all_tables(self) -> tuple[LeanTable, ...]:
        return tuple(vars(self.tables).values())

    @property
    def all_queues(self) -> tuple[WatchedQueue, ...]:
        queues = self.queues
        many = (*queues.triggers.values(), *queues.dead_triggers.values())
        of_people = (queues.human_replies, queues.dead_human_replies)
        return (*many, queues.ai, queues.replies, queues.handoff, queues.dead_replies, *of_people)

    def receive(self, tenant: Tenant, sid: str, body: str, fields: Fields = ()) -> tuple[int, str, bool]:
        """One signed webhook: the answer's status, the outcome, and whether the answer tells a stranger something."""
        response = tenant.deliver(self, sid, body, fields)
        outcome = self.telemetry.lines[-1]["outcome"]
        return response.status_code, outcome, outcome == Code.CONVERSATION_NOT_FOUND and "<Message>" in response.body

    def new_sid(self, tenant: Tenant) -> str:
        """The sid of a new message of a tenant's customer."""
        sid = tenant.sid(next(self.numbers))
        self.owners[sid] = tenant
        return sid

    def row_of(self, tenant: Tenant) -> Item:
        """The tenant's conversation; not a copy."""
        table: Any = self.tables.conversations
        return table.state[0][table._id_of(tenant.key.item)]

    def reply_of_people(self, tenant: Tenant, text: str) -> None:
        """A person asks for a text to be sent to the tenant's customer."""
        self.replies_of_people.append(text)
        told = {"version": "1.0", "source": "human", "reply_id": f"of-people-{len(self.replies_of_people)}"}
        self.queues.human_replies.inject(json.dumps({**tenant.key.item, **told, "body": text}), group=tenant.name)

    def give_back(self, tenant: Tenant, handoff_id: str = "", text: str = "") -> None:
        """People give the tenant's conversation back to the AI, by the handoff that stands or by another's id."""
        handoff_id = handoff_id or self.row_of(tenant)["handoff_id"]
        self.returned.add(handoff_id)
        self.strays += [text] if text else []
        told = {"version": "1.1", "source": "human", "action": "return", "reply_id": f"return-{handoff_id}"}
        reply = {**tenant.key.item, **told, "handoff_id": handoff_id, **({"body": text} if text else {})}
        self.queues.human_replies.inject(json.dumps(reply), group=tenant.name)

    def hand_over(self, tenant: Tenant) -> None:
        """An operator hands the tenant's conversation to people."""
        trail = Trail(self.telemetry, self.clock, request_id="operator")
        self.engine.handing_over.hand_over(self.engine.tables, self.engine.queues, tenant.key, "asked for", trail)

    def unlock_at_once(self, tenant: Tenant) -> None:
        """An operator has the lock of the tenant's conversation opened, as long as no reply has claimed it."""
        engine, trail = self.engine, Trail(self.telemetry, self.clock, request_id="operator")
        conversation = lookup.load(engine.tables.conversations, tenant.key, self.settings.context_attributes)
        assert conversation is not None, "the conversation stays"
        record = conversation.record
        if record.is_locked and record.claim is None and record.started_at is not None:
            engine.sweeping.reset(engine.tables, engine.queues, StalledLock.of(conversation), trail, at_once=True)

    def rows_of(self, tenant: Tenant) -> list[Item]:
        """The tenant's conversations, the first one first; not copies."""
        return [row for row in self.tables.conversations.state[0].values() if row["company_id"] == tenant.name]

    def entries_of(self, row: Item) -> tuple[list[Item], list[Item]]:
        """The entries of a conversation: those that only the history has, and those on the record."""
        kept = row["messages"]
        ids = {one["message_id"] for one in kept}
        moved = [one for one in self.history_of(row) if one["message_id"] not in ids and one not in kept]
        return moved, kept

    def history_of(self, row: Item) -> list[Item]:
        """The entries that the history has of a conversation."""
        key = (row["primary_channel"], row["conversation_id"])
        rows = self.tables.history.state[0].values()
        return [one["entry"] for one in rows if (one["primary_channel"], one["conversation_id"]) == key]

    def is_moved(self, row: Item, message_id: str) -> bool:
        """Whether the history has an entry of a conversation."""
        moved = self.tables.history.state[0].get(RowId(row["conversation_id"], message_id), {})
        return bool(moved.get("primary_channel") == row["primary_channel"])

    def splits(self, text: str) -> list[list[str]]:
        """The texts that a reply becomes, by each channel that splits it another way."""
        return _splits(text, self.settings)

    @property
    def known_send_ids(self) -> set[str]:
        """The parts of the AI's replies that were sent, but those of a reply that was given up as a dead letter."""
        dead = {json.loads(one.body).get("batch_id") for one in self.queues.dead_replies.messages}
        sends = self.tables.sends.state[0].values()
        sent = (row for row in sends if row["send_state"] == "sent")
        return {row["send_id"] for row in sent if row.get("batch_id") not in {None, *dead}} - self.second_send_ids

    def _part_and_row(self, send_id: str) -> tuple[Item, Item]:
        part = self.tables.sends.state[0][RowId(send_id, "")]
        return part, self.tables.conversations.state[0][RowId(part["primary_channel"], part["conversation_id"])]

    def is_of_last_batch(self, send_id: str) -> bool:
        """Whether no other batch began since the one that a part answers."""
        part, row = self._part_and_row(send_id)
        return row.get("last_batch_id") == part.get("batch_id")

    def is_last_word(self, send_id: str) -> bool:
        """Whether the reply of a part that was sent ended last, and nothing was said since."""
        part, row = self._part_and_row(send_id)
        last = row["messages"][-1] if row["messages"] else {}
        ended = row.get("last_batch_id"), row.get("last_reply_id")
        is_of_reply = "send_id" in last and last.get("batch_id") == part.get("batch_id")
        return is_of_reply and ended == (part.get("batch_id"), part["reply_id"])

    @property
    def second_send_ids(self) -> set[str]:
        """The parts that repeat one that was not delivered: the record has the first one's entry."""
        return {row["send_id"] for row in self.tables.sends.state[0].values() if "resends" in row}

    @property
    def answered(self) -> list[str]:
        """The batches of which the customer got a whole reply, all parts in order, as often as that is so."""
        return [
            batch_id
            for batch_id, texts in self.replies.items()
            for text in texts
            if any([one for one in self.phone.texts if one in parts] == parts for parts in self.splits(text))
        ]

    @property
    def answered_partly(self) -> list[str]:
        """The batches of which the customer got a part of a reply at least."""
        return self._with_a_part_of(self.replies, set(self.phone.texts))

    @property
    def asked_batches(self) -> set[str]:
        """The batches to which the provider took a part of a reply, or of what was said beside it, delivered or not."""
        taken = {part.body for _, part, _ in self.phone.received}
        return {one for said in (self.replies, self.asides) for one in self._with_a_part_of(said, taken)}

    def _with_a_part_of(self, said: Mapping[str, Sequence[str]], texts: set[str]) -> list[str]:
        return [
            batch_id
            for batch_id, some in said.items()
            if any(texts & {*split} for one in some for split in self.splits(one))
        ]

    @property
    def is_at_rest(self) -> bool:
        """Nothing staged, nothing locked, nothing unanswered, of no tenant.

        A lock that the company set and that nothing has waited for bears no start, and is left to the company.
        """
        rows = self.tables.conversations.state[0].values()
        return not self.tables.stage.state[0] and not any(
            "processing_started_at" in row or _waits(row) or "lock_shard" in row or "reply_claim" in row for row in rows
        )

    def _see(self, body: str, group: str) -> None:
        """I7: a message in a queue holds one tenant's data only, and goes under that tenant's name."""
        document = json.loads(body)
        if "send_id" in document:  # an errand of ours names a part's row, and nothing else
            document = self.tables.sends.state[0][RowId(document["send_id"], "")]
        primary_channel = document.get("conversation", document)["primary_channel"]
        (owner,) = (one for one in self.tenants if one.key.primary_channel == primary_channel)
        ids = [one["message_id"] for name in ("messages", "history") for one in document.get(name, ())]
        strangers = [sid for sid in ids if self.owners.get(sid, owner) is not owner]
        company = document.get("company", {"company_id": owner.name, "credentials_reference": owner.secret_ref})
        told = (company["company_id"], company["credentials_reference"], group)
        if strangers or told != (owner.name, owner.secret_ref, owner.name):
            self.violate("I7: a message in a queue holds another tenant's data")

    def see_lock(self, old: Item, new: Item) -> None:
        """I4: the lock's batch changes only while the record is open; and who opts out is known from then on."""
        was_locked = old["conversation_status"] == "processing_reply" or "reply_claim" in old
        if was_locked and old.get("last_batch_id") != new.get("last_batch_id"):
            self._see_restart(old, new)
        told, told_now = old.get("locked_notice_at"), new.get("locked_notice_at")
        if told is not None and told_now not in (None, told):
            self.violate("I5: a customer was told twice that one answer is being written")
        if new["conversation_status"] == "ai_no_reply" and old.get("unanswered_ids") and not new["unanswered_ids"]:
            self.silent += tuple(old["unanswered_ids"])
        claims = {(row.get("reply_claim_token"), row.get("reply_claimed_at")) for row in (old, new)}
        is_of_another = len(claims) == 1 and "reply_claim" in new
        if is_of_another and old.get("processing_started_at") != new.get("processing_started_at"):
            self.violate("I4: the clock of a claimed lock was set by another than its holder")
        if old.get("processing_started_at") and "processing_started_at" not in new and new.get("unanswered_ids"):
            self._see_let_go(new)
        self._see_handoff(old, new)
        key = new["conversation_id"], new["primary_channel"]
        if self._is_with_people(new) and not self._is_with_people(old):
            self.switched = {**self.switched, key: new.get("reply_claim_token")}
        if {"opted_out", "opted_out_channels"} & new.keys():
            before, after = OptOutMarks.from_item(old), OptOutMarks.from_item(new)
            stopped = [one for one in self.queues.triggers if after.stops(one) and not before.stops(one)]
            token = new.get("reply_claim_token")
            self.opted_out = {**self.opted_out, **{(*key, channel): token for channel in stopped}}

    def see_stalled(self, old: Item, *, by_hand: bool) -> None:
        """f: an AI has the stall timeout, doubled by each lock that stalled in a row, up to a turn's longest time.

        m, M: a claim has the stall timeout alone, from when it was made. By hand it has the time in which its process
        may be alive, and a lock that nobody has claimed has none.
        """
        timeout, resets = self.settings.stall_timeout_seconds, int(old.get("stall_resets", 0))
        patience = 0 if by_hand else max(timeout, min(timeout * 2**resets, self.settings.turn_max_seconds))
        since = old["processing_started_at"]
        if "reply_claim" in old:
            patience = self.settings.reconcile_after_seconds if by_hand else timeout
            since = old["reply_claimed_at"] if by_hand else max(since, old["reply_claimed_at"])
        age = self.clock.instant - datetime.fromisoformat(since)
        if age < timedelta(seconds=patience - 1):  # clocks may be off
            self.violate("I6: a lock was opened before its time")

    def _see_restart(self, old: Item, new: Item) -> None:
        """N1 to N3: a restart keeps every message, and takes the lock from the AI alone, so many times at most."""
        waiting = {one["message_id"] for one in old["messages"] if one["message_id"] in old.get("unanswered_ids", ())}
        is_of_ai = "processing_trigger_id" in old and not {"reply_claim"} & {*old, *new}
        if not (self._may_restart and is_of_ai and waiting <= set(new["unanswered_ids"])):
            self.violate("I4: a lock was taken from its holder")
        if old.get("turn_effects"):
            self.violate("I5: a turn with effects was begun anew")
        self.restarted = {**self.restarted, **{sid: self.restarted.get(sid, 0) + 1 for sid in waiting}}
        if any(self.restarted[sid] > self.settings.restarts_max for sid in waiting):
            self.violate("I6: a customer waits for more turns than may be")

    @property
    def _may_restart(self) -> bool:
        """Whether a company's policy restarts turns."""
        policies = (dict(one.policy).get("on_new_message") for one in self.tenants)
        return "restart" in (self.settings.on_new_message, *policies)

    def see_discarded(self, batch_id: str) -> None:
        """I1: a reply is discarded only where a newer batch holds its messages, or they have ended."""
        rows = self.tables.conversations.state[0].values()
        if any(row.get("last_batch_id") == batch_id and _waits(row) and "reply_claim" not in row for row in rows):
            self.violate("I1: a reply was discarded, and no newer batch holds its messages")

    def _see_handoff(self, old: Item, new: Item) -> None:
        """I8: a handoff lasts until a return names it. I2: what was answered goes to people only as the last word.

        Or if no part of the reply that ended it was ever begun.
        """
        before, after = old.get("handoff_id"), new.get("handoff_id")
        if before is not None and after not in (None, before):
            self.violate("I8: a handoff that stands was replaced")
        if before is not None and after is None and before not in self.returned:
            self.violate("I8: a handoff was ended by a return that names another")
        if new.get("reply_claim") != PEOPLE or "reply_claim" in old or old.get("unanswered_ids"):
            return
        if old.get("last_batch_id") != new.get("last_batch_id"):
            return  # an acquisition
        last = old["messages"][-1] if old["messages"] else {}
        is_last_word = last.get("batch_id") == new.get("last_batch_id") and "send_id" in last
        ended = old.get("last_batch_id"), old.get("last_reply_id")
        sends = self.tables.sends.state[0].values()
        was_begun = any((part.get("batch_id"), part["reply_id"]) == ended for part in sends)
        if (was_begun and not is_last_word) or old["conversation_status"] == "processing_reply":
            self.violate("I2: people got a batch whose reply was not the last word")
        if "handoff_id" not in new and (was_begun or not self._is_with_people(old)):
            self.violate("I8: people got a batch that was answered, and no handoff began")
        if not set(self.batches.get(new["last_batch_id"], ())) <= set(new["unanswered_ids"]):
            self.violate("I1: people got less than the batch whose reply was not delivered")

    def unmarked(self, old: Item, new: Item) -> list[str]:
        """The channels whose opt-out mark a write takes off."""
        if not {"opted_out", "opted_out_channels"} & old.keys():
            return []
        before, after = OptOutMarks.from_item(old), OptOutMarks.from_item(new)
        return [one for one in self.queues.triggers if before.stops(one) and not after.stops(one)]

    @staticmethod
    def keys_of(row: Item) -> tuple[str, str]:
        """The conversation of a row."""
        return row["primary_channel"], row["conversation_id"]

    def _see_let_go(self, row: Item) -> None:
        """L8: what the AI has been sent keeps its lock, or is watched, until it has an end."""
        dispatched = {*self.batches, *(sid for ids in self.batches.values() for sid in ids)}
        waiting = {row.get("last_batch_id"), *row["unanswered_ids"]}
        if waiting & dispatched or any(f'"{one}"' in sent.body for one in waiting for sent in self.queues.ai.messages):
            self.violate("I4: a batch that was dispatched lost its lock")

    def see_send(self, send_id: str) -> None:
        """I2: a customer who opted out gets no reply that was claimed, or taken over, after that."""
        part = self.tables.sends.state[0].get(RowId(send_id, ""))
        if part is None:
            return  # the text of an unknown sender
        key = part["conversation_id"], part["primary_channel"]
        row = self.tables.conversations.state[0][RowId(key[1], key[0])]
        at = (*key, part["channel"])
        is_late = at in self.opted_out and row.get("reply_claim_token") not in (None, self.opted_out[at])
        self._see_takeover(part, row)
        if (
            OptOutMarks.from_item(row).stops(part["channel"])
            and is_late
            and part.get("batch_id") == row.get("last_batch_id")
        ):
            self.violate("I2: a customer who opted out was written to")

    def _see_takeover(self, part: Item, row: Item) -> None:
        """I8: once people own the conversation at most one part of a reply of the AI begins."""
        batch_id = part.get("batch_id")
        if batch_id is None or not self._is_with_people(row):
            return
        key = row["conversation_id"], row["primary_channel"]
        is_of_batch = row.get("last_batch_id") == batch_id and "reply_claim" in row
        if is_of_batch and key in self.switched and row["reply_claim_token"] != self.switched[key]:
            self.violate("I8: a reply was claimed after people had taken the conversation over")
        self.begun = {**self.begun, batch_id: self.begun.get(batch_id, 0) + 1}
        if self.begun[batch_id] > 1:
            self.violate("I8: a part of a reply began after people had taken the conversation over")

    def _is_with_people(self, row: Item) -> bool:
        return "handed_off_by" in row or any(one.customer in row.get(one.list_for_people, ()) for one in self.tenants)

    def violate(self, name: str) -> None:
        """Report a violation, wherever it happens."""
        self.broken.append(name)
        raise Violation(name)


def _waits(row: Item) -> bool:
    """Whether a message of the record is unanswered; one that the company took off it is none."""
    waiting = row.get("unanswered_ids")
    return bool(waiting) and any(one["message_id"] in waiting for one in row["messages"])


@cache
def _splits(text: str, settings: Settings) -> list[list[str]]:
    found = ([one.body for one in parts_of([Content(text)], channel.part_limits)] for channel in channels(settings))
    return [list(one) for one in dict.fromkeys(map(tuple, found))]


@cache
def reads_consistently(operation: str) -> bool:
    """Whether the shipped table asks for a consistent read of rows by this operation."""
    asked: list[Mapping[str, Any]] = []

    class Service:
        def call(self, _: str, __: str, request: Mapping[str, Any], **___: Any) -> dict[str, Any]:
            asked.append(request)
            return {"Items": [], "Responses": {}}

    table: Any = DynamoTable(Service(), "rows")  # type: ignore[arg-type]
    match operation:
        case "GetItem":
            table.get({"name": "one"})
        case "BatchGetItem":
            table.get_together([Read(table, {"name": "one"})])
        case "Query":
            list(table.query(("name", "one")))
        case "Scan":
            table.scan()
        case _:
            raise AssertionError(f"{operation} reads no rows")
    request = asked[0]
    return bool(request.get("RequestItems", {}).get("rows", request).get("ConsistentRead"))


def may_be_stale(call: Call) -> bool:
    """Whether a read may see what was before the last write: of an index, of the provider, or not asked to be new."""
    if call.operation == "ListMessages":
        return True
    if call.kind != "read" or call.operation not in ("GetItem", "BatchGetItem", "Query", "Scan"):
        return False
    is_of_index = call.operation == "Query" and call.resource == "conversations-local"
    return is_of_index or not call.is_consistent or not reads_consistently(call.operation)
