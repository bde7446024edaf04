"""Where Twilio sends what comes to an address, and where in its console that is set.

    in a Messaging Service that does not defer to its senders   the service's URL
    a number that names a TwiML application                     the application's
    else                                                        the number's own, or the WhatsApp sender's

Each question is a read by Twilio's own library. A number that the account does not list, such as a short code or one of
the WhatsApp sandbox, has no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib.channels.channel import Channel

if TYPE_CHECKING:
    from chalicelib.channels.twilio.sending import TwilioSender

_SERVICES_MAX = 50
_SENDERS_MAX = 1_000
_MESSAGING = "messaging"


@dataclass(frozen=True)
class Inbound:
    """Where Twilio sends what comes to an address."""

    url: str
    """Empty: nowhere."""
    method: str
    setting: str
    """Where in Twilio's console it is set."""


@dataclass(frozen=True)
class Console:
    """The console of one account, as its API tells it."""

    sender: TwilioSender
    secret: str = field(repr=False)
    _services: list[Any] = field(default_factory=list, repr=False)

    def inbound(self, channel: Channel, address: str) -> Inbound | None:
        """Where what comes to an address goes; None: the account does not list it.

        Raises:
            TryAgain: Twilio cannot be asked now.
            Misconfigured: the credentials may not ask.
        """
        own = self._of_whatsapp(channel, address) if channel.address_prefix else self._of_number(address)
        if own is None:
            return None
        return self._of_service(channel.address_prefix + address) or own

    def _of_number(self, number: str) -> Inbound | None:
        found = self.sender.ask(
            self.secret, lambda client: client.incoming_phone_numbers.list(phone_number=number, limit=1)
        )
        if not found:
            return None
        (one,) = found
        if one.sms_application_sid:
            sid = str(one.sms_application_sid)
            app = self.sender.ask(self.secret, lambda client: client.applications(sid).fetch())
            return Inbound(app.sms_url or "", app.sms_method or "POST", f"TwiML app {sid}: Messaging request URL")
        where = "Phone Numbers, Active numbers, the number, Messaging: A message comes in"
        return Inbound(one.sms_url or "", one.sms_method or "POST", where)

    def _of_whatsapp(self, channel: Channel, number: str) -> Inbound | None:
        listed = self.sender.ask(
            self.secret,
            lambda client: client.messaging.v2.channels_senders.list(channel="whatsapp", limit=_SENDERS_MAX),
            _MESSAGING,
        )
        for one in listed:
            if one.sender_id == channel.address_prefix + number:
                hook = _webhook(one)
                where = "Messaging, Senders, WhatsApp senders, the sender: Webhook URL for incoming messages"
                return Inbound(hook.get("callback_url") or "", hook.get("callback_method") or "POST", where)
        return None

    def _of_service(self, sender_id: str) -> Inbound | None:
        """The URL of the Messaging Service that holds a sender and does not defer to it."""
        if not self._services:
            self._services.append(self.sender.ask(self.secret, _services, _MESSAGING))
        for service, held in self._services[0]:
            if sender_id in held and not service.use_inbound_webhook_on_number:
                where = f"Messaging, Services, {service.sid}, Integration: Send a webhook, Request URL"
                return Inbound(service.inbound_request_url or "", service.inbound_method or "POST", where)
        return None


def _services(client: Any) -> list[tuple[Any, frozenset[str]]]:
    """The account's Messaging Services, each with the senders that it holds."""
    return [(one, _held(client, one.sid)) for one in client.messaging.v1.services.list(limit=_SERVICES_MAX)]


def _held(client: Any, sid: str) -> frozenset[str]:
    service = client.messaging.v1.services(sid)
    numbers = [str(one.phone_number) for one in service.phone_numbers.list(limit=_SENDERS_MAX)]
    return frozenset([*numbers, *(str(one.sender) for one in service.channel_senders.list(limit=_SENDERS_MAX))])


def _webhook(sender: Any) -> Mapping[str, Any]:
    """A sender's webhook; the library may pass it on as it came."""
    hook = sender.webhook
    return hook if isinstance(hook, Mapping) else vars(hook) if hook is not None else {}
