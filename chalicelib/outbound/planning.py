"""Planning: the messages of a reply, their recipient and the account that sends them.

The AI answers the last message of its batch, people answer the customer's last. Once a part has a row, the row's plan
applies: its channel, addresses and split stay the same, even if the customer writes more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chalicelib.channels.channel import Channel
from chalicelib.channels.credentials import CredentialCache
from chalicelib.channels.sender import OutboundPart, Sender
from chalicelib.clock import Clock, from_iso, iso
from chalicelib.conversations.binding import is_own_secret
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.policies import Policies
from chalicelib.errors import Code, ReplyCode
from chalicelib.messages.extras import threading_of
from chalicelib.messages.parts import parts_of
from chalicelib.messages.replies import Reply, Source
from chalicelib.outbound.job import Done, Entry, Job
from chalicelib.protocol import send_rows, sends
from chalicelib.protocol.entries import entry_id
from chalicelib.protocol.record import Record
from chalicelib.protocol.send_rows import SEND_ID, Part
from chalicelib.settings import Settings


@dataclass(frozen=True, repr=False)
class Plan:
    """The messages to send, their recipient and the account that sends them."""

    channel: Channel
    last: Entry
    """The entry of the message that is answered: it tells the two addresses."""
    credential_ref: str
    secret: str
    parts: tuple[OutboundPart, ...]
    known_sids: frozenset[str]
    """The ids of the entries that the record holds already."""
    is_begun: bool
    """An earlier try may have sent the first part."""
    refusal: ReplyCode | None
    """Why nothing is shown to the provider that was not shown to it before; None: all may be."""
    answered_ids: tuple[str, ...] = ()
    """The messages that the reply answers."""
    resends: Part | None = None
    """The part that was not delivered, and that this plan repeats."""


@dataclass(frozen=True, kw_only=True)
class Planning:
    """Plans replies."""

    senders: Mapping[str, Sender]
    channels: Mapping[str, Channel]
    credentials: CredentialCache
    policies: Policies
    clock: Clock
    settings: Settings

    def plan(self, job: Job, conversation: Conversation, first: Part | None) -> Plan | Done:
        """What is sent and its recipient; an end where these cannot be determined.

        Args:
            job: the reply.
            conversation: as read, with its entries.
            first: the row of the reply's first part; None: it has none.

        Raises:
            TryAgain, Misconfigured: the secret could not be fetched.
        """
        recipient = self._recipient(job.reply, conversation, first)
        if recipient is None:
            return Done((), ReplyCode.NO_RECIPIENT)
        channel, last = recipient
        job.trail.bind(channel=channel.name)
        ref = self._own_secret(conversation, channel)
        if ref is None:
            return Done((), Code.MISSING_CREDENTIAL_CONFIG)
        parts = self._parts(job, conversation, channel, last)
        if first is not None and first.count != len(parts):
            return Done((), ReplyCode.PARTS_CHANGED)
        return Plan(
            channel=channel,
            last=last,
            credential_ref=ref,
            secret=self.credentials.get(ref, job.deadline),
            parts=parts,
            known_sids=conversation.record.entry_ids,
            is_begun=first is not None and first.token not in job.reply.unsent_claims,
            refusal=self._refusal(job.reply, conversation, channel, last),
            answered_ids=_answered_ids(job.reply, conversation.record),
        )

    def resend(self, job: Job, conversation: Conversation, part: Part) -> Plan | Done:
        """The plan that sends a part once more which the provider took and could not deliver.

        Args:
            job: the reply that the part belongs to.
            conversation: as read, with its entries.
            part: as its row has it.

        Raises:
            TryAgain, Misconfigured: the secret could not be fetched.
        """
        recipient = self._recipient_of_row(conversation.record, part)
        if recipient is None:
            return Done((), ReplyCode.NO_RECIPIENT)
        channel, last = recipient
        ref = self._own_secret(conversation, channel)
        if ref is None:
            return Done((), Code.MISSING_CREDENTIAL_CONFIG)
        send_id, metadata = send_rows.resend_id(part.send_id), part.entry["metadata"]
        wanted = OutboundPart(
            send_id=send_id,
            to=channel.address_prefix + metadata["recipient"],
            sender=channel.address_prefix + metadata["sender"],
            messaging_service_sid=conversation.messaging_service_sid(channel.name),
            body=part.entry["content"],
            content_sid=part.entry.get("content_sid"),
            content_variables=part.content_variables,
            media_urls=tuple(one["url"] for one in part.entry.get("media", ())),
            status_callback=self._status_callback(job, conversation, channel, send_id),
            answers=threading_of(_texts(last.get("extras"))),
            is_automatic=job.reply.source is Source.AI,
        )
        return Plan(
            channel=channel,
            last=last,
            credential_ref=ref,
            secret=self.credentials.get(ref, job.deadline),
            parts=(wanted,),
            known_sids=conversation.record.entry_ids,
            is_begun=True,
            refusal=self._refusal(job.reply, conversation, channel, last),
            answered_ids=part.answered_ids,
            resends=part,
        )

    def entry(self, reply: Reply, plan: Plan, part: OutboundPart) -> dict[str, Any]:
        """The OUTBOUND entry of a part, but for the provider's id."""
        extras = self.senders[plan.channel.name].extras(part)
        return {
            "direction": "OUTBOUND",
            "content": part.body,
            "timestamp": iso(self.clock.now()),
            "channel_type": plan.channel.name,
            "metadata": {
                "sender": plan.last["metadata"]["recipient"],
                "recipient": plan.last["metadata"]["sender"],
            },
            "source": reply.source.value,
            SEND_ID: part.send_id,
            **({"batch_id": reply.batch_id} if reply.batch_id is not None else {}),
            **({"media": [{"url": url} for url in part.media_urls]} if part.media_urls else {}),
            **({"content_sid": part.content_sid} if part.content_sid is not None else {}),
            **({"extras": dict(extras)} if extras else {}),
        }

    def _recipient(self, reply: Reply, conversation: Conversation, first: Part | None) -> tuple[Channel, Entry] | None:
        """The channel and the entry of the message that is answered: the last one whose channel is not opted out of.

        Where the customer opted out of all of them it is the last one, and the reply is refused.
        """
        record = conversation.record
        if first is not None:
            return self._recipient_of_row(record, first)
        batch = record.unanswered if reply.source is Source.AI else ()
        entries = [*reversed(batch or record.entries or ())]
        answerable = [(channel, one) for one in entries if (channel := self._answerable(one)) is not None]
        is_open = [one for one in answerable if not conversation.is_opted_out_of(one[0].name)]
        return next(iter(is_open or answerable), None)

    def _recipient_of_row(self, record: Record, first: Part) -> tuple[Channel, Entry] | None:
        """The same, as the row of the first part has it; the customer may have written by another channel since."""
        channel = self.channels.get(first.channel)
        if channel is None:
            return None
        metadata = {"sender": first.entry["metadata"]["recipient"], "recipient": first.entry["metadata"]["sender"]}
        for entry in reversed(record.entries or ()):
            if self._answerable(entry) is channel and dict(entry["metadata"]) == metadata:
                return channel, entry
        return channel, {"metadata": metadata, "timestamp": first.claimed_at}  # the company took it off since

    def _answerable(self, entry: object) -> Channel | None:
        """The channel of an entry that can be answered; None: it cannot."""
        if not isinstance(entry, Mapping) or entry.get("direction") != "INBOUND":
            return None
        metadata = entry.get("metadata")
        is_addressed = isinstance(metadata, Mapping) and {"sender", "recipient"} <= metadata.keys()
        return self.channels.get(entry.get("channel_type", "")) if is_addressed else None

    def _refusal(self, reply: Reply, conversation: Conversation, channel: Channel, last: Entry) -> ReplyCode | None:
        """Why a reply is not even shown to the provider."""
        if conversation.is_opted_out_of(channel.name):
            return ReplyCode.OPTED_OUT
        if channel.free_text_hours is None or all(one.content_sid is not None for one in reply.contents):
            return None
        silent = self.clock.now() - from_iso(last["timestamp"])
        return ReplyCode.OUTSIDE_WINDOW if silent > timedelta(hours=channel.free_text_hours) else None

    def _own_secret(self, conversation: Conversation, channel: Channel) -> str | None:
        """The name of the secret that sends; None: the row names none, or another company's."""
        ref = conversation.credential_ref(channel.name)
        is_own = ref is not None and is_own_secret(self.settings.credential_ref_pattern, ref, conversation.tenant)
        return ref if is_own else None

    def _parts(self, job: Job, conversation: Conversation, channel: Channel, last: Entry) -> tuple[OutboundPart, ...]:
        """The messages that a reply becomes; in the order of its contents."""
        reply = job.reply
        made = parts_of(reply.contents, channel.part_limits)
        return tuple(
            OutboundPart(
                send_id=send_id_of(reply, number),
                to=channel.address_prefix + last["metadata"]["sender"],
                sender=channel.address_prefix + last["metadata"]["recipient"],
                messaging_service_sid=conversation.messaging_service_sid(channel.name),
                body=part.body,
                content_sid=part.content_sid,
                content_variables=part.content_variables,
                media_urls=part.media_urls,
                status_callback=self._status_callback(job, conversation, channel, send_id_of(reply, number)),
                answers=threading_of(_texts(last.get("extras"))),
                is_automatic=reply.source is Source.AI,
            )
            for number, part in enumerate(made, start=1)
        )

    def _status_callback(self, job: Job, conversation: Conversation, channel: Channel, send_id: str) -> str | None:
        """Where the provider reports on a part; None: it is not asked to, or we have no public address."""
        base, path = self.settings.public_base_url, channel.vendor.report_path
        if not base or not path or not self.policies.of(conversation, channel.name, job.trail).status_callbacks:
            return None
        return f"{base}{path}{send_id}"


def first_part(job: Job) -> Part | None:
    """The row of the reply's first part; None: nothing of it was ever tried."""
    return sends.find(job.tables.sends, send_id_of(job.reply, 1))


def send_id_of(reply: Reply, number: int) -> str:
    """Our id of a part of a reply."""
    return send_rows.send_id(reply.conversation, reply.reply_id, reply.batch_id, number)


def _answered_ids(reply: Reply, record: Record) -> tuple[str, ...]:
    """The messages that a reply of the AI answers: all that is unanswered, or where its batch has ended what that took.

    What an earlier batch left to a batch that has ended is known no more.
    """
    if reply.source is not Source.AI:
        return ()
    entries = [one for one in record.entries or () if isinstance(one, Mapping) and one.get("direction") == "INBOUND"]
    taken = [entry_id(one) for one in entries if one.get("batch_id") == reply.batch_id]
    return record.unanswered_ids or tuple(one for one in taken if one is not None)


def _texts(extras: object) -> Mapping[str, str]:
    """The extras of an entry, as far as the company has left them as they were."""
    if not isinstance(extras, Mapping):
        return {}
    return {name: value for name, value in extras.items() if isinstance(name, str) and isinstance(value, str)}
