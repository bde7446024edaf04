"""Admitting: a proven message passes the rules of its conversation, and is staged, handed to people or refused.

Guarantee: a message that is not refused is staged before its provider gets an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from chalicelib.channels.channel import Channel
from chalicelib.clock import Clock, Deadline
from chalicelib.conversations import lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.handoff import Handoff
from chalicelib.conversations.identity import Known, look_elsewhere, needs_a_look
from chalicelib.conversations.lookup import Found
from chalicelib.conversations.opt_out import mark_at_once, opt_out_request, report_unknown
from chalicelib.conversations.policies import Policies, Policy, PolicyOf
from chalicelib.conversations.routing import Route, Routing, determine_target_queue, unauthenticated_action
from chalicelib.conversations.rules import validate_conversation_rules
from chalicelib.conversations.window import first_delay_seconds
from chalicelib.errors import Code, Misconfigured, Rejected, TryAgain
from chalicelib.inbound.outcome import Outcome
from chalicelib.inbound.storing import Storing, is_to_be_kept
from chalicelib.messages.attachments import RequestAttachments
from chalicelib.messages.inbound import InboundMessage, OptOut
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Tables
from chalicelib.protocol import conversation_lock, turns
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail
from chalicelib.unknown_senders.policy import UnknownSenderPolicy, code_of


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Admitting:
    """Admits proven messages."""

    channels: Mapping[str, Channel]
    tables: Tables
    queues: Queues
    storing: Storing
    handoff: Handoff
    unknown_sender_policy: UnknownSenderPolicy
    policies: Policies
    clock: Clock
    settings: Settings

    def admit(
        self,
        found: Found,
        message: InboundMessage,
        attachments: RequestAttachments,
        deadline: Deadline,
        trail: Trail,
    ) -> Outcome:
        """The outcome of a message that is proven."""
        tables, queues = self.tables.within(deadline), self.queues.within(deadline)
        channel = self.channels[message.channel]
        _pass_or_refuse(message)
        _require_authentication(message, self.policies.for_channels(found, trail))
        conversation = self._load(tables, found, message)
        if conversation is None:
            return self._turn_away(tables, queues, channel, found, message, trail)
        trail.bind(conversation_id=conversation.key.conversation_id)
        trail.log(Step.CONTEXT_LOADED, Level.DEBUG)
        known = self._known_elsewhere(tables, found, message)
        if known is not None:
            return self._repeat(tables, queues, known, trail)
        policy = self.policies.of(conversation, channel.name, trail)
        message = _with_keywords(message, policy)
        is_opted_out = conversation.is_opted_out_of(channel.name)
        report_unknown(message, trail)
        request = opt_out_request(message, is_opted_out=is_opted_out)
        if request is not None:
            return self._opt_out(tables, queues, conversation, message, policy, request, trail)
        refusal = validate_conversation_rules(
            conversation, channel.name, lock_matters=policy.on_new_message == "reject"
        )
        if refusal is Code.CONVERSATION_NOT_FOUND:
            return self._turn_away(tables, queues, channel, found, message, trail, is_opted_out=is_opted_out)
        if refusal is Code.CONVERSATION_LOCKED:
            self._stamp_foreign_lock(tables, conversation)
            return Outcome(refusal, policy.locked_notice)
        if refusal is not None and refusal is not Code.OPTED_OUT:
            raise Rejected(refusal, "refused by the conversation's rules")
        return self._store(
            conversation, message, policy, attachments, deadline, trail, is_opted_out=refusal is not None
        )

    def _store(
        self,
        conversation: Conversation,
        message: InboundMessage,
        policy: Policy,
        attachments: RequestAttachments,
        deadline: Deadline,
        trail: Trail,
        *,
        is_opted_out: bool,
    ) -> Outcome:
        """Route a message that the rules pass, and stage it.

        What an opted-out customer writes is kept too: stage 2 refuses it, and the record has it.
        """
        channel = self.channels[message.channel]
        code = Code.OPTED_OUT if is_opted_out else None
        routing = Routing(self.settings.handoff_flag_routes, lambda _: policy, self.clock.now())
        route = determine_target_queue(conversation, channel.name, message.sender, message.extras, routing)
        trail.log(Step.RULES_PASSED, Level.DEBUG, route=route.value)
        message, deadline = _with_content(message, conversation, deadline)
        attachments.extend(deadline)
        tables, queues = self.tables.within(deadline), self.queues.within(deadline)
        staged = self.storing.stage(tables, conversation, message, policy, attachments, trail, route=route)
        if staged is None:
            return Outcome(code)
        if is_opted_out:
            outcome = self.storing.ensure_trigger(tables, queues, staged, trail, delay_seconds=0)
            return outcome if outcome.code is not None else Outcome(code)
        is_handed = (
            route is Route.HANDOFF
            and not conversation.record.is_locked
            and _tried(lambda: self.handoff.run_at_once(tables, queues, conversation.key, trail), trail)
        )
        if is_handed:
            return Outcome()
        is_burst = route is Route.CHANNEL
        delay_seconds = first_delay_seconds(policy, self.settings.adaptive_window_min_seconds) if is_burst else 0
        outcome = self.storing.ensure_trigger(tables, queues, staged, trail, delay_seconds=delay_seconds)
        may_be_told = is_burst and message.may_be_notified and channel.vendor.answer_style.carries_text
        return self._with_notice(outcome, tables, conversation, policy, trail) if may_be_told else outcome

    def _turn_away(
        self,
        tables: Tables,
        queues: Queues,
        channel: Channel,
        found: Found,
        message: InboundMessage,
        trail: Trail,
        *,
        is_opted_out: bool = False,
    ) -> Outcome:
        """The company has no active conversation with the sender."""
        notice = self.unknown_sender_policy.respond(
            tables, queues, channel, found, message, trail, is_opted_out=is_opted_out
        )
        return Outcome(code_of(channel, message), notice)

    def _with_notice(
        self, outcome: Outcome, tables: Tables, conversation: Conversation, policy: Policy, trail: Trail
    ) -> Outcome:
        """An outcome that tells the customer that an answer is being written, where it is: once per answered batch.

        A courtesy: where the mark cannot be set, nothing is told.
        """
        record, table, now = conversation.record, tables.conversations, self.clock.now()
        is_new = record.is_locked and record.notice_at is None and bool(policy.locked_notice) and outcome.code is None
        is_ours = is_new and _tried(lambda: turns.note_notice(table, record, now=now), trail)
        return replace(outcome, notice=policy.locked_notice) if is_ours else outcome

    def _opt_out(
        self,
        tables: Tables,
        queues: Queues,
        conversation: Conversation,
        message: InboundMessage,
        policy: Policy,
        request: OptOut,
        trail: Trail,
    ) -> Outcome:
        """Stage a STOP, START or HELP; a STOP marks its channel at once, and stage 2 does the rest in its turn."""
        staged = self.storing.stage(tables, conversation, message, policy, None, trail, route=None)
        code = Code.OPTED_OUT if request is OptOut.STOP else None
        if staged is None:
            return Outcome(code)
        if request is OptOut.STOP:
            names = self.settings.context_attributes
            _tried(lambda: mark_at_once(tables, conversation.key, self.clock, names), trail)
        outcome = self.storing.ensure_trigger(tables, queues, staged, trail, delay_seconds=0)
        return outcome if outcome.code is not None else Outcome(code)

    def _known_elsewhere(self, tables: Tables, found: Found, message: InboundMessage) -> Known | None:
        """Whether an older conversation of the pair has the message; asked only where this one is young."""
        horizon = self.settings.dedupe_hours
        if not found.older or not needs_a_look(found.created_at, now=self.clock.now(), horizon_hours=horizon):
            return None
        return look_elsewhere(tables, found.older, message.message_sid)

    def _repeat(self, tables: Tables, queues: Queues, known: Known, trail: Trail) -> Outcome:
        """A retry, or a replay, of a message that an older conversation of the pair has."""
        trail.log(Step.DUPLICATE)
        trail.count(Metric.DUPLICATE, outcome="staged" if known.staged else "answered")
        if known.staged is None:
            return Outcome()
        return self.storing.ensure_trigger(tables, queues, known.staged, trail, delay_seconds=0)

    def _load(self, tables: Tables, found: Found, message: InboundMessage) -> Conversation | None:
        """The conversation; None: the company has no active one with this sender, or it is gone since the index.

        With its messages where something is to be kept, or the content is not read yet: whether the record has this one
        already, and what it repeats, is then known without a further call. DynamoDB counts the whole row either way.
        """
        if found.key is None:
            return None
        return lookup.load(
            tables.conversations,
            found.key,
            self.settings.context_attributes,
            with_messages=is_to_be_kept(message) or message.unread is not None,
        )

    def _stamp_foreign_lock(self, tables: Tables, conversation: Conversation) -> None:
        """Nothing is staged for a refused message, so no trigger would ever let such a lock begin to age."""
        if conversation.record.started_at is None:
            conversation_lock.stamp(
                tables.conversations,
                conversation.record,
                shards=self.settings.lock_index_shards,
                now=self.clock.now(),
            )


def _tried(act: Callable[[], bool], trail: Trail) -> bool:
    """Whether something was done for a staged message at once; a fault is logged, and left to its trigger."""
    try:
        return act()
    except (TryAgain, Misconfigured) as fault:
        trail.fault(Step.FAILED, fault, Level.WARNING)
        trail.count(Metric.FAULT, outcome=fault.code.value)
        return False


def _pass_or_refuse(message: InboundMessage) -> None:
    """Refuse what the channel itself does not take; the provider is proven.

    Raises:
        Rejected: the sender, or a machine.
        Misconfigured: a URL in the provider's console leads here and should not.
    """
    if message.refusal is Code.MISDIRECTED_CALLBACK:
        raise Misconfigured(message.refusal, "a status callback was sent to the URL for messages")
    if message.refusal is not None:
        raise Rejected(message.refusal, f"refused by the channel {message.channel}")


def _require_authentication(message: InboundMessage, policy_of: PolicyOf) -> None:
    """Refuse an e-mail whose sender is not authenticated, where the company's policy says so.

    Raises:
        Rejected: `SENDER_NOT_AUTHENTICATED`.
    """
    if unauthenticated_action(message.sender, message.extras, message.channel, policy_of) == "refuse":
        raise Rejected(Code.SENDER_NOT_AUTHENTICATED, "refused by the policy unauthenticated_email")


def _with_content(
    message: InboundMessage, conversation: Conversation, deadline: Deadline
) -> tuple[InboundMessage, Deadline]:
    """The message with its content read, and the deadline of what follows: later by what the reading took."""
    unread = message.unread
    if unread is None:
        return message, deadline
    spent_before = unread.seconds_spent
    read = unread.read(message, _said_before(conversation))
    return read, deadline.later(unread.seconds_spent - spent_before)


def _said_before(conversation: Conversation) -> Sequence[str]:
    """What the record holds of both sides' texts, the newest first: what an e-mail repeats of them is history."""
    contents = [entry.get("content") for entry in reversed(conversation.record.entries or ())]
    return [content for content in contents if isinstance(content, str)]


def _with_keywords(message: InboundMessage, policy: Policy) -> InboundMessage:
    """The message as the company's policy reads it: whether a default keyword of the provider counts.

    The provider's list does not tell what the provider made of a message: there its keywords count.
    """
    keywords_apply = message.is_of_list or policy.opt_out_keywords == "default"
    return message if keywords_apply else replace(message, opt_out_keyword=None)
