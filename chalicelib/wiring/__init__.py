"""The composition root: the only place that constructs the collaborators, each once.

    Resources - what AWS gives
    `-- Collaborators - what several use cases share
        `-- Engine - the use cases

On Lambda the use case of a function is built at import. So a missing setting stops the function at once, and the
clients are made in the time that Lambda gives to starting. Elsewhere each is built on first use, so `import app` needs
no credentials, no network and no settings.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from chalicelib.channels.channel import Vendor
from chalicelib.channels.provider import Provider
from chalicelib.channels.verification import Verification
from chalicelib.conversations.companies import Companies
from chalicelib.conversations.lookup import holds_lock
from chalicelib.inbound.admitting import Admitting
from chalicelib.inbound.finding import Finding
from chalicelib.inbound.receiving import Receiving
from chalicelib.inbound.storing import Storing
from chalicelib.messages.attachments import AttachmentStore
from chalicelib.settings import SWEEP_THREADS
from chalicelib.settings.process import lambda_handler
from chalicelib.wiring.collaborators import Collaborators

if TYPE_CHECKING:
    from chalicelib.ai_worker.answering import Answering
    from chalicelib.batches.batching import Batching
    from chalicelib.outbound.delivery_reports import DeliveryReports
    from chalicelib.outbound.replying import Replying
    from chalicelib.outbound.typing import TypingIndicators
    from chalicelib.outbound.undelivered import UndeliveredMessages
    from chalicelib.repair.executors import Executor
    from chalicelib.repair.handing_over import HandingOver
    from chalicelib.repair.orphans import Orphans
    from chalicelib.repair.sweeping import Sweeping
    from chalicelib.unknown_senders.fallback_message import FallbackSending


class Engine(Collaborators):
    """The use cases of one process and what they share."""

    @cached_property
    def _receiving(self) -> dict[Vendor, Receiving]:
        """By provider; each is built for its first webhook."""
        return {}

    def receiving(self, vendor: Vendor) -> Receiving:
        """What receives the webhooks of a provider."""
        if vendor not in self._receiving:
            self._receiving[vendor] = self._receiving_of(self._provider(vendor))
        return self._receiving[vendor]

    def _receiving_of(self, provider: Provider) -> Receiving:
        return Receiving(
            provider=provider,
            channels=self.channels,
            tables=self.tables,
            verification=Verification(provider, self.credentials),
            attachment_store=AttachmentStore(self.bucket, self.new_id),
            finding=Finding(companies=Companies(self.clock), policies=self.policies, settings=self.settings),
            admitting=self._admitting,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def _admitting(self) -> Admitting:
        return Admitting(
            channels=self.channels,
            tables=self.tables,
            queues=self.queues,
            storing=Storing(clock=self.clock, new_id=self.new_id, settings=self.settings),
            handoff=self._handoff,
            unknown_sender_policy=self._unknown_sender_policy,
            policies=self.policies,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def delivery_reports(self) -> DeliveryReports:
        from chalicelib.channels.twilio.outcomes import TABLE
        from chalicelib.outbound.delivery_reports import DeliveryReports

        return DeliveryReports(
            provider=self._twilio,
            verification=Verification(self._twilio, self.credentials),
            codes=TABLE,
            tables=self.tables,
            queues=self.queues,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def replying(self) -> Replying:
        from chalicelib.outbound.concluding import Concluding
        from chalicelib.outbound.endings import Endings
        from chalicelib.outbound.holding import Holding
        from chalicelib.outbound.late import LateReplies
        from chalicelib.outbound.people import PeoplesReplies
        from chalicelib.outbound.replying import Replying
        from chalicelib.outbound.turns import Turns

        planning, parts, handoff = self._planning, self._parts, self._handoff
        clock, settings = self.clock, self.settings
        endings = Endings(self.retriggering, clock, settings)
        return Replying(
            planning=planning,
            parts=parts,
            handoff=handoff,
            endings=endings,
            holding=Holding(endings, self.policies, clock, settings),
            turns=Turns(handoff, endings, self.policies, clock, settings),
            people=PeoplesReplies(planning, parts, endings, clock, settings),
            concluding=Concluding(handoff, endings, clock, settings),
            late=LateReplies(planning, parts, handoff, endings, clock),
            clock=clock,
            settings=settings,
        )

    @cached_property
    def typing_indicators(self) -> TypingIndicators:
        from chalicelib.outbound.typing import TypingIndicators

        shown = {name: self.senders[name] for name, channel in self.channels.items() if channel.shows_typing}
        indicators: Mapping[str, Any] = shown  # what shows typing is a sender that can
        return TypingIndicators(indicators, self.credentials, self.policies, self.settings)

    @cached_property
    def undelivered_messages(self) -> UndeliveredMessages:
        from chalicelib.outbound.undelivered import UndeliveredMessages
        from chalicelib.outbound.undelivered_handoff import UndeliveredHandoff

        return UndeliveredMessages(
            planning=self._planning,
            parts=self._parts,
            handoff=UndeliveredHandoff(self._handoff, self.clock, self.settings),
            channels=self.channels,
            codes=self._codes,
            policies=self.policies,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def fallback_sending(self) -> FallbackSending:
        from chalicelib.unknown_senders.fallback_message import FallbackSending

        return FallbackSending(
            senders=self.senders,
            channels=self.channels,
            credentials=self.credentials,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def batching(self) -> Batching:
        from chalicelib.batches.batching import Batching
        from chalicelib.batches.dispatching import Dispatching
        from chalicelib.batches.requeueing import Requeueing

        return Batching(
            handoff=self._handoff,
            stalled_locks=self._stalled_locks,
            policies=self.policies,
            media_copying=self._media_copying,
            dispatching=Dispatching(self.policies, self.clock, self.new_id, self.settings),
            requeueing=Requeueing(self._stalled_locks, self.clock, self.new_id, self.settings),
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def answering(self) -> Answering:
        """The AI worker. The record remembers its replies: a batch that was answered holds its lock no more."""
        from chalicelib.ai_worker.answering import Answering, NoReplies
        from chalicelib.ai_worker.prompts import INSTRUCTIONS

        return Answering(
            self._model,
            send=lambda body, tenant: self.queues.replies.send(body, group=tenant),
            replies=NoReplies(),
            holds_lock=partial(holds_lock, self.tables.conversations),
            instructions=self.settings.ai_worker_instructions or INSTRUCTIONS,
        )

    @cached_property
    def sweeping(self) -> Sweeping:
        from chalicelib.repair.sweeping import Sweeping

        return Sweeping(
            locks=self._stalled_locks,
            retriggering=self.retriggering,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def orphans(self) -> Orphans:
        from chalicelib.repair.orphans import Orphans

        return Orphans(retriggering=self.retriggering, clock=self.clock, new_id=self.new_id, settings=self.settings)

    @cached_property
    def executor(self) -> Executor:
        """Makes the repairs of a sweep."""
        from chalicelib.repair.executors import Threads

        return Threads(SWEEP_THREADS)

    @cached_property
    def handing_over(self) -> HandingOver:
        from chalicelib.repair.handing_over import HandingOver

        return HandingOver(self._handoff, self.retriggering)


_building = threading.RLock()
_engines: list[Engine] = []


def engine() -> Engine:
    """The engine of this process, made on first use."""
    with _building:
        if not _engines:
            _engines.append(Engine())
        return _engines[0]


def build_on_lambda() -> None:
    """On Lambda build what this function needs, before its first event; elsewhere do nothing.

    Raises:
        SettingsError: naming every missing or malformed setting; the function does not start.
    """
    handler = lambda_handler()
    if handler is None:
        return
    made = engine()
    name = handler.rpartition(".")[2]
    if name == "app":
        _ = made.receiving(Vendor.TWILIO), made.delivery_reports  # an e-mail's parsers are loaded by the first one
    elif name == "send_replies":
        _ = made.replying, made.undelivered_messages, made.fallback_sending, made.typing_indicators
        _ = made.tables, made.queues
    elif name == "send_human_replies":
        _ = made.replying, made.tables, made.queues
    elif name == "answer_batches":
        _ = made.answering
    elif name.startswith("batch_"):
        _ = made.batching, made.tables, made.queues
    elif name == "recover_orphaned_messages":
        _ = made.orphans, made.tables, made.queues
    else:
        _ = made.sweeping, made.tables, made.queues
