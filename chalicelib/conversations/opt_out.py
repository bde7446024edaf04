"""Opt-out: a customer who says STOP on a channel gets nothing more on it, until START; HELP is the provider's business.

`OptOutType` alone decides where the provider sends it. Its default keywords count only where a company's policy says
that its service has no Advanced Opt-Out: elsewhere the keywords are the service's own, and "stop" may be an answer.

The provider has acted and answered already. The conversation's channel is marked, so that nothing of it reaches the AI
and no reply is sent on it, and the message is kept in the record. The message is staged like every other; its
mark, its entry and those of all that was staged before it are one conditional update, whoever holds the lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.clock import Clock
from chalicelib.conversations import contexts, lookup, views
from chalicelib.conversations.views import Gone, View
from chalicelib.errors import Code
from chalicelib.messages.inbound import InboundMessage, OptOut
from chalicelib.ports.tables import Tables
from chalicelib.protocol import conversation_lock, history, staging
from chalicelib.protocol.conversation_lock import Appended, Changed
from chalicelib.protocol.opt_outs import OptOutMarks
from chalicelib.protocol.record import ConversationKey
from chalicelib.protocol.staging import StagedMessage
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail


@dataclass(frozen=True, repr=False)
class Request:
    """A staged message that opts the customer out or in.

    A rule refuses what was staged before it on its channel.
    """

    kind: OptOut
    message: StagedMessage
    before: Sequence[StagedMessage]


def opt_out_request(message: InboundMessage, *, is_opted_out: bool) -> OptOut | None:
    """What a message asks for; None: it is an ordinary message.

    START counts only from a customer who is opted out: the provider reports it of every "yes".
    """
    said = message.opt_out or message.opt_out_keyword
    return None if said is OptOut.START and not is_opted_out else said


def pending(view: View) -> Request | None:
    """The first staged message that changes whether the customer is opted out; pure.

    It does not wait for its turn behind a lock or a window. What was staged before a STOP, and before a START of a
    customer who is opted out, is refused: it is appended in the same update, so that the record keeps the order.
    """
    for at, message in enumerate(view.new):
        is_opted_out = view.conversation.is_opted_out_of(message.channel)
        kind = views.opt_out_request(message, is_opted_out=is_opted_out)
        if kind is OptOut.STOP or (kind is OptOut.START and is_opted_out):
            before = [one for one in view.new[:at] if one.channel == message.channel]
            return Request(kind, message, before)
    return None


class OptOuts:
    """Marks conversations as opted out or in."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self._clock = clock
        self._settings = settings

    def run_at_once(self, tables: Tables, key: ConversationKey, trail: Trail) -> bool:
        """Do what staged messages ask for, now; whether there was anything to do.

        Raises:
            TryAgain, Misconfigured: the message stays staged, and its trigger does it.
        """

        def act() -> bool | Changed:
            view = views.look(tables, key, self._settings.context_attributes)
            request = None if isinstance(view, Gone) else pending(view)
            if request is None or isinstance(view, Gone):
                return True
            done = self.apply(tables, view, request, trail)
            return done if isinstance(done, Changed) else False

        is_nothing = views.look_again(act)
        while not views.look_again(act):
            pass
        return not is_nothing

    def apply(self, tables: Tables, view: View, request: Request, trail: Trail) -> Appended | Changed:
        """Mark the conversation, append the message and what was staged before it, and settle their rows.

        What a full record has no room for stays staged and is refused by its rule later: the mark does not wait for
        that.
        """
        has_room = history.room_bytes(view.record) > 0
        before = views.fitting(view.record, request.before, self._settings.batch_messages_max) if has_room else []
        refused = [contexts.entry(one.context, refused=Code.OPTED_OUT.value) for one in before]
        marks: Mapping[str, Any] = {}
        if 0 < len(before) < len(request.before):  # more than one update takes: the mark comes with the last of them
            entries = refused
        else:
            entries = [*refused, contexts.entry(request.message.context, opt_out=request.kind.value)]
            marks = _marks_after(view.conversation.opt_out_marks, request)
        outcome = conversation_lock.append(
            tables.conversations, view.record, entries, now=self._clock.now(), marks=marks
        )
        if isinstance(outcome, Appended):
            for one in refused:
                report_refusal(one[contexts.ID], Code.OPTED_OUT.value, trail)
            if marks:
                report_request(request.kind.value, trail)
            staging.settle(tables.stage, view.record.key, [one[contexts.ID] for one in entries])
        return outcome


def _marks_after(marks: OptOutMarks, request: Request) -> Mapping[str, Any]:
    channel = request.message.channel
    return marks.after_stop(channel) if request.kind is OptOut.STOP else marks.after_start(channel)


def report_request(kind: str, trail: Trail) -> None:
    """Log and count that a customer opted out or in."""
    trail.log(Step.OPT_OUT, outcome=kind)
    trail.count(Metric.OPT_OUT, outcome=kind)


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
        return conversation_lock.append(tables.conversations, conversation.record, [], now=clock.now(), marks=marks)

    views.look_again(act)
