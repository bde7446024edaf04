"""Opt-out: a customer who says STOP on a channel gets nothing more on it, until START; HELP is the provider's business.

The provider has acted and answered already. Here the conversation is marked, so that nothing of the channel reaches
the AI or people and no reply is sent on it, and the message is kept in the record. Nothing is staged: the mark and the
entry are one conditional update, which a retry of the provider repeats until it finds the entry there.

`OptOutType` alone decides where the provider sends it. Its default keywords count only where a company's policy says
that its service has no Advanced Opt-Out: elsewhere the keywords are the service's own, and "stop" may be an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chalicelib.clock import Clock
from chalicelib.conversations import contexts, lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.errors import Code, TryAgain
from chalicelib.messages.inbound import InboundMessage, OptOut
from chalicelib.ports.tables import Tables
from chalicelib.protocol import conversation_lock, history
from chalicelib.protocol.conversation_lock import Appended
from chalicelib.protocol.opt_outs import OptOutMarks
from chalicelib.protocol.record import ConversationKey
from chalicelib.settings import Settings
from chalicelib.telemetry import Metric, Step, Trail

_TRIES = 4


def opt_out_request(message: InboundMessage, *, is_opted_out: bool, keywords_apply: bool) -> OptOut | None:
    """What a message says of wanting messages; None: it is an ordinary message.

    START counts only from a customer who is opted out: the provider reports it of every "yes".
    """
    said = message.opt_out or (message.opt_out_keyword if keywords_apply else None)
    return None if said is OptOut.START and not is_opted_out else said


class OptOuts:
    """Marks conversations as opted out or in, and keeps what an opted-out customer writes."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self._clock = clock
        self._settings = settings
        self._bounds = history.Bounds(settings.messages_keep, settings.messages_bytes_max, settings.dedupe_hours)

    def apply(
        self, tables: Tables, key: ConversationKey, context: Mapping[str, Any], kind: OptOut, trail: Trail
    ) -> None:
        """Mark the conversation's channel as the customer wishes, and keep the message.

        Args:
            tables: within the webhook's deadline.
            key: the conversation.
            context: the message's context, as for staging.
            kind: what the customer said.
            trail: of the webhook.

        Raises:
            TryAgain: nothing is written, or all of it; the provider comes again.
        """
        channel = contexts.channel_of(context)
        entry = contexts.entry(context, opt_out=kind.value)
        if self._append(tables, key, entry, lambda marks: _marked(marks, kind, channel)):
            trail.log(Step.OPT_OUT, outcome=kind.value)
            trail.count(Metric.OPT_OUT, outcome=kind.value)

    def keep(self, tables: Tables, key: ConversationKey, context: Mapping[str, Any], trail: Trail) -> None:
        """Keep a message of a customer who is opted out: in the record, marked, and with nobody.

        Raises:
            TryAgain: nothing is written, or all of it; the provider comes again.
        """
        entry = contexts.entry(context, refused=Code.OPTED_OUT.value)
        if self._append(tables, key, entry, lambda _: {}):
            trail.log(Step.KEPT_REFUSED, code=Code.OPTED_OUT.value)

    def _append(
        self,
        tables: Tables,
        key: ConversationKey,
        entry: Mapping[str, Any],
        marks_after: Callable[[OptOutMarks], Mapping[str, Any]],
    ) -> bool:
        """Append an entry with marks; False: the record has it already, or is gone."""
        has_moved = False
        for _ in range(_TRIES):
            item = lookup.load(tables.conversations, key, self._settings.context_attributes, with_messages=True)
            if item is None:
                return False
            conversation = Conversation.from_item(item)
            record, now = conversation.record, self._clock.now()
            if entry["message_id"] in record.entry_ids:
                return False
            if not has_moved and history.room_bytes(record) < history.entry_bytes(entry):
                has_moved = True
                history.trim(tables.conversations, tables.history, record, self._bounds, now=now)
                continue
            written = conversation_lock.append(
                tables.conversations,
                record,
                [entry],
                ended_ids=(),
                to_people=False,
                now=now,
                marks=marks_after(conversation.opt_out_marks),
            )
            if isinstance(written, Appended):
                return True
        raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing while a message is kept")


def mark_opted_out(
    tables: Tables, key: ConversationKey, channel: str, clock: Clock, context_attributes: Sequence[str]
) -> None:
    """Mark a channel on which the provider refused to send because its customer is opted out.

    Raises:
        TryAgain, Misconfigured: the mark is not set; the caller comes again.
    """
    for _ in range(_TRIES):
        item = lookup.load(tables.conversations, key, context_attributes, with_messages=True)
        if item is None or Conversation.from_item(item).is_opted_out_of(channel):
            return
        conversation = Conversation.from_item(item)
        written = conversation_lock.append(
            tables.conversations,
            conversation.record,
            [],
            ended_ids=(),
            to_people=False,
            now=clock.now(),
            marks=conversation.opt_out_marks.after_stop(channel),
        )
        if isinstance(written, Appended):
            return
    raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing while the opt-out is marked")


def _marked(marks: OptOutMarks, kind: OptOut, channel: str) -> Mapping[str, Any]:
    match kind:
        case OptOut.STOP:
            return marks.after_stop(channel)
        case OptOut.START:
            return marks.after_start(channel)
        case OptOut.HELP:
            return {}
