"""Delivery reports: a provider's later status of a message is stored on the part's row, and rarely on the record.

A report proves a send that was in doubt. A refusal that comes this way - opted out, outside the window of free text -
has the effect that it would have had on the send: the record tells it.
"""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.channels.channel import Refusals, Reporter, WebhookRequest
from chalicelib.channels.verification import Verification
from chalicelib.clock import Clock, Deadline
from chalicelib.conversations.binding import is_own_secret
from chalicelib.conversations.opt_out import mark_opted_out
from chalicelib.errors import Code, Misconfigured
from chalicelib.ports.tables import Tables
from chalicelib.protocol import reply_claim, sends
from chalicelib.protocol.sends import Part, State
from chalicelib.repair.reconciliation import record_proof
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail
from chalicelib.telemetry.trail import unverified


class DeliveryReports:
    """Takes the reports of one provider."""

    def __init__(
        self,
        *,
        provider: Reporter,
        verification: Verification,
        refusals: Refusals,
        tables: Tables,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._provider = provider
        self._verification = verification
        self._refusals = refusals
        self._tables = tables
        self._clock = clock
        self._settings = settings

    def require_proof(self, headers: Mapping[str, str], url_token: str) -> None:
        """Refuse a report without any proof, before its body is touched.

        Raises:
            Rejected: `INVALID_SIGNATURE`.
        """
        self._verification.require_proof(headers, url_token)

    def record(self, request: WebhookRequest, send_id: str, trail: Trail) -> None:
        """Take one report in; it may come again, and does where this raises.

        Raises:
            Rejected: a forger, or a report that makes no sense; nothing is written.
            TryAgain, Misconfigured: some of it may be written; the provider comes again.
        """
        deadline = Deadline.after(self._clock, self._settings.webhook_deadline_seconds)
        tables = self._tables.within(deadline)
        report = self._provider.parse_report(request)
        trail.bind(message_sid=unverified(report.provider_sid))
        part = sends.find(tables.sends, send_id) if sends.is_send_id(send_id) else None
        if part is None:
            trail.log(Step.REPORTED, outcome="unknown send")
            trail.count(Metric.UNKNOWN_SEND)
            return
        trail.bind(conversation_id=part.conversation.conversation_id, tenant=part.tenant, channel=part.channel)
        if not is_own_secret(self._settings.credential_ref_pattern, part.credential_ref, part.tenant):
            detail = f"a part of tenant {part.tenant} names another company's secret"
            raise Misconfigured(Code.MISSING_CREDENTIAL_CONFIG, detail)
        self._verification.verify(request, report.account_id, part.credential_ref, deadline, trail)
        trail.bind(message_sid=report.provider_sid)
        is_news = sends.report(
            tables.sends, part, sid=report.provider_sid, status=report.status, error_code=report.error_code
        )
        trail.log(Step.REPORTED, outcome=report.status, code=report.error_code or "none")
        if is_news:
            trail.count(Metric.DELIVERY, outcome=report.status)
        if report.error_code in (self._refusals.opted_out, self._refusals.outside_window):
            self._tell_refusal(tables, part, report.error_code or "", trail)
        elif part.state is not State.SENT and record_proof(
            tables, part, self._settings.context_attributes, self._clock
        ):
            trail.log(Step.RECONCILED, Level.WARNING, batch_id=part.batch_id or "none")

    def _tell_refusal(self, tables: Tables, part: Part, error_code: str, trail: Trail) -> None:
        """Make the record tell that the provider refused what it had taken; repeats change nothing."""
        trail.log(Step.REPLY_REFUSED, Level.WARNING, code=error_code)
        reply_claim.mark_undelivered(tables.conversations, part, error_code=error_code, now=self._clock.now())
        if error_code == self._refusals.opted_out:
            mark_opted_out(tables, part.conversation, part.channel, self._clock, self._settings.context_attributes)
