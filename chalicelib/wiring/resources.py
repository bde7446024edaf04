"""What AWS gives to one process: the settings, the clients, and the tables, queues, secrets and bucket behind them.

Each is built on first use. A new client costs milliseconds, and a function uses few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from uuid import uuid4

from chalicelib.aws.calls import Service
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.aws.secrets import SecretsManager
from chalicelib.aws.sqs import SqsQueue
from chalicelib.channels.channel import Channel
from chalicelib.channels.credentials import CredentialCache
from chalicelib.channels.registry import channels
from chalicelib.clock import Clock, SystemClock
from chalicelib.errors import Code
from chalicelib.ports.buckets import Bucket
from chalicelib.ports.queues import Queues
from chalicelib.ports.tables import Tables
from chalicelib.settings import Settings, SettingsError
from chalicelib.telemetry import Telemetry
from chalicelib.telemetry.writer import CloudWatch


def new_id() -> str:
    """An id that nobody can guess and nobody else has: 32 hexadecimal digits."""
    return uuid4().hex


@dataclass(eq=False, repr=False)
class Resources:
    """The resources of one process, each built once."""

    clock: Clock = field(default_factory=SystemClock)
    new_id: Callable[[], str] = new_id

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
    def channels(self) -> Mapping[str, Channel]:
        return {channel.name: channel for channel in channels(self.settings)}

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
    def _dynamodb(self) -> Service:
        return Service(self.clients.of("dynamodb"), Code.DB_TRANSIENT_ERROR, Code.DB_QUERY_ERROR)

    @cached_property
    def _sqs(self) -> Service:
        return Service(self.clients.of("sqs"), Code.QUEUE_ERROR, Code.QUEUE_ERROR)

    def _table(self, name: str) -> DynamoTable:
        return DynamoTable(self._dynamodb, name)

    def _queue(self, name: str) -> SqsQueue:
        return SqsQueue(self._sqs, name)
