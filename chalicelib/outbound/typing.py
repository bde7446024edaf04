"""Shows that an answer is being written: once for each errand, and never repeated, even after a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from chalicelib.channels.credentials import CredentialCache
from chalicelib.channels.refusals import ask
from chalicelib.channels.sender import TypingIndicator
from chalicelib.clock import Deadline
from chalicelib.conversations import lookup
from chalicelib.conversations.binding import is_own_secret
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.policies import Policies
from chalicelib.errors import EngineError
from chalicelib.messages.typing import TypingErrand
from chalicelib.ports.queues import fair_group
from chalicelib.ports.tables import Tables
from chalicelib.protocol.entries import entry_id
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Step, Trail


@dataclass(frozen=True)
class Job:
    """One errand at work."""

    errand: TypingErrand
    tenant: str
    """The fairness group that the errand came with."""
    tables: Tables
    deadline: Deadline
    trail: Trail


@dataclass(frozen=True)
class TypingIndicators:
    """Shows typing indicators."""

    indicators: Mapping[str, TypingIndicator]
    """By channel; a channel without one shows none."""
    credentials: CredentialCache
    policies: Policies
    settings: Settings

    def process(self, job: Job) -> None:
        """Show the indicator, if the message still waits for an answer and the company wants that; never raises."""
        try:
            outcome = self._show(job)
        except EngineError as fault:
            job.trail.fault(Step.TYPING, fault, Level.WARNING)
            return
        job.trail.log(Step.TYPING, Level.DEBUG, outcome=outcome)

    def _show(self, job: Job) -> str:
        """The outcome, for the log."""
        conversation = lookup.load(job.tables.conversations, job.errand.conversation, self.settings.context_attributes)
        if conversation is None or fair_group(conversation.tenant) != job.tenant:
            return "refused"
        channel = self._channel(job.errand.message_id, conversation)
        if channel is None or not self.policies.of(conversation, channel, job.trail).typing_indicator:
            return "not shown"
        ref, indicator = conversation.credential_ref(channel), self.indicators.get(channel)
        is_own = ref is not None and is_own_secret(self.settings.credential_ref_pattern, ref, conversation.tenant)
        if indicator is None or ref is None or not is_own or conversation.is_opted_out_of(channel):
            return "not shown"
        show = partial(indicator.show_typing, job.errand.message_id)
        return ask(self.credentials, ref, self.credentials.get(ref, job.deadline), show) or "shown"

    @staticmethod
    def _channel(message_id: str, conversation: Conversation) -> str | None:
        """The channel of a message that waits for an answer; None: it waits no longer."""
        waiting = (one for one in conversation.record.unanswered if entry_id(one) == message_id)
        return next((str(one["channel_type"]) for one in waiting), None)
