"""Opt-out: a customer who says STOP gets nothing more, until START; HELP is the provider's business.

The provider has acted and answered already. What is left to us is to mark the conversation, so that nothing of it
reaches the AI and no reply is sent, and to keep the message in the record. Nothing is staged: the mark and the entry
are one conditional update, which a retry of the provider repeats until it finds the entry there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.clock import Clock
from chalicelib.conversations import contexts, lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.errors import Code, TryAgain
from chalicelib.messages.inbound import InboundMessage, OptOut
from chalicelib.ports.tables import Tables
from chalicelib.protocol import conversation_lock
from chalicelib.protocol.conversation_lock import Appended
from chalicelib.protocol.record import ConversationKey
from chalicelib.settings import Settings
from chalicelib.telemetry import Metric, Step, Trail

_TRIES = 4

_MARKS = {OptOut.STOP: True, OptOut.START: False, OptOut.HELP: None}


def opt_out_request(message: InboundMessage, *, is_opted_out: bool) -> OptOut | None:
    """What a message says of wanting messages; None: it is an ordinary message.

    By a keyword alone, START counts only from a customer who is opted out: to all others "yes" is an answer.
    """
    if message.opt_out is None and message.opt_out_keyword is OptOut.START and not is_opted_out:
        return None
    return message.opt_out or message.opt_out_keyword


class OptOuts:
    """Marks conversations as opted out or in."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self._clock = clock
        self._settings = settings

    def apply(
        self, tables: Tables, key: ConversationKey, context: Mapping[str, Any], kind: OptOut, trail: Trail
    ) -> None:
        """Mark the conversation as the customer wishes, and keep the message.

        Args:
            tables: within the webhook's deadline.
            key: the conversation.
            context: the message's context, as for staging.
            kind: what the customer said.
            trail: of the webhook.

        Raises:
            TryAgain: nothing is written, or all of it; the provider comes again.
        """
        entry = contexts.entry(context, opt_out=kind.value)
        for _ in range(_TRIES):
            item = lookup.load(tables.conversations, key, self._settings.context_attributes, with_messages=True)
            if item is None:
                return
            record = Conversation.from_item(item).record
            if contexts.id_of(context) in record.entry_ids:
                return
            written = conversation_lock.append(
                tables.conversations,
                record,
                [entry],
                ended_ids=(),
                to_people=False,
                now=self._clock.now(),
                opted_out=_MARKS[kind],
            )
            if isinstance(written, Appended):
                trail.log(Step.OPT_OUT, outcome=kind.value)
                trail.count(Metric.OPT_OUT, outcome=kind.value)
                return
        raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing while the customer's wish is written")


def mark_opted_out(tables: Tables, key: ConversationKey, clock: Clock, context_attributes: Sequence[str]) -> None:
    """Mark a conversation whose customer is opted out, as the provider says that it refused to send.

    Raises:
        TryAgain, Misconfigured: the mark is not set; the caller comes again.
    """
    for _ in range(_TRIES):
        item = lookup.load(tables.conversations, key, context_attributes, with_messages=True)
        if item is None or Conversation.from_item(item).is_opted_out:
            return
        written = conversation_lock.append(
            tables.conversations,
            Conversation.from_item(item).record,
            [],
            ended_ids=(),
            to_people=False,
            now=clock.now(),
            opted_out=True,
        )
        if isinstance(written, Appended):
            return
    raise TryAgain(Code.DB_TRANSIENT_ERROR, "the record keeps changing while the opt-out is marked")
