"""The fallback message: sent to an unknown sender, at most once, where the webhook's answer cannot carry a text.

    find - claim - send - conclude

The sender's row has all data; the queue's message only names the row. A message that the provider did not accept is
retried like a reply, and as often. Then the row is dropped, so that the sender's next message is answered. A send in
doubt is not looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from chalicelib.channels.channel import Channel
from chalicelib.channels.credentials import CredentialCache
from chalicelib.channels.refusals import ask
from chalicelib.channels.sender import InDoubt, OutboundPart, PermanentFailure, Sender, Sent, TemporaryFailure
from chalicelib.clock import Clock, Deadline
from chalicelib.conversations.binding import is_own_secret
from chalicelib.errors import Code, Misconfigured, ReplyCode
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Tables
from chalicelib.protocol import fallbacks
from chalicelib.protocol.fallbacks import FallbackRequest, Notice, State
from chalicelib.repair.retrying import Exhausted, next_try, send_reply_again
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail


@dataclass(frozen=True)
class Job:
    """One reminder at work."""

    request: FallbackRequest
    tenant: str
    """The fairness group that the reminder came with."""
    tables: Tables
    queues: Queues
    deadline: Deadline
    """After which no send begins."""
    token: str
    """Fresh for this invocation."""
    trail: Trail


@dataclass(frozen=True, kw_only=True)
class FallbackSending:
    """Sends what unknown senders are told, one at a time."""

    senders: Mapping[str, Sender]
    channels: Mapping[str, Channel]
    credentials: CredentialCache
    clock: Clock
    settings: Settings

    def process(self, job: Job) -> None:
        """Send the text that a reminder's row waits for, if it does.

        Raises:
            TryAgain, Misconfigured: nothing was sent, or the outcome could not be written; see `retry_later`.
        """
        table = job.tables.unknown_senders
        notice = fallbacks.find_due(table, job.request, now=self.clock.now())
        if notice is None:
            job.trail.log(Step.FALLBACK_SENT, Level.DEBUG, outcome="nothing_due")
            return
        fallback = notice.fallback
        job.trail.bind(tenant=fallback.tenant, channel=fallback.channel)
        if not is_own_secret(self.settings.credential_ref_pattern, fallback.credential_ref, fallback.tenant):
            detail = f"a fallback message of tenant {fallback.tenant} names another company's secret"
            raise Misconfigured(Code.MISSING_CREDENTIAL_CONFIG, detail)
        # Before the claim, for a secret that cannot be had leaves none behind.
        secret = self.credentials.get(fallback.credential_ref, job.deadline)
        job.deadline.check("a send", Code.QUEUE_ERROR)
        if fallbacks.claim(table, notice, token=job.token, now=self.clock.now()):
            self._send(job, notice, secret)
        else:
            job.trail.log(Step.CHANGED, Level.DEBUG)

    def retry_later(self, job: Job, code: str, *, seconds: int = 0) -> None:
        """Send the reminder to its queue once more, later each time; in the end give the text up.

        Args:
            job: the reminder.
            code: why.
            seconds: how long to wait at least.

        Raises:
            TryAgain, Misconfigured: even that failed.
        """
        again = job.request.again()
        match next_try(again.attempt, self.settings.reply_attempts_max, self.settings, at_least=seconds):
            case Exhausted():
                fallbacks.drop(job.tables.unknown_senders, job.request)
                self._tell_untold(job, code)
            case retry:
                send_reply_again(
                    job.queues, again.body, retry, attempt=again.attempt, code=code, tenant=job.tenant, trail=job.trail
                )

    def _send(self, job: Job, notice: Notice, secret: str) -> None:
        table, fallback = job.tables.unknown_senders, notice.fallback
        channel = self.channels[fallback.channel]
        send = partial(self.senders[channel.name].send, _part(notice, channel))
        try:
            outcome = ask(self.credentials, fallback.credential_ref, secret, send)
        except Misconfigured:
            fallbacks.give_back(table, notice, token=job.token)
            raise
        match outcome:
            case Sent(sid):
                job.trail.log(Step.FALLBACK_SENT, outcome="told", message_sid=sid)
                fallbacks.conclude(table, notice, State.TOLD, token=job.token)
            case PermanentFailure(code):
                self._tell_untold(job, code)
                fallbacks.conclude(table, notice, State.REFUSED, token=job.token)
            case TemporaryFailure(code, after_seconds):
                fallbacks.give_back(table, notice, token=job.token)
                self.retry_later(job, code, seconds=after_seconds)
            case InDoubt():
                self._tell_untold(job, ReplyCode.UNKNOWN_OUTCOME)
                fallbacks.conclude(table, notice, State.UNKNOWN, token=job.token)

    @staticmethod
    def _tell_untold(job: Job, code: str) -> None:
        job.trail.log(Step.FALLBACK_NOT_SENT, Level.WARNING, code=code)
        job.trail.count(Metric.FALLBACK_NOT_SENT, outcome=code)


def _part(notice: Notice, channel: Channel) -> OutboundPart:
    return OutboundPart(
        send_id=notice.send_id,
        to=channel.address_prefix + notice.pair.sender,
        sender=channel.address_prefix + notice.pair.company_address,
        messaging_service_sid=None,
        body=notice.fallback.text,
        content_sid=None,
        content_variables={},
        media_urls=(),
        status_callback=None,
        answers=notice.fallback.answers,
    )
