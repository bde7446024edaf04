"""The policy for a sender without an active conversation: a text from time to time, or silence.

Only senders that the company's own provider vouches for get a text. The text is the policy `unknown_sender_text`, read
from the index row that proves the provider; an empty text means silence. If the provider takes a text in the answer to
its webhook, the answer carries it. Otherwise the function that sends receives a request for a fallback message.

Guarantee: no fault here changes the answer's code, because the text is not worth a retry of the webhook. If the sender
gets no text, that is logged and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chalicelib.channels.channel import Channel
from chalicelib.clock import Clock
from chalicelib.conversations.lookup import Found, require_credential_ref
from chalicelib.conversations.opt_out import opt_out_request
from chalicelib.conversations.policies import Policies
from chalicelib.conversations.policy_kinds import TEXT_LENGTH_MAX
from chalicelib.errors import Code, Misconfigured, TryAgain
from chalicelib.messages import splitting
from chalicelib.messages.extras import threading_of
from chalicelib.messages.inbound import AddressKind, InboundMessage
from chalicelib.ports.queues import Queues, fair_group
from chalicelib.ports.tables import Tables
from chalicelib.protocol import unknown_senders
from chalicelib.protocol.fallbacks import Fallback, Pair
from chalicelib.protocol.unknown_senders import AlreadyNotified, Capped, MayNotify
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail

_THREADING_BYTES_MAX = 4_096
"""Of what the row keeps of the sender's message; what does not fit is left out whole."""


_CAPS_MAX = 1_000
"""How many addresses a process remembers to have reached their cap."""


class Notification(StrEnum):
    """Whether an unknown sender hears of it."""

    SENT = "sent"
    """By the answer; or a fallback message is on its way."""
    SILENT = "silent"
    """The company wants nothing told, or this message is none that is answered."""
    SENT_BEFORE = "sent_before"
    CAPPED = "capped"
    """The company's address has sent as many texts within this hour as it may."""
    FAILED = "failed"
    """They should have been told, and were not for certain."""


@dataclass(frozen=True, eq=False, repr=False)
class UnknownSenderPolicy:
    """Turns unknown senders away."""

    policies: Policies
    clock: Clock
    settings: Settings
    _caps: dict[str, tuple[datetime, int]] = field(default_factory=dict, init=False)
    """By the company's address, the hour and the cap that were found reached: no call is made again until then."""

    def respond(
        self,
        tables: Tables,
        queues: Queues,
        channel: Channel,
        found: Found,
        message: InboundMessage,
        trail: Trail,
        *,
        is_opted_out: bool = False,
    ) -> str:
        """What the answer to the webhook tells the sender; empty: nothing.

        Args:
            tables: within the webhook's deadline.
            queues: within the webhook's deadline.
            channel: of the message.
            found: the result of the look-up.
            message: proven.
            trail: of the webhook.
            is_opted_out: the conversation that the sender once had says that they want no messages.
        """
        is_silent = is_opted_out or _is_machine(channel, message)
        text = "" if is_silent else self._text(channel, found, message, trail)
        told = Notification.SILENT
        if text:
            messages_max = self.policies.of(found, channel.name, trail).unknown_sender_messages_per_hour
            try:
                told = self._tell_within_cap(tables, queues, channel, found, message, text, messages_max)
            except (TryAgain, Misconfigured) as fault:
                level = Level.ERROR if isinstance(fault, Misconfigured) else Level.WARNING
                trail.fault(Step.FAILED, fault, level)
                trail.count(Metric.FAULT, outcome=fault.code.value)
                told = Notification.FAILED
        trail.log(Step.REFUSED, code=code_of(channel, message).value, outcome=told.value)
        trail.count(Metric.UNKNOWN_SENDER, outcome=told.value)
        return text if told is Notification.SENT and channel.vendor.answer_style.carries_text else ""

    def _text(self, channel: Channel, found: Found, message: InboundMessage, trail: Trail) -> str:
        # Whether they are opted out only the provider knows. To a keyword it has given an answer of its own.
        if not message.may_be_notified or opt_out_request(message, is_opted_out=True):
            return ""
        text = self.policies.of(found, channel.name, trail).unknown_sender_text
        return splitting.split(text.strip(), TEXT_LENGTH_MAX)[0]

    def _tell_within_cap(
        self,
        tables: Tables,
        queues: Queues,
        channel: Channel,
        found: Found,
        message: InboundMessage,
        text: str,
        messages_max: int,
    ) -> Notification:
        address, hour = message.recipient.value, self.clock.now().replace(minute=0, second=0, microsecond=0)
        if messages_max == 0 or self._caps.get(address) == (hour, messages_max):
            return Notification.CAPPED
        told = self._tell(tables, queues, channel, found, message, text, messages_max)
        if told is Notification.CAPPED:
            if len(self._caps) >= _CAPS_MAX:
                self._caps.clear()
            self._caps[address] = hour, messages_max
        return told

    def _tell(
        self,
        tables: Tables,
        queues: Queues,
        channel: Channel,
        found: Found,
        message: InboundMessage,
        text: str,
        messages_max: int,
    ) -> Notification:
        pair = Pair(message.recipient.value, message.sender.value)
        now, hours = self.clock.now(), self.settings.unknown_sender_hours
        if channel.vendor.answer_style.carries_text:
            outcome = unknown_senders.note_sender(
                tables.unknown_senders,
                pair,
                message_sid=message.message_sid,
                now=now,
                hours=hours,
                messages_max=messages_max,
            )
        else:
            outcome = unknown_senders.request_fallback(
                tables.unknown_senders,
                queues.replies,
                pair,
                Fallback(
                    tenant=found.tenant,
                    channel=channel.name,
                    credential_ref=require_credential_ref(found, channel),
                    text=text,
                    answers=_threading(message.extras),
                ),
                message_sid=message.message_sid,
                now=now,
                hours=hours,
                messages_max=messages_max,
                group=fair_group(found.tenant),
            )
        match outcome:
            case MayNotify():
                return Notification.SENT
            case AlreadyNotified():
                return Notification.SENT_BEFORE
            case Capped():
                return Notification.CAPPED


def code_of(channel: Channel, message: InboundMessage) -> Code:
    """By which code a message is refused whose sender has no conversation.

    A user without a phone number has one of its own: their number may be known, and their id not yet on any row.
    """
    has_number = message.sender.is_number or channel.address_kind is not AddressKind.PHONE
    is_user_without_number = not has_number and not channel.notifies_numbers_only
    return Code.SENDER_WITHOUT_NUMBER if is_user_without_number else Code.CONVERSATION_NOT_FOUND


def _is_machine(channel: Channel, message: InboundMessage) -> bool:
    """Whether the sender is a short code or a name, behind which nobody reads an answer."""
    return channel.notifies_numbers_only and not message.sender.is_number


def _threading(extras: Mapping[str, str]) -> dict[str, str]:
    """The extras by which the text is put into the sender's thread, within a bound."""
    kept: dict[str, str] = {}
    room = _THREADING_BYTES_MAX
    for name, value in threading_of(extras).items():
        size = len(value.encode())
        if 0 < size <= room:
            kept[name] = value
            room -= size
    return kept
