"""Where a message goes: to the AI by its channel's batches, to people, or nowhere by a rule; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from chalicelib.channels.email.authentication import Verdict
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.policies import PolicyOf
from chalicelib.conversations.rules import validate_conversation_rules
from chalicelib.conversations.staged_contexts import extras_of_entry
from chalicelib.errors import Code, Misconfigured
from chalicelib.messages.extras import AUTHENTICATION
from chalicelib.messages.inbound import Address, AddressKind
from chalicelib.messages.phone_numbers import all_spellings, bare
from chalicelib.protocol.answers import recent_answers
from chalicelib.protocol.entries import MESSAGE_ID

ANSWERED_BY_MACHINES: Final = frozenset({AddressKind.EMAIL})
"""Addresses where a machine may answer our answers, and does not say that it is one."""


_UNAUTHENTICATED: Final = {Verdict.FAIL.value: "failed", Verdict.NONE.value: "none"}
"""The keys of the policy `unauthenticated_email`, by verdict."""


class Route(StrEnum):
    """Who answers a message."""

    CHANNEL = "channel"
    """The AI, by the batches of its channel."""
    HANDOFF = "handoff"
    """People."""


class HandoffReason(StrEnum):
    """Why the routing sends a message to people; their context has it."""

    CONVERSATION = "conversation_queued_for_people"
    """`auto_queue_reply_message`."""
    SENDER = "sender_listed"
    FLAG = "hand_off_to_human"
    SENDER_NOT_AUTHENTICATED = "sender_not_authenticated"
    """The policy `unauthenticated_email`."""
    ANSWERS = "automatic_answers_per_hour"
    HANDED_OFF = "handed_off"
    """The AI, a stall, an undelivered reply or an operator handed the conversation to people, who have it still."""


@dataclass(frozen=True)
class Refusal:
    """Nobody answers: the conversation's rules refuse the message."""

    code: Code


Destination = Route | Refusal


@dataclass(frozen=True)
class Routing:
    """What the routing of a conversation's messages depends on, beside the conversation itself."""

    handoff_flag_routes: bool
    """Whether the flag `hand_off_to_human` routes to people."""
    policy_of: PolicyOf
    now: datetime


def destination(
    conversation: Conversation, channel: str, sender: str, extras: Mapping[str, object], routing: Routing
) -> Destination:
    """What the rules and the routing say now of a message.

    Args:
        conversation: as read.
        channel: the name of the message's channel.
        sender: the address that it came from.
        extras: of the message.
        routing: the rest.

    Raises:
        Misconfigured: `ROUTING_ERROR`; the list of senders is no list of texts.
    """
    refused = validate_conversation_rules(conversation, channel, lock_matters=False)
    if refused is not None:
        return Refusal(refused)
    address = Address.from_text(sender)
    if unauthenticated_action(address, extras, channel, routing.policy_of) == "refuse":
        return Refusal(Code.SENDER_NOT_AUTHENTICATED)
    return determine_target_queue(conversation, channel, address, extras, routing)


def determine_target_queue(
    conversation: Conversation, channel: str, sender: Address, extras: Mapping[str, object], routing: Routing
) -> Route:
    """The route of a message from `sender`.

    Raises:
        Misconfigured: `ROUTING_ERROR`; the list is no list of texts.
    """
    reason = handoff_reason(conversation, channel, sender, extras, routing)
    return Route.CHANNEL if reason is None else Route.HANDOFF


def handoff_reason(
    conversation: Conversation, channel: str, sender: Address, extras: Mapping[str, object], routing: Routing
) -> HandoffReason | None:
    """Why people get a message from `sender`; None: the AI gets it.

    People get it while a handoff stands, and where the conversation queues every reply for them, where the sender is on
    the list for its kind of address, or, if `handoff_flag_routes`, where the conversation is flagged as handed off to a
    human. They also get an e-mail whose sender is not authenticated, where the policy `unauthenticated_email` says so,
    and an e-mail once the AI has given as many answers within the last hour as the policy `automatic_answers_per_hour`
    allows: two machines would answer each other without end.

    Raises:
        Misconfigured: `ROUTING_ERROR`; the list is no list of texts.
    """
    if conversation.record.handed_off_by is not None:
        return HandoffReason.HANDED_OFF
    if conversation.auto_queue_reply_message:
        return HandoffReason.CONVERSATION
    if _is_listed(conversation, sender):
        return HandoffReason.SENDER
    if routing.handoff_flag_routes and conversation.hand_off_to_human:
        return HandoffReason.FLAG
    if unauthenticated_action(sender, extras, channel, routing.policy_of) == "handoff":
        return HandoffReason.SENDER_NOT_AUTHENTICATED
    if has_answered_enough(conversation, channel, sender, routing):
        return HandoffReason.ANSWERS
    return None


def handoff_reasons(
    conversation: Conversation, entries: Sequence[Mapping[str, Any]], routing: Routing
) -> Mapping[str, HandoffReason]:
    """By message id, why people get these entries of the record; one that the routing would not send is left out.

    Raises:
        Misconfigured: `ROUTING_ERROR`; the list of senders is no list of texts.
    """
    reasons = {
        one[MESSAGE_ID]: handoff_reason(
            conversation,
            one["channel_type"],
            Address.from_text(one["metadata"]["sender"]),
            extras_of_entry(one),
            routing,
        )
        for one in entries
    }
    return {message_id: reason for message_id, reason in reasons.items() if reason is not None}


def unauthenticated_action(sender: Address, extras: Mapping[str, object], channel: str, policy_of: PolicyOf) -> str:
    """What the policy says of a message by its sender's authentication: `handoff`, `keep` or `refuse`.

    `keep` for every other kind of address: the provider vouches for a number.
    """
    key = _UNAUTHENTICATED.get(str(extras.get(AUTHENTICATION, "")))
    if sender.kind is not AddressKind.EMAIL or key is None:
        return "keep"
    return policy_of(channel).unauthenticated_email[key]


def has_answered_enough(conversation: Conversation, channel: str, sender: Address, routing: Routing) -> bool:
    """Whether the AI has given as many answers within the last hour as the policy allows to such an address."""
    if sender.kind not in ANSWERED_BY_MACHINES:
        return False
    answers_max = routing.policy_of(channel).automatic_answers_per_hour
    return len(recent_answers(conversation.record, now=routing.now)) >= answers_max


def _is_listed(conversation: Conversation, sender: Address) -> bool:
    """Whether the sender is on the list for its kind of address, however the company wrote the address."""
    listed = conversation.auto_queue_senders.get(sender.kind)
    if listed is None:
        return False
    texts = [listed] if isinstance(listed, str) else listed
    if not isinstance(texts, list | set | tuple) or not all(isinstance(text, str) for text in texts):
        raise Misconfigured(Code.ROUTING_ERROR, f"the auto-queue list for {sender.kind} addresses is no list of texts")
    if sender.kind is not AddressKind.PHONE:
        # A customer's own address has no colon: whatever stands before one is a channel's prefix.
        return sender.value.lower() in {text.rpartition(":")[2].replace(" ", "").lower() for text in texts}
    return not {one.lower() for one in all_spellings(sender.value)}.isdisjoint(bare(text).lower() for text in texts)
