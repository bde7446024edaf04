"""Finding: whose message it is, by its two addresses, and which secret proves it.

Guarantee: nothing here has an effect that a forger could see or cause. An address that is no company's is answered like
a forgery.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.channels.channel import Channel
from chalicelib.conversations import lookup
from chalicelib.conversations.binding import is_own_secret
from chalicelib.conversations.companies import Companies
from chalicelib.conversations.lookup import Found
from chalicelib.conversations.policies import Policies
from chalicelib.errors import Code, Misconfigured, Rejected
from chalicelib.messages.inbound import InboundMessage
from chalicelib.ports.tables import Tables
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Step, Trail


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Finding:
    """Finds the conversation of a message, or the company alone."""

    companies: Companies
    policies: Policies
    settings: Settings

    def find(self, tables: Tables, channel: Channel, message: InboundMessage, trail: Trail) -> Found:
        """The conversation by the two addresses; else the company alone."""
        found = lookup.find_pair(tables.conversations, channel, message) or self.companies.find(
            tables.conversations, channel, message.recipient
        )
        if found is None:
            # Told like a forgery: only a proven provider learns that an address is unknown.
            raise Rejected(Code.INVALID_SIGNATURE, "the address is no company's")
        self._tell_found(found, trail)
        return found

    def find_respelled(
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

    def credential_ref(self, found: Found, channel: Channel) -> str:
        """The name of the company's own secret.

        Raises:
            Misconfigured: `MISSING_CREDENTIAL_CONFIG`; there is none, or it is another company's.
        """
        ref = lookup.require_credential_ref(found, channel)
        if not is_own_secret(self.settings.credential_ref_pattern, ref, found.tenant):
            detail = f"a row of tenant {found.tenant} names another company's secret"
            raise Misconfigured(Code.MISSING_CREDENTIAL_CONFIG, detail)
        return ref

    def judged(self, found: Found, message: InboundMessage, trail: Trail) -> InboundMessage:
        """A verified message under its own id, from its author by the company's policy."""
        if message.unread is None:
            return message
        lists = self.policies.of(found, message.channel, trail).list_addresses
        return message.unread.judged(message, lists=lists)

    @staticmethod
    def _tell_found(found: Found, trail: Trail) -> None:
        trail.bind(tenant=found.tenant)
        trail.log(Step.LOOKED_UP, Level.DEBUG, count=found.active_count)
        if found.active_count > 1:
            trail.log(Step.SEVERAL_ACTIVE, Level.WARNING, count=found.active_count)
