"""Opt-out: a customer who says STOP on a channel gets nothing more on it until START; the provider answers HELP.

If the provider sends `OptOutType`, it alone decides. Without it, the provider's default keywords count only if a
company's policy says that its service has no Advanced Opt-Out. Other services have keywords of their own, and "stop"
may be an answer.

The provider has acted and answered already. STOP, START and HELP are staged like every other message.

    STOP    the mark is written at once, whoever holds the lock; the entry is appended in its turn
    START   the mark is taken off with the entry, in its turn
    HELP    the entry is appended in its turn

Guarantee: the channel of a staged STOP is marked before anything else is done with the stage. So messages that the
customer wrote on its channel before the STOP, and that are still staged, are refused in their turn. The record keeps
the order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from chalicelib.clock import Clock
from chalicelib.conversations import lookup, views
from chalicelib.conversations.views import Gone, View
from chalicelib.messages.inbound import InboundMessage, OptOut
from chalicelib.ports.tables import Tables
from chalicelib.protocol import record_writes
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.record import ConversationKey
from chalicelib.protocol.record_writes import Appended
from chalicelib.protocol.staging import StagedMessage
from chalicelib.telemetry import Level, Metric, Step, Trail


def opt_out_request(message: InboundMessage, *, is_opted_out: bool) -> OptOut | None:
    """What a message asks for; None: it is an ordinary message.

    START counts only from a customer who is opted out: the provider reports it of every "yes".
    """
    said = message.opt_out or message.opt_out_keyword
    return None if said is OptOut.START and not is_opted_out else said


def stopped_channels(messages: Sequence[StagedMessage]) -> frozenset[str]:
    """The channels on which one of these messages is a STOP; pure."""
    return frozenset(one.channel for one in messages if views.opt_out_request(one, is_opted_out=False) is OptOut.STOP)


def unmarked_channels(view: View) -> frozenset[str]:
    """The channels of staged STOPs that the record does not mark yet; pure.

    A mark of the whole record is no mark of the channel: a START on another channel takes it off (O2).
    """
    return stopped_channels(view.new) - view.conversation.opt_out_marks.channels


def channels_to_mark(view: View) -> frozenset[str]:
    """The channels that the webhook of a STOP marks; pure.

    Where a START is staged too, a channel that is marked is marked again: the write refuses a START's update that was
    decided before the STOP came in (O3).
    """
    is_start_staged = any(views.opt_out_request(one, is_opted_out=True) is OptOut.START for one in view.new)
    return stopped_channels(view.new) if is_start_staged else unmarked_channels(view)


def mark(tables: Tables, view: View, channels: Collection[str], clock: Clock) -> Appended | Changed:
    """Mark channels as opted out, whoever holds the lock; nothing else of the record changes."""
    marks = view.conversation.opt_out_marks.after_stop(*channels)
    return record_writes.append(tables.conversations, view.record, [], now=clock.now(), marks=marks)


def mark_at_once(tables: Tables, key: ConversationKey, clock: Clock, context_attributes: Sequence[str]) -> bool:
    """Mark the channels of staged STOPs; whether all of them are marked now.

    Raises:
        TryAgain, Misconfigured: the message stays staged, and its trigger marks the channel.
    """

    def act() -> bool | Changed:
        view = views.look(tables, key, context_attributes)
        if isinstance(view, Gone):
            return False
        channels = channels_to_mark(view)
        outcome = mark(tables, view, channels, clock) if channels else Appended()
        return outcome if isinstance(outcome, Changed) else True

    return views.look_again(act)


def report_request(kind: str, trail: Trail) -> None:
    """Log and count that a customer opted out or in."""
    trail.log(Step.OPT_OUT, outcome=kind)
    trail.count(Metric.OPT_OUT, outcome=kind)


def report_unknown(message: InboundMessage, trail: Trail) -> None:
    """Log the word of the provider that we do not know, if the message has one."""
    if message.opt_out_unknown is not None:
        trail.log(Step.OPT_OUT_UNKNOWN, Level.WARNING, outcome=message.opt_out_unknown)


def report_refusal(message_sid: str, code: str, trail: Trail) -> None:
    """Log and count that a rule refused a message after it was staged."""
    trail.log(Step.REFUSED, Level.WARNING, message_sid=message_sid, code=code)
    trail.count(Metric.REFUSED, outcome=code)


def mark_opted_out(
    tables: Tables, key: ConversationKey, channel: str, clock: Clock, context_attributes: Sequence[str]
) -> None:
    """Mark a channel on which the provider refused to send because its customer is opted out.

    Raises:
        TryAgain, Misconfigured: the mark is not set; the caller comes again.
    """

    def act() -> Appended | Changed:
        conversation = lookup.load(tables.conversations, key, context_attributes)
        if conversation is None or conversation.is_opted_out_of(channel):
            return Appended()
        marks = conversation.opt_out_marks.after_stop(channel)
        return record_writes.append(tables.conversations, conversation.record, [], now=clock.now(), marks=marks)

    views.look_again(act)
