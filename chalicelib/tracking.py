"""Tracking: what a provider tells of a message after it took it is kept on the part's row, and rarely on the record.

A report proves a send that was in doubt. A refusal that comes this way - opted out, outside the window of free text -
has the effect that it would have had on the send: the record tells it.
"""

from __future__ import annotations

from chalicelib import conversations
from chalicelib.channels.channel import DeliveryReport, Provider, Refusals, WebhookRequest
from chalicelib.clock import Clock, Deadline
from chalicelib.conversations import Conversation
from chalicelib.observability import Level, Metric, Step, Trail
from chalicelib.protocol import reply_claim, sends
from chalicelib.protocol.sends import Part, State
from chalicelib.proving import Proving
from chalicelib.replying import mark_opted_out
from chalicelib.settings import Settings
from chalicelib.tables import Tables


class Tracking:
    """Takes the reports of one provider."""

    def __init__(
        self,
        *,
        provider: Provider,
        proving: Proving,
        refusals: Refusals,
        tables: Tables,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._provider = provider
        self._proving = proving
        self._refusals = refusals
        self._tables = tables
        self._clock = clock
        self._settings = settings

    def track(self, request: WebhookRequest, send_id: str, trail: Trail) -> None:
        """Take one report in.

        Raises:
            Rejected: a forger, or a report that makes no sense; nothing is written.
            TryAgain, Misconfigured: nothing is written, or all but the record's mark.
        """
        deadline = Deadline.after(self._clock, self._settings.webhook_deadline_seconds)
        tables = self._tables.within(deadline)
        report = self._provider.parse_report(request)
        trail.learn(message_sid=report.provider_sid)
        part = sends.find(tables.sends, send_id)
        if part is None:
            trail.log(Step.REPORTED, outcome="unknown send")
            trail.count(Metric.UNKNOWN_SEND)
            return
        trail.learn(conversation_id=part.conversation.conversation_id, tenant=part.tenant, channel=part.channel)
        self._proving.prove(request, report.account_id, part.credential_ref, deadline)
        is_news = sends.report(
            tables.sends, part, sid=report.provider_sid, status=report.status, error_code=report.error_code
        )
        trail.log(Step.REPORTED, outcome=report.status, code=report.error_code or "none")
        if is_news:
            trail.count(Metric.DELIVERY, outcome=report.status)
        self._tell_record(tables, part, report, trail)

    def _tell_record(self, tables: Tables, part: Part, report: DeliveryReport, trail: Trail) -> None:
        """Make the record tell what the report changes about the reply; repeats change nothing."""
        now = self._clock.now()
        if report.error_code in (self._refusals.opted_out, self._refusals.outside_window):
            trail.log(Step.REPLY_REFUSED, Level.WARNING, code=report.error_code or "none")
            reply_claim.mark_undelivered(tables.conversations, part, error_code=report.error_code or "none", now=now)
        elif part.state in (State.REFUSED, State.UNKNOWN):
            reply_claim.mark_proven(tables.conversations, part, now=now)
        if report.error_code == self._refusals.opted_out:
            item = conversations.load(
                tables.conversations, part.conversation, self._settings.context_attributes, with_messages=True
            )
            mark_opted_out(tables, Conversation.from_item(item) if item else None, self._clock)
