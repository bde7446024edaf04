"""Opt-out: a customer who says STOP gets nothing more, until START; HELP is the provider's business.

The provider has acted and answered already. What is left to us is to mark the conversation, so that nothing of it
reaches the AI and no reply is sent, and to keep the message in the record. The message is staged like every other; its
mark, its entry and those of all that was staged before it are one conditional update, whoever holds the lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.clock import Clock
from chalicelib.conversations import contexts, lookup, views
from chalicelib.conversations.views import Gone, View
from chalicelib.errors import Code
from chalicelib.messages.inbound import InboundMessage, OptOut
from chalicelib.ports.tables import Tables
from chalicelib.protocol import conversation_lock, staging
from chalicelib.protocol.conversation_lock import Appended, Changed
from chalicelib.protocol.record import ConversationKey
from chalicelib.protocol.staging import StagedMessage
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail

_MARKS = {OptOut.STOP: True, OptOut.START: False, OptOut.HELP: None}


@dataclass(frozen=True, repr=False)
class Request:
    """A staged message that opts the customer out or in, and what was staged before it: a rule refuses that."""

    kind: OptOut
    message: StagedMessage
    before: Sequence[StagedMessage]


def opt_out_request(message: InboundMessage, *, is_opted_out: bool) -> OptOut | None:
    """What a message asks for; None: it is an ordinary message.

    By a keyword alone, START counts only from a customer who is opted out: to all others "yes" is an answer.
    """
    if message.opt_out is None and message.opt_out_keyword is OptOut.START and not is_opted_out:
        return None
    return message.opt_out or message.opt_out_keyword


def pending(view: View) -> Request | None:
    """The first staged message that changes whether the customer is opted out; pure.

    It does not wait for its turn behind a lock or a window. What was staged before a STOP, and before a START of a
    customer who is opted out, is refused: it is appended in the same update, so that the record keeps the order.
    """
    is_opted_out = view.conversation.is_opted_out
    for at, message in enumerate(view.new):
        kind = views.opt_out_request(message, is_opted_out=is_opted_out)
        if kind is OptOut.STOP or (kind is OptOut.START and is_opted_out):
            return Request(kind, message, view.new[:at])
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

        What the record has no room for, because a batch fills it, stays staged and is refused by its rule later: the
        mark does not wait for that.
        """
        before = views.fitting(view.record, request.before, self._settings.batch_messages_max)
        refused = [contexts.entry(one.context, refused=Code.OPTED_OUT.value) for one in before]
        if 0 < len(before) < len(request.before):  # more than one update takes: the mark comes with the last of them
            entries, mark = refused, None
        else:
            entries = [*refused, contexts.entry(request.message.context, opt_out=request.kind.value)]
            mark = _MARKS[request.kind]
        outcome = conversation_lock.append(
            tables.conversations, view.record, entries, now=self._clock.now(), opted_out=mark
        )
        if isinstance(outcome, Appended):
            for one in refused:
                report_refusal(one[contexts.ID], Code.OPTED_OUT.value, trail)
            if mark is not None:
                report_request(request.kind.value, trail)
            staging.settle(tables.stage, view.record.key, [one[contexts.ID] for one in entries])
        return outcome


def report_request(kind: str, trail: Trail) -> None:
    """Log and count that a customer opted out or in."""
    trail.log(Step.OPT_OUT, outcome=kind)
    trail.count(Metric.OPT_OUT, outcome=kind)


def report_refusal(message_sid: str, code: str, trail: Trail) -> None:
    """Log and count that a rule refused a message after it was staged."""
    trail.log(Step.REFUSED, Level.WARNING, message_sid=message_sid, code=code)
    trail.count(Metric.REFUSED, outcome=code)


def mark_opted_out(tables: Tables, key: ConversationKey, clock: Clock, context_attributes: Sequence[str]) -> None:
    """Mark a conversation whose customer is opted out, as the provider says that it refused to send.

    Raises:
        TryAgain, Misconfigured: the mark is not set; the caller comes again.
    """

    def act() -> Appended | Changed:
        conversation = lookup.load(tables.conversations, key, context_attributes)
        if conversation is None or conversation.is_opted_out:
            return Appended()
        return conversation_lock.append(tables.conversations, conversation.record, [], now=clock.now(), opted_out=True)

    views.look_again(act)
