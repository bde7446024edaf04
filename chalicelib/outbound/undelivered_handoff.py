"""Undelivered, policy `handoff`: people get the batch of a reply that the provider could not deliver.

    look - judge - claim for people - send, with the reply as a draft - end the claim

Guarantee: they get the batch at least once, with the whole text of the reply, and only while the reply is the last word
(D1). Whoever finds the claim finishes it; an errand that comes again after that sends the draft once more, because the
finder had none. People dedupe on `message_id` and on the draft's `reply_id`. The stage needs no look after it, because
the record was open: whatever is staged has a trigger, which comes again.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.clock import Clock
from chalicelib.conversations.contexts import Draft
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.handoff import Handoff
from chalicelib.errors import ReplyCode
from chalicelib.outbound.job import ErrandJob
from chalicelib.outbound.last_word import Claimed, LastWord, Passed, Past, Standing, Unsettled
from chalicelib.protocol import send_rows, sends, undelivered
from chalicelib.protocol.claim_changes import Claim
from chalicelib.protocol.handoffs import RequestedBy
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.send_rows import Part
from chalicelib.settings import Settings
from chalicelib.telemetry import Step


@dataclass(frozen=True)
class UndeliveredHandoff:
    """Hands the batches of undelivered replies to people."""

    handoff: Handoff
    clock: Clock
    settings: Settings

    def hand_off(self, job: ErrandJob, part: Part, conversation: Conversation, found: Standing) -> Changed | None:
        """Give the batch of a part's reply to people.

        Args:
            job: the errand.
            part: the part that was not delivered.
            conversation: as read, with its entries.
            found: how the reply stands in it.

        Raises:
            TryAgain, Misconfigured: the errand must come again.
        """
        match found:
            case LastWord() if part.answered_ids:
                return self._claim(job, part, conversation)
            case Claimed():
                return self._finish(job, part, conversation)
            case Passed():
                self.handoff.people.send_draft(job.queues, conversation, self._draft(job, part), job.trail)
            case LastWord() | Past() | Unsettled():
                why = "no_batch" if isinstance(found, LastWord) else "not_the_last_word"
                job.trail.log(Step.NOT_HANDED_OFF, outcome=why, count=part.number, code=part.error_code)
        return None

    def _claim(self, job: ErrandJob, part: Part, conversation: Conversation) -> Changed | None:
        code = part.error_code or ReplyCode.UNDELIVERED
        outcome = undelivered.claim_undelivered(
            job.tables.conversations,
            conversation.record,
            part,
            handoff=self.handoff.begun(RequestedBy.UNDELIVERED, f"the reply was not delivered, code {code}"),
            token=job.token,
            shards=self.settings.lock_index_shards,
            now=self.clock.now(),
        )
        return self._finish(job, part, Conversation.from_item(outcome.item)) if isinstance(outcome, Claim) else outcome

    def _finish(self, job: ErrandJob, part: Part, conversation: Conversation) -> Changed | None:
        """Send people the claimed batch and the reply that the customer did not receive, and end the claim."""
        draft = self._draft(job, part)
        if not conversation.record.unanswered:
            # Its messages have left the record.
            self.handoff.people.send_draft(job.queues, conversation, draft, job.trail)
        outcome = self.handoff.finish(job.tables, job.queues, conversation, job.trail, draft=draft)
        return outcome if isinstance(outcome, Changed) else None

    @staticmethod
    def _draft(job: ErrandJob, part: Part) -> Draft:
        """The whole reply, as the rows of its parts have it: people see which of it the record calls sent."""
        parts = [sends.find(job.tables.sends, one) for one in send_rows.ids_of(part)]
        return Draft("\n\n".join(one.entry["content"] for one in parts if one is not None), part.reply_id)
