"""What several use cases share, each built once for all of them.

What only some functions need is imported where it is built: a function loads what it serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from chalicelib.aws.calls import Service
from chalicelib.channels.channel import Channel, Vendor
from chalicelib.channels.provider import Provider
from chalicelib.channels.twilio.webhooks import Twilio
from chalicelib.conversations.handoff import Handoff
from chalicelib.conversations.people_queue import PeopleQueue
from chalicelib.conversations.policies import Policies
from chalicelib.errors import Code
from chalicelib.unknown_senders.policy import UnknownSenderPolicy
from chalicelib.wiring.resources import Resources

if TYPE_CHECKING:
    from chalicelib.ai_worker.answering import Model
    from chalicelib.batches.media_copying import MediaCopying
    from chalicelib.channels.connections import Connections
    from chalicelib.channels.fetcher import Fetcher
    from chalicelib.channels.outcomes import Table
    from chalicelib.channels.sender import Sender
    from chalicelib.outbound.parts import PartSending
    from chalicelib.outbound.planning import Planning
    from chalicelib.repair.retriggering import Retriggering
    from chalicelib.repair.stalled_locks import StalledLocks


class Collaborators(Resources):
    """The parts that the use cases of one process share."""

    @cached_property
    def policies(self) -> Policies:
        return Policies(self.settings)

    @cached_property
    def _handoff(self) -> Handoff:
        people = PeopleQueue(self.policies, self.clock, self.settings)
        return Handoff(people, self.clock, self.new_id, self.settings)

    @cached_property
    def retriggering(self) -> Retriggering:
        from chalicelib.repair.retriggering import Retriggering

        return Retriggering(self.clock, self.new_id)

    @cached_property
    def _stalled_locks(self) -> StalledLocks:
        from chalicelib.repair.stalled_locks import StalledLocks

        return StalledLocks(self._handoff, self.policies, self.clock, self.settings)

    @cached_property
    def _unknown_sender_policy(self) -> UnknownSenderPolicy:
        return UnknownSenderPolicy(self.policies, self.clock, self.settings)

    def _provider(self, vendor: Vendor) -> Provider:
        match vendor:
            case Vendor.TWILIO:
                return self._twilio
            case Vendor.SENDGRID:
                from chalicelib.channels.sendgrid.webhooks import SendGrid

                return SendGrid(self._channels_of(vendor), self.clock, self.settings)

    @cached_property
    def _twilio(self) -> Twilio:
        return Twilio(self._channels_of(Vendor.TWILIO), self.clock)

    def _channels_of(self, vendor: Vendor) -> tuple[Channel, ...]:
        return tuple(channel for channel in self.channels.values() if channel.vendor is vendor)

    @cached_property
    def _connections(self) -> Connections:
        from chalicelib.channels.connections import Connections

        return Connections(self.clock)

    @cached_property
    def senders(self) -> Mapping[str, Sender]:
        from chalicelib.channels.sendgrid.sending import SendGridSender
        from chalicelib.channels.twilio.sending import TwilioSender

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
    def fetchers(self) -> Mapping[str, Fetcher]:
        """By channel, where its provider keeps the media of messages; what e-mails enclose is in our bucket already."""
        from chalicelib.channels.twilio.media import TwilioMedia

        names = self.settings
        timeouts = names.provider_connect_timeout_seconds, names.provider_read_timeout_seconds
        fetchers: Mapping[Vendor, Fetcher] = {
            Vendor.TWILIO: TwilioMedia(*timeouts, base_url=names.twilio_api_base_url, connections=self._connections)
        }
        return {name: fetchers[one.vendor] for name, one in self.channels.items() if one.vendor in fetchers}

    @cached_property
    def _planning(self) -> Planning:
        from chalicelib.outbound.planning import Planning

        return Planning(
            senders=self.senders,
            channels=self.channels,
            credentials=self.credentials,
            policies=self.policies,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def _codes(self) -> Mapping[Vendor, Table]:
        from chalicelib.channels.sendgrid.outcomes import TABLE as SENDGRID
        from chalicelib.channels.twilio.outcomes import TABLE as TWILIO

        return {Vendor.TWILIO: TWILIO, Vendor.SENDGRID: SENDGRID}

    @cached_property
    def _parts(self) -> PartSending:
        from chalicelib.outbound.parts import PartSending

        return PartSending(
            planning=self._planning,
            senders=self.senders,
            codes=self._codes,
            clock=self.clock,
            settings=self.settings,
        )

    @cached_property
    def _media_copying(self) -> MediaCopying | None:
        """None: media stay where they are, and nothing that fetches is loaded."""
        if not self.settings.media_copying:
            return None
        from chalicelib.batches.media_copying import MediaCopying

        return MediaCopying(
            fetchers=self.fetchers,
            bucket=self.bucket,
            credentials=self.credentials,
            clock=self.clock,
            new_id=self.new_id,
            settings=self.settings,
        )

    @cached_property
    def _model(self) -> Model:
        from chalicelib.ai_worker.answering import echo
        from chalicelib.aws.bedrock import Bedrock

        if self.settings.ai_worker != "bedrock":
            return echo
        service = Service(self.clients.of("bedrock-runtime"), Code.INTERNAL_ERROR, Code.CONFIGURATION_ERROR)
        return Bedrock(service, self.settings.ai_worker_model)
