"""Delivery reports: a provider's later status of a message is stored on the part's row, and rarely on the record.

A report proves a send that was in doubt. One that says nothing new writes nothing: a part that is `sent` was accepted,
queued and sent. A failure is the status `failed` or `undelivered`, with any code. It ends the reply with
`processing_error` and the code on the record, if that reply is still the record's last one. It is counted by who must
act. An errand on the queue of replies then applies the company's policy; it is queued before the provider is answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from chalicelib.channels.outcomes import Actor, Table
from chalicelib.channels.provider import DeliveryReport, Reporter, WebhookRequest
from chalicelib.channels.verification import Verification
from chalicelib.clock import Clock, Deadline
from chalicelib.conversations.binding import is_own_secret
from chalicelib.conversations.opt_out import mark_opted_out
from chalicelib.errors import Code, Misconfigured, ReplyCode
from chalicelib.outbound.errands import Undelivered
from chalicelib.ports.queues import Queues, fair_group
from chalicelib.ports.tables import Tables
from chalicelib.protocol import send_rows, sends, undelivered
from chalicelib.protocol.send_rows import Part, State
from chalicelib.repair.reconciliation import record_proof
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail
from chalicelib.telemetry.trail import unverified

METRICS: Final[Mapping[Actor, Metric]] = {
    Actor.CUSTOMER: Metric.UNDELIVERED_CUSTOMER,
    Actor.WRITER: Metric.UNDELIVERED_WRITER,
    Actor.OPERATOR: Metric.UNDELIVERED_OPERATOR,
    Actor.PROVIDER: Metric.UNDELIVERED_PROVIDER,
    Actor.UNKNOWN: Metric.UNDELIVERED_UNKNOWN,
}
"""The metric of a failure, by who must act."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DeliveryReports:
    """Takes the reports of one provider."""

    provider: Reporter
    verification: Verification
    codes: Table
    tables: Tables
    queues: Queues
    clock: Clock
    settings: Settings

    def require_proof(self, headers: Mapping[str, str], url_token: str) -> None:
        """Refuse a report without any proof, before its body is touched.

        Raises:
            Rejected: `INVALID_SIGNATURE`.
        """
        self.verification.require_proof(headers, url_token)

    def record(self, request: WebhookRequest, send_id: str, trail: Trail) -> None:
        """Take one report in; it may come again, and does where this raises.

        Raises:
            Rejected: a forger, or a report that makes no sense; nothing is written.
            TryAgain, Misconfigured: some of it may be written; the provider comes again.
        """
        deadline = Deadline.after(self.clock, self.settings.webhook_deadline_seconds)
        tables = self.tables.within(deadline)
        report = self.provider.parse_report(request)
        trail.bind(message_sid=unverified(report.provider_sid))
        part = sends.find_sent(tables.sends, send_id) if send_rows.is_send_id(send_id) else None
        if part is None:
            trail.log(Step.REPORTED, outcome="unknown send")
            trail.count(Metric.UNKNOWN_SEND)
            return
        trail.bind(conversation_id=part.conversation.conversation_id, tenant=part.tenant, channel=part.channel)
        if not is_own_secret(self.settings.credential_ref_pattern, part.credential_ref, part.tenant):
            detail = f"a part of tenant {part.tenant} names another company's secret"
            raise Misconfigured(Code.MISSING_CREDENTIAL_CONFIG, detail)
        self.verification.verify(request, report.account_id, part.credential_ref, deadline, trail)
        trail.bind(message_sid=report.provider_sid)
        is_news = sends.report(
            tables.sends, part, sid=report.provider_sid, status=report.status, error_code=report.error_code
        )
        trail.log(Step.REPORTED, outcome=report.status, code=report.error_code)
        if is_news:
            trail.count(Metric.DELIVERY, outcome=report.status)
        if part.state is not State.SENT or part.is_proven:
            self._record_proof(tables, part, trail)
        if report.status in send_rows.FAILED:
            self._take_failure(tables, self.queues.within(deadline), part, report, trail, is_news=is_news)

    def _record_proof(self, tables: Tables, part: Part, trail: Trail) -> None:
        """Make sure that the record has a part that was in doubt.

        The process that took the proof may have died before that. So each later report of the part looks, too.
        """
        is_on_record = part.resends is None  # a second send has no entry of its own
        if is_on_record and record_proof(tables, part, self.settings.context_attributes, self.clock):
            trail.log(Step.RECONCILED, Level.WARNING, batch_id=part.batch_id or "none")

    def _take_failure(
        self, tables: Tables, queues: Queues, part: Part, report: DeliveryReport, trail: Trail, *, is_news: bool
    ) -> None:
        """Mark the record, and request what the company's policy says; repeats change nothing."""
        code, row = report.error_code or ReplyCode.UNDELIVERED, self.codes.row(report.error_code)
        actor = row.actor if row is not None else Actor.UNKNOWN
        if is_news:
            trail.log(Step.UNDELIVERED, Level.WARNING, code=code, outcome=actor, batch_id=part.batch_id or "none")
            trail.count(METRICS[actor], outcome=report.status)
        elif sends.find(tables.sends, send_rows.resend_id(part.send_id)) is not None:
            return  # its errand has begun: the record may say already that it was sent once more
        undelivered.mark_undelivered(tables.conversations, part, error_code=code, now=self.clock.now())
        if code == self.codes.opted_out:
            mark_opted_out(tables, part.conversation, part.channel, self.clock, self.settings.context_attributes)
        queues.replies.send(Undelivered(part.send_id).body, group=fair_group(part.tenant))
