"""The composition root: the only place that constructs the collaborators, each once.

On Lambda the use case of a function is built at import. So a missing setting stops the function at once, and the
clients are made in the time that Lambda gives to starting. Elsewhere each is built on first use, so `import app` needs
no credentials, no network and no settings.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from chalicelib.aws.calls import Service
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.aws.secrets import SecretsManager
from chalicelib.aws.sqs import SqsQueue
from chalicelib.channels.channel import Channel, Fetcher, Provider, Sender, Vendor
from chalicelib.channels.credentials import CredentialCache
from chalicelib.channels.registry import channels
from chalicelib.channels.sendgrid.outcomes import TABLE as SENDGRID_CODES
from chalicelib.channels.twilio.outcomes import REFUSALS
from chalicelib.channels.twilio.outcomes import TABLE as TWILIO_CODES
from chalicelib.channels.twilio.webhooks import Twilio
from chalicelib.channels.verification import Verification
from chalicelib.clock import Clock, SystemClock
from chalicelib.conversations.companies import Companies
from chalicelib.conversations.handoff import Handoff
from chalicelib.conversations.lookup import holds_lock
from chalicelib.conversations.policies import Policies
from chalicelib.errors import Code
from chalicelib.inbound.receiving import Receiving
from chalicelib.messages.attachments import AttachmentStore
from chalicelib.ports.buckets import Bucket
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Tables
from chalicelib.settings import SWEEP_THREADS, Settings, SettingsError
from chalicelib.settings.process import lambda_handler
from chalicelib.telemetry import Telemetry
from chalicelib.telemetry.writer import CloudWatch
from chalicelib.unknown_senders.policy import UnknownSenderPolicy

if TYPE_CHECKING:
    from chalicelib.ai_worker.answering import Answering, Model
    from chalicelib.batches.batching import Batching
    from chalicelib.batches.media_copying import MediaCopying
    from chalicelib.channels.connections import Connections
    from chalicelib.outbound.delivery_reports import DeliveryReports
    from chalicelib.outbound.parts import PartSending
    from chalicelib.outbound.planning import Planning
    from chalicelib.outbound.replying import Replying
    from chalicelib.outbound.typing import TypingIndicators
    from chalicelib.outbound.undelivered import UndeliveredMessages
    from chalicelib.repair.executors import Executor
    from chalicelib.repair.handing_over import HandingOver
    from chalicelib.repair.orphans import Orphans
    from chalicelib.repair.retriggering import Retriggering
    from chalicelib.repair.stalled_locks import StalledLocks
    from chalicelib.repair.sweeping import Sweeping
    from chalicelib.unknown_senders.fallback_message import FallbackSending


def new_id() -> str:
    """An id that nobody can guess and nobody else has: 32 hexadecimal digits."""
    return uuid4().hex


class Engine:
    """The use cases of one process and what they share."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self._receiving: dict[Vendor, Receiving] = {}

    @cached_property
    def settings(self) -> Settings:
        """Raises `SettingsError` on each use until the environment is mended."""
        return Settings.from_environment()

    @cached_property
    def telemetry(self) -> Telemetry:
        """Speaks even where the settings are at fault, for that has to be told."""
        try:
            return CloudWatch(self.settings.stage, self.settings.log_level)
        except SettingsError:
            return CloudWatch("unknown", "INFO")

    @cached_property
    def clients(self) -> Clients:
        return Clients(self.settings)

    @cached_property
    def tables(self) -> Tables:
        names = self.settings
        return Tables(
            conversations=self._table(names.conversations_table),
            stage=self._table(names.stage_table),
            trigger_lock=self._table(names.trigger_lock_table),
            history=self._table(names.history_table),
            sends=self._table(names.sends_table),
            unknown_senders=self._table(names.unknown_senders_table),
        )

    @cached_property
    def queues(self) -> Queues:
        names = self.settings
        triggers = {channel.name: channel.queue_name for channel in self.channels.values()}
        return Queues(
            triggers={channel: self._queue(name) for channel, name in triggers.items()},
            dead_triggers={channel: self._queue(name + names.dead_letter_suffix) for channel, name in triggers.items()},
            handoff=self._queue(names.human_handoff_queue),
            ai=self._queue(names.ai_queue),
            replies=self._queue(names.ai_replies_queue),
            dead_replies=self._queue(names.ai_replies_queue + names.dead_letter_suffix),
            human_replies=self._queue(names.human_replies_queue),
            dead_human_replies=self._queue(names.human_replies_queue + names.dead_letter_suffix),
        )

    @cached_property
    def credentials(self) -> CredentialCache:
        return CredentialCache(
            SecretsManager(
                Service(self.clients.of("secretsmanager"), Code.SECRET_FETCH_TRANSIENT_ERROR, Code.SECRET_FETCH_FAILED)
            ),
            self.clock,
            ttl_seconds=self.settings.secret_ttl_seconds,
            refresh_seconds=self.settings.secret_refresh_seconds,
        )

    @cached_property
    def bucket(self) -> Bucket:
        """Makes its clients on first use: most invocations keep nothing."""

        def service(name: str) -> Service:
            return Service(self.clients.of(name), Code.STAGE_WRITE_ERROR, Code.CONFIGURATION_ERROR)

        return S3Bucket(
            partial(service, "s3"),
            partial(service, "sts"),
            self.settings.attachments_bucket,
            self.clock,
            self.settings.bucket_read_timeout_seconds,
        )

    @cached_property
    def channels(self) -> Mapping[str, Channel]:
        return {channel.name: channel for channel in channels(self.settings)}

    @cached_property
    def policies(self) -> Policies:
        return Policies(self.settings)

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
            queues=self.queues,
            verification=Verification(provider, self.credentials),
            handoff=self._handoff,
            policies=self.policies,
            attachment_store=AttachmentStore(self.bucket, new_id),
            unknown_sender_policy=self._unknown_sender_policy,
            companies=Companies(self.clock),
            clock=self.clock,
            new_id=new_id,
            settings=self.settings,
        )

    @cached_property
    def delivery_reports(self) -> DeliveryReports:
        from chalicelib.outbound.delivery_reports import DeliveryReports  # noqa: PLC0415 - a function loads what it serves

        return DeliveryReports(
            provider=self._twilio,
            verification=Verification(self._twilio, self.credentials),
            codes=TWILIO_CODES,
            tables=self.tables,
            queues=self.queues,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def senders(self) -> Mapping[str, Sender]:
        from chalicelib.channels.sendgrid.sending import SendGridSender  # noqa: PLC0415 - only for the function that sends
        from chalicelib.channels.twilio.sending import TwilioSender  # noqa: PLC0415 - only for the function that sends

        names = self.settings
        timeouts = names.provider_connect_timeout_seconds, names.provider_read_timeout_seconds
        senders: Mapping[Vendor, Sender] = {
            Vendor.TWILIO: TwilioSender(*timeouts, base_url=names.twilio_api_base_url, connections=self._connections),
            Vendor.SENDGRID: SendGridSender(
                *timeouts, base_url=names.sendgrid_api_base_url, connections=self._connections
            ),
        }
        return {channel.name: senders[channel.vendor] for channel in self.channels.values()}

    @cached_property
    def _connections(self) -> Connections:
        from chalicelib.channels.connections import Connections  # noqa: PLC0415 - only for the functions that ask providers

        return Connections(self.clock)

    @cached_property
    def replying(self) -> Replying:
        from chalicelib.outbound.endings import Endings  # noqa: PLC0415 - a function loads what it serves
        from chalicelib.outbound.replying import Replying  # noqa: PLC0415 - a function loads what it serves

        return Replying(
            planning=self._planning,
            parts=self._parts,
            handoff=self._handoff,
            endings=Endings(self.retriggering, self.clock, self.settings),
            policies=self.policies,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def typing_indicators(self) -> TypingIndicators:
        from chalicelib.outbound.typing import TypingIndicators  # noqa: PLC0415 - a function loads what it serves

        shown = {name: self.senders[name] for name, channel in self.channels.items() if channel.shows_typing}
        indicators: Mapping[str, Any] = shown  # what shows typing is a sender that can
        return TypingIndicators(indicators, self.credentials, self.policies, self.settings)

    @cached_property
    def _unknown_sender_policy(self) -> UnknownSenderPolicy:
        return UnknownSenderPolicy(self.policies, self.clock, self.settings)

    @cached_property
    def undelivered_messages(self) -> UndeliveredMessages:
        from chalicelib.outbound.undelivered import UndeliveredMessages  # noqa: PLC0415 - a function loads what it serves
        from chalicelib.outbound.undelivered_handoff import UndeliveredHandoff  # noqa: PLC0415 - as above

        return UndeliveredMessages(
            planning=self._planning,
            parts=self._parts,
            handoff=UndeliveredHandoff(self._handoff, self.clock, self.settings),
            channels=self.channels,
            codes={Vendor.TWILIO: TWILIO_CODES, Vendor.SENDGRID: SENDGRID_CODES},
            policies=self.policies,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def fallback_sending(self) -> FallbackSending:
        from chalicelib.unknown_senders.fallback_message import FallbackSending  # noqa: PLC0415 - a function loads what it serves

        return FallbackSending(
            senders=self.senders,
            channels=self.channels,
            credentials=self.credentials,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def batching(self) -> Batching:
        from chalicelib.batches.batching import Batching  # noqa: PLC0415 - a function loads what it serves

        return Batching(
            handoff=self._handoff,
            stalled_locks=self._stalled_locks,
            policies=self.policies,
            media_copying=self._media_copying,
            clock=self.clock,
            new_id=new_id,
            settings=self.settings,
        )

    @cached_property
    def fetchers(self) -> Mapping[str, Fetcher]:
        """By channel, where its provider keeps the media of messages; what e-mails enclose is in our bucket already."""
        from chalicelib.channels.twilio.media import TwilioMedia  # noqa: PLC0415 - only where media are copied

        names = self.settings
        timeouts = names.provider_connect_timeout_seconds, names.provider_read_timeout_seconds
        fetchers: Mapping[Vendor, Fetcher] = {
            Vendor.TWILIO: TwilioMedia(*timeouts, base_url=names.twilio_api_base_url, connections=self._connections)
        }
        return {name: fetchers[one.vendor] for name, one in self.channels.items() if one.vendor in fetchers}

    @cached_property
    def answering(self) -> Answering:
        """The AI worker. The record remembers its replies: a batch that was answered holds its lock no more."""
        from chalicelib.ai_worker.answering import Answering, NoReplies  # noqa: PLC0415 - of one function alone
        from chalicelib.ai_worker.prompts import INSTRUCTIONS  # noqa: PLC0415 - as above

        return Answering(
            self._model,
            send=lambda body, tenant: self.queues.replies.send(body, group=tenant),
            replies=NoReplies(),
            holds_lock=partial(holds_lock, self.tables.conversations),
            instructions=self.settings.ai_worker_instructions or INSTRUCTIONS,
        )

    @cached_property
    def _model(self) -> Model:
        from chalicelib.ai_worker.answering import echo  # noqa: PLC0415 - of one function alone
        from chalicelib.aws.bedrock import Bedrock  # noqa: PLC0415 - as above

        if self.settings.ai_worker != "bedrock":
            return echo
        service = Service(self.clients.of("bedrock-runtime"), Code.INTERNAL_ERROR, Code.CONFIGURATION_ERROR)
        return Bedrock(service, self.settings.ai_worker_model)

    @cached_property
    def sweeping(self) -> Sweeping:
        from chalicelib.repair.sweeping import Sweeping  # noqa: PLC0415 - a function loads what it serves

        return Sweeping(
            locks=self._stalled_locks,
            retriggering=self.retriggering,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def orphans(self) -> Orphans:
        from chalicelib.repair.orphans import Orphans  # noqa: PLC0415 - a function loads what it serves

        return Orphans(retriggering=self.retriggering, clock=self.clock, new_id=new_id, settings=self.settings)

    @cached_property
    def executor(self) -> Executor:
        """Makes the repairs of a sweep."""
        from chalicelib.repair.executors import Threads  # noqa: PLC0415 - a function loads what it serves

        return Threads(SWEEP_THREADS)

    @cached_property
    def handing_over(self) -> HandingOver:
        from chalicelib.repair.handing_over import HandingOver  # noqa: PLC0415 - a function loads what it serves

        return HandingOver(self._handoff, self.retriggering)

    @cached_property
    def retriggering(self) -> Retriggering:
        from chalicelib.repair.retriggering import Retriggering  # noqa: PLC0415 - a function loads what it serves

        return Retriggering(self.clock, new_id)

    def _provider(self, vendor: Vendor) -> Provider:
        match vendor:
            case Vendor.TWILIO:
                return self._twilio
            case Vendor.SENDGRID:
                from chalicelib.channels.sendgrid.webhooks import SendGrid  # noqa: PLC0415 - its parsers are for e-mail alone

                return SendGrid(self._channels_of(vendor), self.clock, self.settings)

    @cached_property
    def _twilio(self) -> Twilio:
        return Twilio(self._channels_of(Vendor.TWILIO), self.clock)

    def _channels_of(self, vendor: Vendor) -> tuple[Channel, ...]:
        return tuple(channel for channel in self.channels.values() if channel.vendor is vendor)

    @cached_property
    def _planning(self) -> Planning:
        from chalicelib.outbound.planning import Planning  # noqa: PLC0415 - a function loads what it serves

        return Planning(
            senders=self.senders,
            channels=self.channels,
            credentials=self.credentials,
            policies=self.policies,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def _parts(self) -> PartSending:
        from chalicelib.outbound.parts import PartSending  # noqa: PLC0415 - a function loads what it serves

        return PartSending(
            planning=self._planning,
            senders=self.senders,
            refusals={Vendor.TWILIO: REFUSALS},
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def _handoff(self) -> Handoff:
        return Handoff(self.policies, self.clock, new_id, self.settings)

    @cached_property
    def _stalled_locks(self) -> StalledLocks:
        from chalicelib.repair.stalled_locks import StalledLocks  # noqa: PLC0415 - a function loads what it serves

        return StalledLocks(self._handoff, self.policies, self.clock, self.settings)

    @cached_property
    def _media_copying(self) -> MediaCopying | None:
        """None: media stay where they are, and nothing that fetches is loaded."""
        if not self.settings.media_copying:
            return None
        from chalicelib.batches.media_copying import MediaCopying  # noqa: PLC0415 - a function loads what it serves

        return MediaCopying(
            fetchers=self.fetchers,
            bucket=self.bucket,
            credentials=self.credentials,
            clock=self.clock,
            new_id=new_id,
            settings=self.settings,
        )

    @cached_property
    def _dynamodb(self) -> Service:
        return Service(self.clients.of("dynamodb"), Code.DB_TRANSIENT_ERROR, Code.DB_QUERY_ERROR)

    @cached_property
    def _sqs(self) -> Service:
        return Service(self.clients.of("sqs"), Code.QUEUE_ERROR, Code.QUEUE_ERROR)

    def _table(self, name: str) -> DynamoTable:
        return DynamoTable(self._dynamodb, name)

    def _queue(self, name: str) -> SqsQueue:
        return SqsQueue(self._sqs, name)


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
