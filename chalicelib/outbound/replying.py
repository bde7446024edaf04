"""Stage 3: one reply is sent once, recorded, and the conversation released.

    judge - claim - send each part - release - look at what was staged meanwhile

Guarantee: at most one reply per batch reaches the customer. Whoever crashes, the claim on the record and the row of
each part tell what may have happened; what is in doubt is looked up and, if it cannot be proven, counts as answered: at
most once is chosen over at least once. Every end of a reply is told, and followed by a look at the stage.

People's replies need no lock and no claim on the record: their parts' rows are claimed under their own reply id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil
from typing import Any

from chalicelib.channels.channel import (
    Channel,
    InDoubt,
    OutboundPart,
    PermanentFailure,
    Refusals,
    Sender,
    Sent,
    TemporaryFailure,
    Vendor,
)
from chalicelib.channels.credentials import CredentialCache
from chalicelib.clock import Clock, Deadline, from_iso, iso
from chalicelib.conversations import lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.opt_out import mark_opted_out
from chalicelib.errors import Code, Misconfigured, ReplyCode, TryAgain
from chalicelib.messages.parts import parts_of
from chalicelib.messages.replies import Reply, Source
from chalicelib.ports.queues import DELAY_SECONDS_MAX, Queues
from chalicelib.ports.tables import Tables
from chalicelib.protocol import history, reply_claim, sends
from chalicelib.protocol.conversation_lock import Lost
from chalicelib.protocol.record import Record, Status, entry_id, waited
from chalicelib.protocol.reply_claim import Claim, Released, Undelivered
from chalicelib.protocol.sends import Part, State
from chalicelib.repair.dead_letters import send_dead_letter
from chalicelib.repair.retriggering import Retriggering
from chalicelib.repair.retrying import send_later
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail

_LOOKS = 4
"""How often a reply looks at a record that changes under it, before it comes again later."""

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One reply at work."""

    reply: Reply
    tenant: str
    """The fairness group that the reply came with."""
    tables: Tables
    queues: Queues
    deadline: Deadline
    token: str
    """Fresh for this invocation."""
    trail: Trail


# What the record says of a reply, before anything is written.


@dataclass(frozen=True)
class Free:
    """The batch waits for an answer: the reply may claim it."""


@dataclass(frozen=True)
class Orphaned:
    """The reply's own claim is too old for its process to be alive: it may be taken over."""


@dataclass(frozen=True)
class AtWork:
    """The reply's own claim is young: another process may be sending it."""

    seconds: int
    """When it will be too old for that."""


@dataclass(frozen=True)
class Ended:
    """The reply came before, and has ended."""


@dataclass(frozen=True)
class Refusal:
    """The reply is not to be sent."""

    code: ReplyCode


Judgement = Free | Orphaned | AtWork | Ended | Refusal


# What became of sending.


@dataclass(frozen=True)
class Done:
    """The reply is at its end; `error_code` tells why not all of it was sent."""

    entries: tuple[Entry, ...]
    error_code: str | None


@dataclass(frozen=True)
class Later:
    """The reply must come again."""

    code: str
    seconds: int
    gives_claim_back: bool
    """Nothing of it is in doubt, so the claim need not be waited out."""
    entries: tuple[Entry, ...] = ()
    """Of the parts that were sent before."""


@dataclass(frozen=True, repr=False)
class Plan:
    """What is sent, to whom, with which account."""

    channel: Channel
    last: Entry
    """The entry of the customer's last message: it tells the two addresses."""
    credential_ref: str
    secret: str
    parts: tuple[OutboundPart, ...]
    known_sids: frozenset[str]
    """The ids of the entries that the record holds already."""
    refusal: ReplyCode | None
    """Why nothing is to be shown to the provider that was not shown to it before; None: all may be."""


class Replying:
    """Sends replies, one at a time."""

    def __init__(
        self,
        *,
        senders: Mapping[str, Sender],
        channels: Mapping[str, Channel],
        credentials: CredentialCache,
        retriggering: Retriggering,
        clock: Clock,
        new_id: Callable[[], str],
        settings: Settings,
        refusals: Mapping[Vendor, Refusals],
    ) -> None:
        self._refusals = refusals
        self._senders = senders
        self._channels = channels
        self._credentials = credentials
        self._retriggering = retriggering
        self._clock = clock
        self._new_id = new_id
        self._settings = settings
        self._bounds = history.Bounds(settings.messages_keep, settings.messages_bytes_max, settings.dedupe_hours)
        self._has_warned = False

    def process(self, job: Job) -> None:
        """Send a reply, if it is to be sent, and end it.

        Raises:
            TryAgain, Misconfigured: this reply must come again; see `retry_later`.
        """
        if not self._settings.public_base_url and not self._has_warned:
            self._has_warned = True  # once per process: a setting that is missing, not a fault of this reply
            job.trail.log(Step.NO_CALLBACK, Level.WARNING, reason="PUBLIC_BASE_URL is not set")
        for _ in range(_LOOKS):
            if self._look_and_act(job):
                return
        raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing")

    def retry_later(self, job: Job, code: str, *, seconds: int = 0, longest: int = DELAY_SECONDS_MAX) -> None:
        """Send the reply to its own queue once more, later each time, and in the end to the dead-letter queue.

        Args:
            job: the reply.
            code: why.
            seconds: how long to wait at least.
            longest: how long to wait at most.

        Raises:
            TryAgain, Misconfigured: even that failed.
        """
        again = job.reply.again()
        if again.attempt > self._settings.reply_attempts_max:
            first = replace(job.reply, attempt=0)  # one that is redriven starts anew
            send_dead_letter(job.queues.dead_replies, first.message, tenant=job.tenant, reason=code, trail=job.trail)
            return
        send_later(
            job.queues,
            again.message,
            attempt=again.attempt,
            code=code,
            seconds=seconds,
            longest=longest,
            tenant=job.tenant,
            settings=self._settings,
            trail=job.trail,
        )

    def _look_and_act(self, job: Job) -> bool:
        """One look, and the one thing to do about it; False: look again."""
        conversation = self._load(job)
        if conversation is None:
            self._refuse(job, ReplyCode.NO_CONVERSATION, is_dead_lettered=True)
            return True
        job.trail.bind(tenant=conversation.tenant)
        if job.reply.source is Source.HUMAN:
            return self._reply_of_people(job, conversation)
        match self._judge(job.reply, conversation.record):
            case Refusal(code):
                self._refuse(job, code, is_dead_lettered=False)
                self._look_at_stage(job)
                return True
            case Ended():
                self._end_again(job, conversation)
                self._look_at_stage(job)
                return True
            case AtWork(seconds):
                self.retry_later(job, "AT_WORK", seconds=seconds)
                return True
            case Free():
                return self._claim_and_send(job, conversation, is_taken_over=False)
            case Orphaned():
                return self._claim_and_send(job, conversation, is_taken_over=True)

    def _load(self, job: Job) -> Conversation | None:
        item = lookup.load(
            job.tables.conversations,
            job.reply.conversation,
            self._settings.context_attributes,
            with_messages=True,
        )
        return Conversation.from_item(item) if item is not None else None

    def _judge(self, reply: Reply, record: Record) -> Judgement:
        """What the record says of an AI's reply; pure but for the clock."""
        if record.batch_id != reply.batch_id:
            return Refusal(ReplyCode.STALE)
        if record.claim is not None:
            if record.claim != reply.reply_id:
                return Refusal(ReplyCode.SECOND)
            patience = timedelta(seconds=self._settings.reconcile_after_seconds)
            left = patience - record.claim_age(self._clock.now())
            return Orphaned() if left <= timedelta(0) else AtWork(ceil(left.total_seconds()))
        if not record.unanswered_ids:
            if record.last_reply_id == reply.reply_id:
                return Ended()
            return Refusal(ReplyCode.STALE if record.status == Status.TIMEOUT else ReplyCode.SECOND)
        return Free()

    def _claim_and_send(self, job: Job, conversation: Conversation, *, is_taken_over: bool) -> bool:
        plan = self._plan(job, conversation)  # before the claim, for a secret that cannot be had leaves none behind
        record, now, table = conversation.record, self._clock.now(), job.tables.conversations
        if is_taken_over:
            outcome = reply_claim.take_over(table, record, token=job.token, now=now)
        else:
            outcome = reply_claim.claim(
                table,
                record,
                reply_id=job.reply.reply_id,
                token=job.token,
                shards=self._settings.lock_index_shards,
                now=now,
            )
        if not isinstance(outcome, Claim):
            job.trail.log(Step.CHANGED, Level.DEBUG)
            return False
        job.trail.log(Step.CLAIMED, outcome="taken over" if is_taken_over else "claimed")
        sent = plan if isinstance(plan, Done) else self._send(job, conversation, plan)
        if isinstance(sent, Done) and sent.error_code is None and record.unanswered:
            job.trail.count(Metric.RECEIPT_TO_REPLY, waited(record.unanswered, self._clock.now()).total_seconds())
        self._end(job, sent)
        return True

    def _end(self, job: Job, outcome: Done | Later) -> None:
        """Release the conversation, or see to it that the reply comes again."""
        reply, now = job.reply, self._clock.now()
        assert reply.batch_id is not None, "an AI's reply names its batch"
        match outcome:
            case Later(code, seconds, gives_claim_back, entries):
                if reply.attempt >= self._settings.reply_attempts_max:
                    self._end(job, Done(entries, code if gives_claim_back else ReplyCode.UNKNOWN_OUTCOME))
                    send_dead_letter(
                        job.queues.dead_replies, reply.message, tenant=job.tenant, reason=code, trail=job.trail
                    )
                    return
                self._keep_or_give_back(job, reply.batch_id, gives_claim_back=gives_claim_back, is_partly=bool(entries))
                # With its claim kept the reply has to come before its lock counts as stalled.
                longest = DELAY_SECONDS_MAX if gives_claim_back else self._settings.stall_timeout_seconds // 2
                self.retry_later(job, code, seconds=seconds, longest=longest)
            case Done(entries, error_code):
                released = reply_claim.release(
                    job.tables.conversations,
                    reply.conversation,
                    batch_id=reply.batch_id,
                    reply_id=reply.reply_id,
                    entries=entries,
                    error_code=error_code,
                    now=now,
                )
                if isinstance(released, Undelivered):
                    # The provider told of a refusal of a part while the others were being sent.
                    self._end(job, Done(entries, released.error_code))
                    return
                if isinstance(released, Lost):
                    # The sweep gave this reply up while it was being sent.
                    self._record_beside_lock(job, entries, is_whole=error_code is None)
                self._tell_end(job, entries, error_code)
                self._look_at_stage(job)

    def _keep_or_give_back(self, job: Job, batch_id: str, *, gives_claim_back: bool, is_partly: bool) -> None:
        table, key, now = job.tables.conversations, job.reply.conversation, self._clock.now()
        if gives_claim_back:
            reply_claim.unclaim(table, key, batch_id=batch_id, token=job.token, now=now)
        elif is_partly:
            reply_claim.pause(table, key, batch_id=batch_id, token=job.token, now=now)

    def _end_again(self, job: Job, conversation: Conversation) -> None:
        """The reply has ended, perhaps by the sweep, and whoever ended it may have died before telling."""
        code = conversation.record.error_code
        job.trail.log(Step.REPLY_ENDED, Level.DEBUG)
        if code == ReplyCode.UNKNOWN_OUTCOME:
            plan = self._plan(job, conversation)
            # With a refusal nothing new is sent: parts that were claimed are looked up, and what was sent is told.
            known = (
                plan
                if isinstance(plan, Done)
                else self._send(job, conversation, replace(plan, refusal=ReplyCode.UNKNOWN_OUTCOME))
            )
            self._record_beside_lock(job, known.entries, is_whole=isinstance(known, Done) and known.error_code is None)
            code = known.error_code if isinstance(known, Done) else code
        if code is not None:
            self._tell_end(job, (), code)

    def _record_beside_lock(self, job: Job, entries: Sequence[Entry], *, is_whole: bool) -> bool:
        """Record what was sent without the claim on the record, whoever holds the lock now; whether it was news."""
        for _ in range(_LOOKS):
            conversation = self._load(job)
            known = conversation.record.entry_ids if conversation else frozenset()
            missing = [entry for entry in entries if entry_id(entry) not in known]
            if conversation is None or not missing:
                return False
            recorded = reply_claim.record_late(
                job.tables.conversations,
                conversation.record,
                reply_id=job.reply.reply_id,
                entries=missing,
                is_whole=is_whole,
                now=self._clock.now(),
            )
            if isinstance(recorded, Released):
                return True
        raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing")

    def _reply_of_people(self, job: Job, conversation: Conversation) -> bool:
        """Send a reply of people, once per reply id, whoever holds the lock."""
        if history.room_bytes(conversation.record) < 0 and self._make_room(job, conversation.record):
            return False
        plan = self._plan(job, conversation)
        match plan if isinstance(plan, Done) else self._send(job, conversation, plan):
            case Later(code, seconds, entries=entries):
                self._record_beside_lock(job, entries, is_whole=False)
                self.retry_later(job, code, seconds=seconds)
                return True
            case Done(entries, error_code):
                if self._record_beside_lock(job, entries, is_whole=error_code is None) or error_code is not None:
                    self._tell_end(job, entries, error_code)
                else:
                    job.trail.log(Step.REPLY_ENDED, Level.DEBUG)
                return True

    def _make_room(self, job: Job, record: Record) -> bool:
        """Move old entries off a record that only people write to: no batch does it. Whether there were any."""
        tables, now = job.tables, self._clock.now()
        count = history.trim(tables.conversations, tables.history, record, self._bounds, now=now)
        if count:
            job.trail.log(Step.MOVED_HISTORY, Level.DEBUG, count=count)
        return count > 0

    def _plan(self, job: Job, conversation: Conversation) -> Plan | Done:
        """What is to be sent, to whom; an end where that cannot even be told."""
        recipient = _recipient(job.reply, conversation.record, self._channels)
        if recipient is None:
            return Done((), ReplyCode.NO_RECIPIENT)
        channel, last = recipient
        job.trail.bind(channel=channel.name)
        ref = conversation.credential_ref(channel.name)
        if ref is None:
            return Done((), Code.MISSING_CREDENTIAL_CONFIG)
        return Plan(
            channel=channel,
            last=last,
            credential_ref=ref,
            secret=self._credentials.get(ref, job.deadline),
            parts=self._parts(job.reply, conversation, channel, last),
            known_sids=conversation.record.entry_ids,
            refusal=self._refused_here(job.reply, conversation, channel, last),
        )

    def _send(self, job: Job, conversation: Conversation, plan: Plan) -> Done | Later:
        """Send each part that was not sent yet, in order; stop at the first that is not."""
        entries: list[Entry] = []
        for number, wanted in enumerate(plan.parts, start=1):
            part = Part(
                send_id=self._send_id(job.reply, number),
                conversation=conversation.key,
                tenant=conversation.tenant,
                channel=plan.channel.name,
                credential_ref=plan.credential_ref,
                reply_id=job.reply.reply_id,
                batch_id=job.reply.batch_id,
                number=number,
                count=len(plan.parts),
                entry=_entry(job.reply, plan, wanted, self._senders[plan.channel.name].extras(wanted), self._clock),
            )
            outcome = self._send_part(job, part, wanted, plan)
            match outcome:
                case Sent(sid):
                    entries.append(sends.outbound(replace(part, provider_sid=sid)))
                case Later():
                    # Once a part was sent the claim is kept, for no other reply may follow half of this one.
                    gives_back = outcome.gives_claim_back and not entries
                    return replace(outcome, gives_claim_back=gives_back, entries=tuple(entries))
                case code:
                    return Done(tuple(entries), code)
        return Done(tuple(entries), None)

    def _send_part(self, job: Job, part: Part, wanted: OutboundPart, plan: Plan) -> Sent | Later | str:
        """Send one part, unless it was sent or is in doubt: then learn what became of it. A text is an error's code."""
        table, now = job.tables.sends, self._clock.now()
        if plan.refusal is not None or job.deadline.has_passed:
            before = sends.find(table, part.send_id)
            if before is None:
                return plan.refusal or Later("NO_TIME_LEFT", 0, gives_claim_back=True)
            found = before
        else:
            found = sends.claim(table, part, token=job.token, now=now, ttl_hours=self._settings.sends_ttl_hours)
        match found.state:
            case State.SENT:
                return Sent(found.provider_sid or part.send_id)
            case State.REFUSED:
                code = found.error_code or "REFUSED"
                if self._is_opt_out(plan.channel.vendor, code):
                    self._mark_opted_out(job, plan.channel.name)  # whoever was told so may have died before marking it
                return code
            case State.CLAIMED if found.token == job.token:
                return self._send_once(job, part, wanted, plan)
            case State.CLAIMED | State.UNKNOWN:
                return self._reconcile(job, found, wanted, plan)

    def _is_opt_out(self, vendor: Vendor, code: str) -> bool:
        return vendor in self._refusals and code == self._refusals[vendor].opted_out

    def _send_once(self, job: Job, part: Part, wanted: OutboundPart, plan: Plan) -> Sent | Later | str:
        table = job.tables.sends
        try:
            outcome = self._senders[plan.channel.name].send(wanted, plan.secret)
        except Misconfigured as fault:
            # A secret that cannot send: nothing was, and the reply waits for whoever mends it.
            sends.give_back(table, part, token=job.token)
            job.trail.fault(Step.FAILED, fault, count=part.number)
            job.trail.count(Metric.SECRET_FAILURE, outcome=fault.code.value)
            return Later(fault.code.value, 0, gives_claim_back=True)
        match outcome:
            case Sent(sid) as sent:
                sends.conclude(table, part, State.SENT, sid=sid)
                job.trail.log(Step.SENT, message_sid=sid, count=part.number)
                job.trail.count(Metric.REPLY_SENT)
                return sent
            case PermanentFailure(code, is_opt_out):
                sends.conclude(table, part, State.REFUSED, error_code=code)
                if is_opt_out:
                    self._mark_opted_out(job, plan.channel.name)
                return code
            case TemporaryFailure(code, after_seconds):
                sends.give_back(table, part, token=job.token)
                return Later(code, after_seconds, gives_claim_back=True)
            case InDoubt():
                sends.conclude(table, part, State.UNKNOWN)
                job.trail.log(Step.IN_DOUBT, Level.WARNING, count=part.number)
                return Later("IN_DOUBT", self._settings.reconcile_after_seconds, gives_claim_back=False)

    def _reconcile(self, job: Job, found: Part, wanted: OutboundPart, plan: Plan) -> Sent | Later | str:
        """A part that was claimed and never concluded: ask the provider, and never send it again."""
        left = timedelta(seconds=self._settings.reconcile_after_seconds) - found.age(self._clock.now())
        if left > timedelta(0):
            return Later("IN_DOUBT", ceil(left.total_seconds()), gives_claim_back=False)
        # What the record or another part's row knows of is no proof of this one, though it may say the same.
        taken = self._sids_of_other_parts(job, found) | plan.known_sids
        listed = self._senders[plan.channel.name].find(wanted, plan.secret, since=from_iso(found.claimed_at))
        sids = [sid for sid in listed if sid not in taken]
        if not sids:
            sends.conclude(job.tables.sends, found, State.REFUSED, error_code=ReplyCode.UNKNOWN_OUTCOME)
            return ReplyCode.UNKNOWN_OUTCOME
        sends.conclude(job.tables.sends, found, State.SENT, sid=sids[-1])
        job.trail.log(Step.RECONCILED, Level.WARNING, message_sid=sids[-1], count=found.number)
        return Sent(sids[-1])

    def _sids_of_other_parts(self, job: Job, found: Part) -> frozenset[str]:
        """The provider's ids of the parts before this one, which may say the same."""
        others = (sends.find(job.tables.sends, self._send_id(job.reply, one)) for one in range(1, found.number))
        return frozenset(one.provider_sid for one in others if one and one.provider_sid)

    def _refused_here(
        self, reply: Reply, conversation: Conversation, channel: Channel, last: Entry
    ) -> ReplyCode | None:
        """Why a reply is not even shown to the provider."""
        if conversation.is_opted_out_of(channel.name):
            return ReplyCode.OPTED_OUT
        if channel.free_text_hours is None or reply.content_sid is not None:
            return None
        silent = self._clock.now() - from_iso(last["timestamp"])
        return ReplyCode.OUTSIDE_WINDOW if silent > timedelta(hours=channel.free_text_hours) else None

    def _parts(
        self, reply: Reply, conversation: Conversation, channel: Channel, last: Entry
    ) -> tuple[OutboundPart, ...]:
        """The messages that a reply becomes; a template is the first of them."""
        is_template = reply.content_sid is not None
        contents = parts_of(reply.body, reply.media_urls, channel.part_limits, is_template=is_template)
        return tuple(
            OutboundPart(
                send_id=self._send_id(reply, number),
                to=channel.address_prefix + last["metadata"]["sender"],
                sender=channel.address_prefix + last["metadata"]["recipient"],
                messaging_service_sid=conversation.messaging_service_sid(channel.name),
                body=content.body,
                content_sid=reply.content_sid if number == 1 else None,
                content_variables=reply.content_variables if number == 1 else {},
                media_urls=content.media_urls,
                status_callback=self._status_callback(channel.vendor, self._send_id(reply, number)),
                answers=_texts(last.get("extras")),
                is_automatic=reply.source is Source.AI,
            )
            for number, content in enumerate(contents, start=1)
        )

    def _status_callback(self, vendor: Vendor, send_id: str) -> str | None:
        """Where the provider tells what becomes of a part; None: it is not asked to, or we have no public address."""
        base, path = self._settings.public_base_url, vendor.report_path
        return f"{base}{path}{send_id}" if base and path else None

    def _send_id(self, reply: Reply, number: int) -> str:
        return sends.send_id(reply.conversation, reply.reply_id, reply.batch_id, number)

    def _refuse(self, job: Job, code: ReplyCode, *, is_dead_lettered: bool) -> None:
        if is_dead_lettered:
            send_dead_letter(
                job.queues.dead_replies, job.reply.message, tenant=job.tenant, reason=code, trail=job.trail
            )
        job.trail.log(Step.REPLY_REFUSED, Level.WARNING, code=code)
        job.trail.count(Metric.REPLY_REFUSED, outcome=code)

    def _tell_end(self, job: Job, entries: Sequence[Entry], error_code: str | None) -> None:
        is_unknown = error_code == ReplyCode.UNKNOWN_OUTCOME
        level = Level.ERROR if is_unknown else Level.WARNING if error_code else Level.INFO
        job.trail.log(Step.RELEASED, level, code=error_code or "none", count=len(entries))
        if error_code is not None:
            job.trail.count(Metric.REPLY_UNKNOWN if is_unknown else Metric.REPLY_REFUSED, outcome=error_code)

    def _mark_opted_out(self, job: Job, channel: str) -> None:
        mark_opted_out(job.tables, job.reply.conversation, channel, self._clock, self._settings.context_attributes)

    def _look_at_stage(self, job: Job) -> None:
        self._retriggering.look(job.tables, job.queues, job.reply.conversation, job.trail)


def _recipient(reply: Reply, record: Record, channels: Mapping[str, Channel]) -> tuple[Channel, Entry] | None:
    """The channel and the entry of the message that is answered: that is whom a reply goes to, and from which number.

    The AI answers the last message of its batch, people the customer's last.
    """
    batch = record.unanswered if reply.source is Source.AI else ()
    for entry in reversed(batch or record.entries or ()):
        if isinstance(entry, Mapping) and entry.get("direction") == "INBOUND":
            channel, metadata = channels.get(entry.get("channel_type", "")), entry.get("metadata")
            if channel is not None and isinstance(metadata, Mapping) and {"sender", "recipient"} <= metadata.keys():
                return channel, entry
    return None


def _texts(extras: object) -> Mapping[str, str]:
    """The extras of an entry, as far as the company has left them as they were."""
    if not isinstance(extras, Mapping):
        return {}
    return {name: value for name, value in extras.items() if isinstance(name, str) and isinstance(value, str)}


def _entry(reply: Reply, plan: Plan, part: OutboundPart, extras: Mapping[str, str], clock: Clock) -> dict[str, Any]:
    """The OUTBOUND entry of a part, but for the provider's id."""
    return {
        "direction": "OUTBOUND",
        "content": part.body,
        "timestamp": iso(clock.now()),
        "channel_type": plan.channel.name,
        "metadata": {
            "sender": plan.last["metadata"]["recipient"],
            "recipient": plan.last["metadata"]["sender"],
        },
        "source": reply.source.value,
        "send_id": part.send_id,
        **({"batch_id": reply.batch_id} if reply.batch_id is not None else {}),
        **({"media": [{"url": url} for url in part.media_urls]} if part.media_urls else {}),
        **({"content_sid": part.content_sid} if part.content_sid is not None else {}),
        **({"extras": dict(extras)} if extras else {}),
    }
