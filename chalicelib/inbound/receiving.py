"""Stage 1: a message of a webhook request is staged and gets a trigger, or goes to people at once.

    parse - for each recipient: find - prove - judge - load - rules - route - read - stage - ensure a trigger | hand off
                                                    ^
                                                    `-- a message that the provider's own list proves comes in here

Guarantee: an acknowledged message is staged. A fault before staging is raised, and the provider is asked for a retry if
a retry can help. A fault after staging is reported and acknowledged, because the sweep takes over. Nothing before the
proof has an effect that a forger could see or cause.

With a cached secret, a message on the channel route costs five calls: query, get, put, put, send. The next messages of
a burst send nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chalicelib.channels.channel import Channel
from chalicelib.channels.provider import PROBE_HEADER, Provider, WebhookRequest
from chalicelib.channels.verification import Verification
from chalicelib.clock import Clock, Deadline
from chalicelib.conversations.lookup import Found
from chalicelib.errors import Rejected
from chalicelib.inbound.admitting import Admitting
from chalicelib.inbound.finding import Finding
from chalicelib.inbound.outcome import Outcome
from chalicelib.messages.attachments import AttachmentStore, RequestAttachments
from chalicelib.messages.inbound import InboundMessage
from chalicelib.ports.tables import Tables
from chalicelib.settings import Settings
from chalicelib.telemetry import Metric, Step, Trail
from chalicelib.telemetry.trail import unverified


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Receiving:
    """Receives the webhooks of one provider."""

    provider: Provider
    channels: Mapping[str, Channel]
    tables: Tables
    verification: Verification
    attachment_store: AttachmentStore
    finding: Finding
    admitting: Admitting
    clock: Clock
    settings: Settings

    def require_proof(self, headers: Mapping[str, str], url_token: str) -> None:
        """Refuse a request without any proof, before its body is touched.

        Raises:
            Rejected: `INVALID_SIGNATURE`.
        """
        self.verification.require_proof(headers, url_token)

    def parse(self, request: WebhookRequest) -> Sequence[InboundMessage]:
        """The message of a request, once for each of its recipients.

        Raises:
            Rejected: the sender; it is no message.
        """
        return self.provider.parse(request)

    def attachments(self, deadline: Deadline) -> RequestAttachments:
        """What keeps the enclosures of one request, for all of its recipients."""
        return self.attachment_store.for_request(deadline)

    def receive(
        self,
        request: WebhookRequest,
        message: InboundMessage,
        attachments: RequestAttachments,
        deadline: Deadline,
        trail: Trail,
    ) -> Outcome:
        """Take a message in for one of its recipients.

        Raises:
            Rejected: a forger, or the tenant's own rules; nothing is staged.
            TryAgain: a retry of the provider can mend it; nothing is staged for certain.
            Misconfigured: we must act; nothing is staged.
        """
        if message.unread is not None:  # reading is bounded by itself, and takes nothing from the calls to AWS
            deadline = deadline.later(message.unread.seconds_spent)
        tables = self.tables.within(deadline)
        channel = self.channels[message.channel]
        found = self._begin(tables, channel, message, trail)
        credential_ref = self.finding.credential_ref(found, channel)
        try:
            self.verification.verify(request, message.account_id, credential_ref, deadline, trail)
        except Rejected:
            if found.key is not None:
                # A stranger's request has asked for this too: a forger must not learn who is a customer.
                self.finding.companies.find(tables.conversations, channel, message.recipient)
            raise
        if _is_probe(request, message):
            return Outcome(is_probe=True)
        judged = self.finding.judged(found, message, trail)
        trail.bind(message_sid=judged.message_sid)
        if judged.sender != message.sender:  # found so far by the address of a list that passed it on
            of_author: Found | None = self.finding.find(tables, channel, judged, trail)
        else:
            of_author = self.finding.find_respelled(tables, channel, found, judged, trail)
        if of_author is not None:
            found = of_author
            ref = self.finding.credential_ref(found, channel)
            if ref != credential_ref:
                self.verification.verify(request, judged.account_id, ref, deadline, trail)
        return self.admitting.admit(found, judged, attachments, deadline, trail)

    def receive_proven(self, message: InboundMessage, trail: Trail) -> Outcome:
        """Take in a message that needs no proof of its own, for the provider's list of messages told it.

        Raises:
            Rejected, TryAgain, Misconfigured: as `receive`; nothing is staged for certain.
        """
        deadline = Deadline.after(self.clock, self.settings.webhook_deadline_seconds)
        tables, channel = self.tables.within(deadline), self.channels[message.channel]
        found = self._begin(tables, channel, message, trail)
        trail.bind(message_sid=message.message_sid)
        found = self.finding.find_respelled(tables, channel, found, message, trail) or found
        # Nobody waits for an answer that could tell an unknown sender something.
        proven = replace(message, may_be_notified=False, is_of_list=True)
        return self.admitting.admit(found, proven, self.attachments(deadline), deadline, trail)

    def _begin(self, tables: Tables, channel: Channel, message: InboundMessage, trail: Trail) -> Found:
        trail.bind(message_sid=unverified(message.message_sid), channel=channel.name)
        trail.log(Step.RECEIVED)
        trail.count(Metric.RECEIVED)
        return self.finding.find(tables, channel, message, trail)


def _is_probe(request: WebhookRequest, message: InboundMessage) -> bool:
    """Whether a request only asks if it is proven: it says so, and comes from the very address that it goes to.

    No customer's message does the latter, so a header that strays in loses nothing.
    """
    return PROBE_HEADER in request.headers and message.sender == message.recipient
