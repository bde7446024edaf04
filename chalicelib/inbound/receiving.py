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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from chalicelib.channels.channel import Channel
from chalicelib.channels.provider import PROBE_HEADER, Provider, WebhookRequest
from chalicelib.channels.verification import Verification
from chalicelib.clock import Clock, Deadline
from chalicelib.conversations import lookup, staged_contexts
from chalicelib.conversations.binding import is_own_secret
from chalicelib.conversations.companies import Companies
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.handoff import Handoff
from chalicelib.conversations.identity import Known, look_elsewhere, needs_a_look
from chalicelib.conversations.lookup import Found
from chalicelib.conversations.opt_out import mark_at_once, opt_out_request, report_unknown
from chalicelib.conversations.policies import Policies, Policy, PolicyOf
from chalicelib.conversations.routing import Route, Routing, determine_target_queue, unauthenticated_action
from chalicelib.conversations.rules import validate_conversation_rules
from chalicelib.conversations.window import first_delay_seconds
from chalicelib.errors import Code, EngineError, Misconfigured, Rejected, TryAgain
from chalicelib.messages.attachments import AttachmentStore, RequestAttachments
from chalicelib.messages.inbound import InboundMessage, OptOut
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Tables
from chalicelib.protocol import conversation_lock, staging, trigger_lock, turns
from chalicelib.protocol.staging import Duplicate, Staged, StagedMessage
from chalicelib.protocol.trigger_lock import AlreadyTriggered, Trigger, Triggered
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail
from chalicelib.telemetry.trail import unverified
from chalicelib.unknown_senders.policy import UnknownSenderPolicy, code_of


@dataclass(frozen=True)
class Outcome:
    """The outcome of a message, as the answer to its provider and its sender needs it."""

    code: Code | None = None
    """None: it is staged, or was already. Else why it was refused, or what the sweep mends after it was staged."""
    notice: str = ""
    """The text for the sender at once: the conversation is locked, or has no row; empty: none."""
    is_probe: bool = False
    """It was no message: somebody who can sign as the provider does asked whether that is accepted, and it is."""


class Receiving:
    """Receives the webhooks of one provider."""

    def __init__(
        self,
        *,
        provider: Provider,
        channels: Mapping[str, Channel],
        tables: Tables,
        queues: Queues,
        verification: Verification,
        handoff: Handoff,
        attachment_store: AttachmentStore,
        unknown_sender_policy: UnknownSenderPolicy,
        policies: Policies,
        companies: Companies,
        clock: Clock,
        new_id: Callable[[], str],
        settings: Settings,
    ) -> None:
        self._provider = provider
        self._channels = channels
        self._tables = tables
        self._queues = queues
        self._verification = verification
        self._handoff = handoff
        self._attachment_store = attachment_store
        self._unknown_sender_policy = unknown_sender_policy
        self._policies = policies
        self._companies = companies
        self._clock = clock
        self._new_id = new_id
        self._settings = settings

    def require_proof(self, headers: Mapping[str, str], url_token: str) -> None:
        """Refuse a request without any proof, before its body is touched.

        Raises:
            Rejected: `INVALID_SIGNATURE`.
        """
        self._verification.require_proof(headers, url_token)

    def parse(self, request: WebhookRequest) -> Sequence[InboundMessage]:
        """The message of a request, once for each of its recipients.

        Raises:
            Rejected: the sender; it is no message.
        """
        return self._provider.parse(request)

    def attachments(self, deadline: Deadline) -> RequestAttachments:
        """What keeps the enclosures of one request, for all of its recipients."""
        return self._attachment_store.for_request(deadline)

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
        tables = self._tables.within(deadline)
        channel = self._channels[message.channel]
        found = self._begin(tables, channel, message, trail)
        credential_ref = self._credential_ref(found, channel)
        try:
            self._verification.verify(request, message.account_id, credential_ref, deadline, trail)
        except Rejected:
            if found.key is not None:
                # A stranger's request has asked for this too: a forger must not learn who is a customer.
                self._companies.find(tables.conversations, channel, message.recipient)
            raise
        if _is_probe(request, message):
            return Outcome(is_probe=True)
        judged = self._judged(found, message, trail)
        trail.bind(message_sid=judged.message_sid)
        if judged.sender != message.sender:  # found so far by the address of a list that passed it on
            of_author: Found | None = self._find(tables, channel, judged, trail)
        else:
            of_author = self._find_respelled(tables, channel, found, judged, trail)
        if of_author is not None:
            found = of_author
            ref = self._credential_ref(found, channel)
            if ref != credential_ref:
                self._verification.verify(request, judged.account_id, ref, deadline, trail)
        return self._take(found, judged, attachments, deadline, trail)

    def receive_proven(self, message: InboundMessage, trail: Trail) -> Outcome:
        """Take in a message that needs no proof of its own, for the provider's list of messages told it.

        Raises:
            Rejected, TryAgain, Misconfigured: as `receive`; nothing is staged for certain.
        """
        deadline = Deadline.after(self._clock, self._settings.webhook_deadline_seconds)
        tables, channel = self._tables.within(deadline), self._channels[message.channel]
        found = self._begin(tables, channel, message, trail)
        trail.bind(message_sid=message.message_sid)
        found = self._find_respelled(tables, channel, found, message, trail) or found
        # Nobody waits for an answer that could tell an unknown sender something.
        proven = replace(message, may_be_notified=False, is_of_list=True)
        return self._take(found, proven, self.attachments(deadline), deadline, trail)

    def _begin(self, tables: Tables, channel: Channel, message: InboundMessage, trail: Trail) -> Found:
        trail.bind(message_sid=unverified(message.message_sid), channel=channel.name)
        trail.log(Step.RECEIVED)
        trail.count(Metric.RECEIVED)
        return self._find(tables, channel, message, trail)

    def _take(
        self,
        found: Found,
        message: InboundMessage,
        attachments: RequestAttachments,
        deadline: Deadline,
        trail: Trail,
    ) -> Outcome:
        """The outcome of a message that is proven."""
        tables, queues = self._tables.within(deadline), self._queues.within(deadline)
        channel = self._channels[message.channel]
        _pass_or_refuse(message)
        _require_authentication(message, self._policies.for_channels(found, trail))
        conversation = self._load(tables, found, message)
        if conversation is None:
            notice = self._unknown_sender_policy.respond(tables, queues, channel, found, message, trail)
            return Outcome(code_of(channel, message), notice)
        trail.bind(conversation_id=conversation.key.conversation_id)
        trail.log(Step.CONTEXT_LOADED, Level.DEBUG)
        known = self._known_elsewhere(tables, found, message)
        if known is not None:
            return self._repeat(tables, queues, known, trail)
        policy = self._policies.of(conversation, channel.name, trail)
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
            notice = self._unknown_sender_policy.respond(
                tables, queues, channel, found, message, trail, is_opted_out=is_opted_out
            )
            return Outcome(code_of(channel, message), notice)
        if refusal is Code.CONVERSATION_LOCKED:
            self._stamp_foreign_lock(tables, conversation)
            return Outcome(refusal, policy.locked_notice)
        if refusal is not None and refusal is not Code.OPTED_OUT:
            raise Rejected(refusal, "refused by the conversation's rules")
        routing = Routing(self._settings.handoff_flag_routes, lambda _: policy, self._clock.now())
        route = determine_target_queue(conversation, channel.name, message.sender, message.extras, routing)
        trail.log(Step.RULES_PASSED, Level.DEBUG, route=route.value)
        message, deadline = _with_content(message, conversation, deadline)
        attachments.extend(deadline)
        tables, queues = self._tables.within(deadline), self._queues.within(deadline)
        staged = self._stage(tables, conversation, message, policy, attachments, trail, route=route)
        if staged is None:
            return Outcome(refusal)
        if refusal is not None:  # what an opted-out customer writes is kept: stage 2 refuses it, and the record has it
            outcome = self._ensure_trigger(tables, queues, staged, trail, delay_seconds=0)
            return outcome if outcome.code is not None else Outcome(refusal)
        is_handed = (
            route is Route.HANDOFF
            and not conversation.record.is_locked
            and self._tried(lambda: self._handoff.run_at_once(tables, queues, conversation.key, trail), trail)
        )
        if is_handed:
            return Outcome()
        is_burst = route is Route.CHANNEL
        delay_seconds = first_delay_seconds(policy, self._settings.adaptive_window_min_seconds) if is_burst else 0
        outcome = self._ensure_trigger(tables, queues, staged, trail, delay_seconds=delay_seconds)
        may_be_told = is_burst and message.may_be_notified and channel.vendor.answer_style.carries_text
        return self._with_notice(outcome, tables, conversation, policy, trail) if may_be_told else outcome

    def _with_notice(
        self, outcome: Outcome, tables: Tables, conversation: Conversation, policy: Policy, trail: Trail
    ) -> Outcome:
        """An outcome that tells the customer that an answer is being written, where it is: once per answered batch.

        A courtesy: where the mark cannot be set, nothing is told.
        """
        record, table, now = conversation.record, tables.conversations, self._clock.now()
        is_new = record.is_locked and record.notice_at is None and bool(policy.locked_notice) and outcome.code is None
        is_ours = is_new and self._tried(lambda: turns.note_notice(table, record, now=now), trail)
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
        staged = self._stage(tables, conversation, message, policy, None, trail, route=None)
        code = Code.OPTED_OUT if request is OptOut.STOP else None
        if staged is None:
            return Outcome(code)
        if request is OptOut.STOP:
            names = self._settings.context_attributes
            self._tried(lambda: mark_at_once(tables, conversation.key, self._clock, names), trail)
        outcome = self._ensure_trigger(tables, queues, staged, trail, delay_seconds=0)
        return outcome if outcome.code is not None else Outcome(code)

    def _known_elsewhere(self, tables: Tables, found: Found, message: InboundMessage) -> Known | None:
        """Whether an older conversation of the pair has the message; asked only where this one is young."""
        horizon = self._settings.dedupe_hours
        if not found.older or not needs_a_look(found.created_at, now=self._clock.now(), horizon_hours=horizon):
            return None
        return look_elsewhere(tables, found.older, message.message_sid)

    def _repeat(self, tables: Tables, queues: Queues, known: Known, trail: Trail) -> Outcome:
        """A retry, or a replay, of a message that an older conversation of the pair has."""
        trail.log(Step.DUPLICATE)
        trail.count(Metric.DUPLICATE, outcome="staged" if known.staged else "answered")
        if known.staged is None:
            return Outcome()
        return self._ensure_trigger(tables, queues, known.staged, trail, delay_seconds=0)

    @staticmethod
    def _tried(act: Callable[[], bool], trail: Trail) -> bool:
        """Whether something was done for a staged message at once; a fault is logged, and left to its trigger."""
        try:
            return act()
        except (TryAgain, Misconfigured) as fault:
            trail.fault(Step.FAILED, fault, Level.WARNING)
            trail.count(Metric.FAULT, outcome=fault.code.value)
            return False

    def _credential_ref(self, found: Found, channel: Channel) -> str:
        """The name of the company's own secret.

        Raises:
            Misconfigured: `MISSING_CREDENTIAL_CONFIG`; there is none, or it is another company's.
        """
        ref = lookup.require_credential_ref(found, channel)
        if not is_own_secret(self._settings.credential_ref_pattern, ref, found.tenant):
            detail = f"a row of tenant {found.tenant} names another company's secret"
            raise Misconfigured(Code.MISSING_CREDENTIAL_CONFIG, detail)
        return ref

    def _judged(self, found: Found, message: InboundMessage, trail: Trail) -> InboundMessage:
        """A verified message under its own id, from its author by the company's policy."""
        if message.unread is None:
            return message
        lists = self._policies.of(found, message.channel, trail).list_addresses
        return message.unread.judged(message, lists=lists)

    def _find(self, tables: Tables, channel: Channel, message: InboundMessage, trail: Trail) -> Found:
        """The conversation by the two addresses; else the company alone."""
        found = lookup.find_pair(tables.conversations, channel, message) or self._companies.find(
            tables.conversations, channel, message.recipient
        )
        if found is None:
            # Told like a forgery: only a proven provider learns that an address is unknown.
            raise Rejected(Code.INVALID_SIGNATURE, "the address is no company's")
        self._tell_found(found, trail)
        return found

    def _find_respelled(
        self, tables: Tables, channel: Channel, found: Found, message: InboundMessage, trail: Trail
    ) -> Found | None:
        """The conversation by another spelling of the customer's number, where the look-up found none."""
        if found.key is not None:
            return None
        respelled = lookup.find_respelled(tables.conversations, channel, message)
        if respelled is not None:
            trail.log(Step.RESPELLED, Level.DEBUG)
            self._tell_found(respelled, trail)
        return respelled

    @staticmethod
    def _tell_found(found: Found, trail: Trail) -> None:
        trail.bind(tenant=found.tenant)
        trail.log(Step.LOOKED_UP, Level.DEBUG, count=found.active_count)
        if found.active_count > 1:
            trail.log(Step.SEVERAL_ACTIVE, Level.WARNING, count=found.active_count)

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
            self._settings.context_attributes,
            with_messages=_is_to_be_kept(message) or message.unread is not None,
        )

    def _stamp_foreign_lock(self, tables: Tables, conversation: Conversation) -> None:
        """Nothing is staged for a refused message, so no trigger would ever let such a lock begin to age."""
        if conversation.record.started_at is None:
            conversation_lock.stamp(
                tables.conversations,
                conversation.record,
                shards=self._settings.lock_index_shards,
                now=self._clock.now(),
            )

    def _stage(
        self,
        tables: Tables,
        conversation: Conversation,
        message: InboundMessage,
        policy: Policy,
        attachments: RequestAttachments | None,
        trail: Trail,
        *,
        route: Route | None,
    ) -> StagedMessage | None:
        """The row that stands for the message now: the one written, or the one that a retry finds.

        None: a retry of what is in the record, and staged no more.
        """
        if attachments is not None and _is_to_be_kept(message):
            existing = staging.find(tables.stage, conversation.key, message.message_sid)
            if existing is not None:  # a retry: what came with it is kept already
                return _duplicate(existing, trail)
            if message.message_sid in conversation.record.entry_ids:  # read before the stage: it was settled
                trail.log(Step.DUPLICATE)
                trail.count(Metric.DUPLICATE, outcome="answered")
                return None
            message = attachments.store(message, conversation.tenant)
        now = self._clock.now()
        staged = StagedMessage(
            conversation=conversation.key,
            message_sid=message.message_sid,
            channel=message.channel,
            tenant=conversation.tenant,
            received_at=message.received_at,
            context=staged_contexts.staged_context(message, request_id=trail.request_id, now=now),
            opt_out=message.opt_out.value if message.opt_out else None,
            opt_out_keyword=message.opt_out_keyword.value if message.opt_out_keyword else None,
            moved_before_seen=conversation.record.moved_before,
            due_at=message.received_at
            + timedelta(seconds=policy.batch_max_wait_seconds if route is Route.CHANNEL else 0),
        )
        try:
            outcome = staging.stage(tables.stage, staged, now=now, ttl_hours=self._settings.stage_ttl_hours)
        except TryAgain as fault:
            raise TryAgain(Code.STAGE_WRITE_ERROR, fault.detail, maybe_applied=fault.maybe_applied) from fault
        match outcome:
            case Staged():
                told = route.value if route is not None else "opt_out"
                trail.log(Step.STAGED, route=told)
                trail.count(Metric.STAGED, outcome=told)
                return staged
            case Duplicate(existing):
                return _duplicate(existing, trail)

    def _ensure_trigger(
        self,
        tables: Tables,
        queues: Queues,
        staged: StagedMessage,
        trail: Trail,
        *,
        delay_seconds: int,
    ) -> Outcome:
        """See to a trigger for a staged message; a fault is reported and acknowledged, for the sweep takes over."""
        try:
            outcome = trigger_lock.ensure(
                tables.trigger_lock,
                queues.trigger(staged.channel),
                Trigger(staged.conversation, self._new_id()),
                delay_seconds=delay_seconds,
                now=self._clock.now(),
                tenant=staged.tenant,
            )
        except (TryAgain, Misconfigured) as fault:
            trail.fault(Step.FAILED, fault)
            return Outcome(_after_staging(fault))
        match outcome:
            case Triggered(trigger, lock_fault=None):
                trail.log(Step.TRIGGERED, trigger_id=trigger.trigger_id, seconds=delay_seconds)
                return Outcome()
            case Triggered(trigger, lock_fault):
                assert lock_fault is not None, "the other case is matched above"
                trail.fault(Step.TRIGGERED, lock_fault, trigger_id=trigger.trigger_id)
                return Outcome(Code.TRIGGER_LOCK_WRITE_ERROR)
            case AlreadyTriggered():
                trail.log(Step.WAITING, Level.DEBUG)
                return Outcome()


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


def _is_to_be_kept(message: InboundMessage) -> bool:
    """Whether something came with a message that its row has no room for."""
    return bool(message.attachments) or message.whole is not None


def _duplicate(existing: StagedMessage, trail: Trail) -> StagedMessage:
    trail.log(Step.DUPLICATE)
    trail.count(Metric.DUPLICATE, outcome="staged")
    return existing


def _is_probe(request: WebhookRequest, message: InboundMessage) -> bool:
    """Whether a request only asks if it is proven: it says so, and comes from the very address that it goes to.

    No customer's message does the latter, so a header that strays in loses nothing.
    """
    return PROBE_HEADER in request.headers and message.sender == message.recipient


def _after_staging(fault: EngineError) -> Code:
    """The code of a fault that the sweep mends: one that the table answers as received."""
    return Code.QUEUE_ERROR if fault.code is Code.QUEUE_ERROR else Code.TRIGGER_LOCK_WRITE_ERROR
