"""What the stub for Twilio knows of its console: where an account's numbers and WhatsApp senders send what they get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Hook:
    """A URL, and the method by which it is called."""

    url: str
    method: str = "POST"


@dataclass(frozen=True)
class ServiceSettings:
    """One Messaging Service."""

    hook: Hook | None
    senders: frozenset[str]
    """Numbers, and WhatsApp senders with their prefix."""
    defers_to_sender: bool = False
    """Whether what its senders get goes where they say."""


@dataclass
class ConsoleSettings:
    """What the account's owner has set."""

    senders: dict[str, Hook] = field(default_factory=dict)
    """By number, or by WhatsApp sender with its prefix."""
    applications: dict[str, Hook] = field(default_factory=dict)
    application_of: dict[str, str] = field(default_factory=dict)
    """The application that a number names in place of a URL of its own."""
    services: dict[str, ServiceSettings] = field(default_factory=dict)

    def of_number(self, number: str) -> dict[str, Any]:
        """The list of the account's numbers that are this one."""
        hook = self.senders.get(number)
        found = {
            "sid": "PN" + "0" * 32,
            "phone_number": number,
            "sms_url": hook.url if hook else "",
            "sms_method": hook.method if hook else "POST",
            "sms_application_sid": self.application_of.get(number, ""),
        }
        return {"incoming_phone_numbers": [found] if hook or number in self.application_of else []}

    def of_application(self, sid: str) -> dict[str, Any]:
        """One application."""
        hook = self.applications[sid]
        return {"sid": sid, "sms_url": hook.url, "sms_method": hook.method}

    def of_messaging(self, path: tuple[str, ...]) -> dict[str, Any] | None:
        """A list of the product Messaging, as its path names it; None: there is none of that path."""
        match path:
            case ("Services",):
                return _listed("services", [self._service(sid, one) for sid, one in self.services.items()])
            case ("Services", sid, "PhoneNumbers"):
                numbers = [one for one in self.services[sid].senders if ":" not in one]
                return _listed("phone_numbers", [{"sid": "PN1", "phone_number": one} for one in numbers])
            case ("Services", sid, "ChannelSenders"):
                senders = [one for one in self.services[sid].senders if ":" in one]
                return _listed("senders", [{"sid": "XE1", "sender": one} for one in senders])
            case ("Channels", "Senders"):
                return _listed("senders", [_sender(one, hook) for one, hook in self.senders.items() if ":" in one])
        return None

    @staticmethod
    def _service(sid: str, one: ServiceSettings) -> dict[str, Any]:
        return {
            "sid": sid,
            "friendly_name": sid,
            "inbound_request_url": one.hook.url if one.hook else None,
            "inbound_method": one.hook.method if one.hook else "POST",
            "use_inbound_webhook_on_number": one.defers_to_sender,
        }


def _sender(address: str, hook: Hook) -> dict[str, Any]:
    webhook = {"callback_url": hook.url, "callback_method": hook.method}
    return {"sid": "XE1", "sender_id": address, "webhook": webhook}


def _listed(key: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: found, "meta": {"key": key, "page": 0, "page_size": 1_000, "next_page_url": None}}
