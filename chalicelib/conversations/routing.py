"""Where a message goes: to the AI by its channel's batches, to people, or nowhere by a rule; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.policies import PolicyOf
from chalicelib.conversations.rules import validate_conversation_rules
from chalicelib.errors import Code, Misconfigured
from chalicelib.messages.inbound import Address, AddressKind
from chalicelib.messages.phone_numbers import all_spellings, bare
from chalicelib.protocol.answers import recent_answers

ANSWERED_BY_MACHINES: Final = frozenset({AddressKind.EMAIL})
"""Addresses where a machine may answer our answers, and does not say that it is one."""


class Route(StrEnum):
    """Who answers a message."""

    CHANNEL = "channel"
    """The AI, by the batches of its channel."""
    HANDOFF = "handoff"
    """People."""


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


def destination(conversation: Conversation, channel: str, sender: str, routing: Routing) -> Destination:
    """What the rules and the routing say now of a message.

    Args:
        conversation: as read.
        channel: the name of the message's channel.
        sender: the address that it came from.
        routing: the rest.

    Raises:
        Misconfigured: `ROUTING_ERROR`; the list of senders is no list of texts.
    """
    refused = validate_conversation_rules(conversation, channel, lock_matters=False)
    if refused is not None:
        return Refusal(refused)
    return determine_target_queue(conversation, channel, Address.from_text(sender), routing)


def determine_target_queue(conversation: Conversation, channel: str, sender: Address, routing: Routing) -> Route:
    """The route of a message from `sender`.

    People get it while a handoff by the AI, a stall, an undelivered reply or an operator stands. They get it where the
    conversation queues every reply for them, where the sender is on the list for its kind of
    address, or, if `handoff_flag_routes`, where the conversation is flagged as handed off to a human. They also get an
    e-mail once the AI has given as many answers within the last hour as the policy `automatic_answers_per_hour` allows:
    two machines would answer each other without end.

    Raises:
        Misconfigured: `ROUTING_ERROR`; the list is no list of texts.
    """
    if (
        conversation.record.handed_off_by is not None
        or conversation.auto_queue_reply_message
        or _is_listed(conversation, sender)
        or (routing.handoff_flag_routes and conversation.hand_off_to_human)
        or _has_answered_enough(conversation, channel, sender, routing)
    ):
        return Route.HANDOFF
    return Route.CHANNEL


def _has_answered_enough(conversation: Conversation, channel: str, sender: Address, routing: Routing) -> bool:
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
